"""Labels that are not labels, before a network learns them."""

import re
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

import blockseg as api
from blockseg.core.errors import SourceWarning, VolumeError

EDGE = 48
SHAPE = (EDGE, EDGE, EDGE)


def volume(seed=0, shape=SHAPE):
    """Return an image of straight and stepped neurites, and their mask."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.uint8)
    for _ in range(8):
        place = rng.uniform(6, np.array(shape) - 6)
        step = rng.normal(size=3) * (0.3, 0.7, 1.0)
        for _ in range(80):
            step += rng.normal(0, 0.2, 3) * (0.3, 0.7, 1.0)
            step /= np.linalg.norm(step)
            place += 0.7 * step
            if min(place) < 0 or any(place > np.array(shape) - 2):
                break
            z, y, x = place.astype(int)
            mask[z : z + 2, y : y + 2, x : x + 2] = 1
    image = rng.normal(300, 12, shape) + 80 * mask
    return image.astype(np.uint16), mask


def noisier(image):
    return (image + np.random.default_rng(9).normal(0, 30, image.shape)).astype(
        np.uint16
    )


LABELS = (
    "neurites (1)", "labels of", "255 is not counted", "no annotation", "--allow-labels",
)  # fmt: skip


@pytest.fixture
def words_of(learning):
    return lambda data, *options: learning(data, *options)["train"]


def test_right_labels_raise_no_word(annotated, doubted_data):
    image, mask = volume()
    data = annotated(image, mask)
    annotated(noisier(image), mask, "b")
    doubted_data(data, silent=LABELS)


def test_sparse_planes_skeletons_and_neurites_alone_raise_no_word(
    annotated, doubted_data
):
    image, mask = volume()
    planes = np.full(SHAPE, 255, np.uint8)
    planes[4::12] = mask[4::12]
    annotated(image, planes, "planes")
    skeleton = mask * (np.random.default_rng(1).uniform(size=SHAPE) < 0.4)
    annotated(image, skeleton.astype(np.uint8), "skeleton")
    data = annotated(image, np.where(mask, 1, 255).astype(np.uint8), "alone")
    doubted_data(data, silent=LABELS, only="train")


@pytest.mark.parametrize(
    ("stored", "options"), [((1, 0), ()), ((0, 255), ("--label-map", "255:1"))]
)
def test_inverted_labels_are_refused_and_the_advice_mends_them(
    blockseg, annotated, refused_data, doubted_data, words_of, stored, options
):
    image, mask = volume()
    inverted = np.array(stored if stored[0] else (255, 0), np.uint8)[mask]
    data = annotated(image, inverted)
    refused_data(
        data, "of the annotated voxels of data/a are neurites (1), and darker",
        "look swapped", "--allow-labels", options=options,
    )  # fmt: skip
    said = blockseg(*words_of(data, *options), code=1).output
    (advice,) = re.findall(r"--label-map (\S+),", said)
    doubted_data(data, silent=LABELS, options=("--label-map", advice), only="train")
    doubted_data(
        data, silent=LABELS, options=(*options, "--allow-labels"), only="train"
    )


def test_labels_that_are_all_neurite_are_refused(annotated, refused_data):
    image, mask = volume()
    data = annotated(image, np.ones_like(mask))
    refused_data(data, "all 110592 annotated voxels", "annotate background (0)")


def test_neurites_of_more_than_half_of_a_volume_are_doubted(annotated, doubted_data):
    image, mask = volume()
    image[:, 10:40] += 200  # a soma, say
    mask[:, 10:40] = 1
    data = annotated(image, mask)
    parts = ("of the annotated voxels of data/a are neurites", "--label-map 0:1,1:0")
    doubted_data(data, *parts, "--allow-labels", only="train")
    doubted_data(data, options=("--allow-labels",), silent=LABELS, only="train")


def test_annotations_without_any_background_are_doubted(annotated, doubted_data):
    image, mask = volume()
    data = annotated(image, np.where(mask, 1, 255).astype(np.uint8))
    doubted_data(data, "no annotation holds background (0)", only="train")
    doubted_data(data, options=("--allow-labels",), silent=LABELS, only="train")


def test_labels_of_one_and_two_get_advice_that_trains_sensibly(
    blockseg, annotated, refused_data, words_of
):
    image, mask = volume()
    data = annotated(image, mask + np.uint8(1))
    refused_data(data, "--label-map 1:0,2:1", only="train")
    done = blockseg(*words_of(data, "--label-map", "1:0,2:1"))
    assert f"{mask.size:,} annotated, {int(mask.sum()):,} on neurites" in done.output


def test_ids_of_neurites_get_advice_that_makes_all_of_them_neurite(
    blockseg, annotated, refused_data, words_of
):
    image, mask = volume()
    ids = (mask * (3 + np.arange(EDGE) // 3)).astype(np.uint16)
    data = annotated(image, ids)
    refused_data(data, "--label-map others:1", only="train")
    done = blockseg(*words_of(data, "--label-map", "others:1"))
    assert f"{int(mask.sum()):,} on neurites" in done.output


def test_a_probability_is_no_annotation(annotated, refused_data):
    image, mask = volume()
    chance = mask * 0.7 + np.random.default_rng(2).uniform(0, 0.3, SHAPE)
    data = annotated(image, chance.astype(np.float32))
    refused_data(data, "a probability or an image, not labels", only="train")


def test_channels_of_labels_are_chosen_by_their_own_option(
    blockseg, annotated, refused_data, words_of, tmp_path
):
    image, mask = volume()
    file = tmp_path / "onehot.tif"
    one_hot = np.stack([1 - mask, mask])
    tifffile.imwrite(file, one_hot, metadata={"axes": "CZYX"})
    data = annotated(image, file)
    refused_data(data, "2 channels", "--label-channel")
    done = blockseg(*words_of(data, "--label-channel", "1"))
    assert f"{int(mask.sum()):,} on neurites" in done.output
    assert "Warning" not in done.output


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda m: m.transpose(2, 1, 0), "with z and x swapped"),
        (lambda m: m[:, ::-1], "mirrored along y"),
        (lambda m: np.roll(m, 9, 2), "moved by (+0, +0, -9) voxels along (z, y, x)"),
    ],
)
def test_labels_that_lie_elsewhere_are_doubted_and_an_option_silences_it(
    annotated, doubted_data, wrong, said
):
    image, mask = volume()
    wronged = np.ascontiguousarray(wrong(mask))
    data = annotated(image, wronged)
    annotated(noisier(image), wronged, "b")
    doubted_data(data, f"the labels of data/a fit the image better {said}")
    doubted_data(data, options=("--allow-labels",), silent=LABELS, only="train")


def test_labels_of_another_volume_and_of_dark_structures_are_doubted(
    annotated, doubted_data
):
    image, mask = volume(3, (48, 64, 64))
    other = volume(4, (48, 64, 64))[1]
    annotated(image, other)
    annotated(noisier(image), other, "b")
    data = annotated(1000 - image, mask, "c")
    doubted_data(data, "the labels of data/a lie on nothing", "data/c lie where the image",
                 "darker", only="train")  # fmt: skip


def test_white_that_lies_on_neurites_is_doubted_beside_annotated_volumes(
    annotated, doubted_data
):
    image, mask = volume()
    annotated(image, mask, "a")
    data = annotated(image, mask * np.uint8(255), "b")
    doubted_data(data, "data/b: 255 is not counted", "--label-map 255:1", only="train")


def test_labels_of_an_ome_zarr_are_looked_at_where_most_neurites_are(
    annotated, doubted_data, tmp_path
):
    image, mask = volume(5, (40, 130, 160))
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    level = {"path": "0", "coordinateTransformations": scale}
    image_of: Any = [{"version": "0.4", "axes": axes, "datasets": [level]}]
    group.attrs["multiscales"] = image_of
    group.create_array("0", data=image, chunks=(40, 64, 64))
    data = annotated(
        tmp_path / "a.zarr", np.ascontiguousarray(mask[:, ::-1]), "flipped"
    )
    doubted_data(data, "the labels of a.zarr fit the image better mirrored along y",
                 options=("--label-name", "flipped"))  # fmt: skip
    annotated(tmp_path / "a.zarr", mask, "right")
    doubted_data(data, silent=LABELS, options=("--label-name", "right"))


def test_python_is_warned_and_refused_alike(annotated, tmp_path):
    image, mask = volume()
    data = annotated(image, np.ascontiguousarray(mask[::-1]))
    small: dict[str, Any] = {"width": 2, "patch": 16, "batch": 1, "steps": 1, "workers": 0,
             "tensorboard": False, "validation_share": 0}  # fmt: skip
    with pytest.warns(SourceWarning, match="mirrored along z"):
        api.train(str(data), str(tmp_path / "run"), **small)
    annotated(image, 1 - mask)
    with pytest.raises(VolumeError, match="look swapped"):
        api.train(str(data), str(tmp_path / "other"), **small)


def test_a_truth_of_more_than_half_of_a_volume_is_noted(blockseg, tmp_path):
    _, mask = volume()
    tifffile.imwrite(tmp_path / "pred.tif", mask)
    tifffile.imwrite(tmp_path / "truth.tif", 1 - mask)
    done = blockseg("evaluate", "pred.tif", "truth.tif")
    assert "% of its voxels neurites; if background and neurites are swapped" in (
        done.output
    )
    right = blockseg("evaluate", "pred.tif", "truth.tif", "--label-map", "0:1,1:0")
    assert "swapped" not in right.output
