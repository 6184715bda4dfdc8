"""Training data from folders, Zarr and synthetic brains: opened, split, drawn."""

import operator
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from blockseg.blockwise.sources.inputs import gather
from blockseg.config.settings import RunSettings
from blockseg.core.errors import BlocksegError, ConfigError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.labels import IGNORE
from blockseg.core.space import Space
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.networks.shipped import DEFAULT
from blockseg.normalization.affine import normalize
from blockseg.segmentation.decisions import decide
from blockseg.training.annotations.labels import RING
from blockseg.training.data.data import DataConfig, TrainingData
from blockseg.training.data.gather import open_data

PLAIN = DataConfig(patch=8, augmentation="none", ring=False, guard=4, batch=2)


def volume(
    seed: int, shape: tuple[int, int, int] = (16, 20, 24)
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """An image whose neurite voxels, and no others, are above 400."""
    rng = np.random.default_rng(seed)
    label = (rng.uniform(size=shape) < 0.05).astype(np.uint8)
    image = rng.normal(200, 10, shape).clip(100, 300) + 300.0 * label
    return image.astype(np.uint16), label


def write(root: Path, name: str, image: NDArray[Any], label: NDArray[Any]) -> Path:
    for part, data in (("image", image), ("label", label)):
        (root / part).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(root / part / f"{name}.tif", data, photometric="minisblack")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(4):
        write(tmp_path / "blocks", f"b{seed}", *volume(seed))
    return tmp_path / "blocks"


def config(**changes: Any) -> DataConfig:
    values = {name: getattr(PLAIN, name) for name in PLAIN.__slots__}
    return DataConfig(**{**values, **changes})


def refused(
    source: Path, given: DataConfig = PLAIN, kind: type[BlocksegError] = VolumeError
) -> str:
    with pytest.raises(kind) as caught:
        open_data([str(source)], given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_patches_are_functions_of_their_number_in_any_order_and_process(
    folder: Path,
) -> None:
    data = open_data([str(folder), "synth:clean"], config(augmentation="default"))
    other = pickle.loads(pickle.dumps(data.train))
    back = {n: other[n] for n in reversed(range(8))}
    for number in range(8):
        image, target = data.train[number]
        assert image.shape == target.shape == (1, 8, 8, 8)
        assert image.dtype == np.float32
        assert target.dtype == np.uint8
        np.testing.assert_array_equal(image, back[number][0])
        np.testing.assert_array_equal(target, back[number][1])
    assert (data.train[0][0] != data.train[1][0]).any()
    with pytest.raises(IndexError, match="-1"):
        data.train[-1]


def test_image_and_target_of_a_patch_belong_together(folder: Path) -> None:
    data = open_data([str(folder)], PLAIN)
    for number in range(20):
        image, target = data.train[number]
        np.testing.assert_array_equal(image > 9, target == 1)


def test_a_share_of_the_patches_holds_no_neurite(tmp_path: Path) -> None:
    image, label = volume(0, (24, 24, 24))
    label[:, 8:] = 0
    root = write(tmp_path, "a", image, label)
    for share, low, high in ((0.0, 0, 0), (0.5, 12, 28), (1.0, 36, 40)):
        given = config(background_share=share, validation_share=0.0)
        data = open_data([str(root)], given)
        empty = sum(not (data.train[n][1] == 1).any() for n in range(40))
        assert low <= empty <= high


def test_volumes_without_neurites_do_not_change_that_share(tmp_path: Path) -> None:
    for number in range(6):
        image, label = volume(number)
        write(tmp_path, f"v{number}", image, label if number < 2 else label * 0)
    given = config(background_share=0.0, seed=2)
    data = open_data([str(tmp_path)], given)
    assert all((data.train[n][1] == 1).any() for n in range(20))


def test_whole_volumes_are_held_out_and_their_patches_never_drawn(
    tmp_path: Path,
) -> None:
    for seed in range(4):
        image, label = volume(seed)
        bright = image + np.uint16(1000 * (seed + 1)) * label
        write(tmp_path, f"b{seed}", bright, label)
    given = config(validation_share=0.5, clip=(-100.0, 5000.0), background_share=0.0)
    data = open_data([str(tmp_path)], given)
    uses = [note.use for note in data.sources]
    assert sorted(uses) == ["training", "training", "validation", "validation"]
    held = [note.name for note in data.sources if note.use == "validation"]
    assert [v.name for v in data.validation] == held
    assert all(v.image.shape == (16, 20, 24) for v in data.validation)
    assert sum(v.weight for v in data.validation) == pytest.approx(1)

    def brightness(image: NDArray[np.float32]) -> int:
        return round(float(image.max()) / 100)  # a volume's own, in steps of 100 SDs

    drawn = {brightness(data.train[n][0]) for n in range(30)}
    assert len(drawn) == 2
    assert not drawn & {brightness(v.image) for v in data.validation}


def test_another_seed_holds_out_other_volumes(folder: Path) -> None:
    chosen = {
        tuple(v.name for v in open_data([str(folder)], config(seed=s)).validation)
        for s in range(4)
    }
    assert len(chosen) > 1


def test_one_volume_is_divided_and_the_guard_is_stated(tmp_path: Path) -> None:
    root = write(tmp_path, "a", *volume(1, (16, 20, 60)))
    data = open_data([str(root)], config(guard=8))
    (held,) = data.validation
    assert data.sources[0].use == "both"
    assert held.image.shape == (16, 20, 20)
    assert (held.target[:, :, :8] == IGNORE).all()
    assert (held.target[:, :, 8:] != IGNORE).all()
    assert "validated from x = 48 on" in data.remarks[0]
    (short,) = open_data([str(root)], config(guard=32)).remarks
    assert "a guard of 12 of 32 voxels fits" in short


def test_nothing_is_held_out_if_nothing_is_asked_for(folder: Path) -> None:
    data = open_data([str(folder)], config(validation_share=0.0))
    assert data.validation == ()
    assert all(note.use == "training" for note in data.sources)


def test_annotated_slices_are_met_at_every_depth_of_a_patch(tmp_path: Path) -> None:
    image, label = volume(2, (40, 16, 16))
    sparse = np.full_like(label, IGNORE)
    sparse[[12, 24, 36]] = label[[12, 24, 36]]
    data = open_data([str(write(tmp_path, "a", image, sparse))], PLAIN)
    (held,) = data.validation
    labelled = (held.target != IGNORE).any(axis=(1, 2))
    assert labelled.sum() == 1
    depths = set()
    for number in range(60):
        found = (data.train[number][1][0] != IGNORE).any(axis=(1, 2))
        assert found.any()
        depths |= set(np.flatnonzero(found).tolist())
    assert depths == set(range(8))


def test_volumes_smaller_than_a_patch_are_filled_up_and_that_does_not_count(
    tmp_path: Path,
) -> None:
    root = write(tmp_path, "a", *volume(3, (5, 16, 16)))
    image, target = open_data([str(root)], config(validation_share=0.0)).train[0]
    assert image.shape == (1, 8, 8, 8)
    assert (target[0, 5:] == IGNORE).all()
    assert (image[0, 5:] == 0).all()
    assert (target[0, :5] != IGNORE).all()


def test_voxels_that_are_not_finite_do_not_count(tmp_path: Path) -> None:
    image, label = volume(4)
    bad = image.astype(np.float32)
    bad[3, 4], bad[5, 5] = np.nan, np.inf
    data = open_data([str(write(tmp_path, "a", bad, label))], config(seed=5))
    assert data.sources[0].nonfinite == 48
    assert "48 annotated voxels are NaN or infinite" in "".join(data.remarks)
    read = [data.train[n] for n in range(30)]
    read += [(v.image, v.target) for v in data.validation]
    for image_, target in read:
        assert np.isfinite(image_).all()
        counted = target != IGNORE
        np.testing.assert_array_equal((image_ > 9)[counted], (target == 1)[counted])


def test_training_sees_a_volume_as_a_run_does(tmp_path: Path) -> None:
    image, label = volume(5, (20, 70, 75))
    for seed in range(2):
        write(tmp_path, f"a{seed}", image, label)
    data = open_data([str(tmp_path)], PLAIN)
    source = str(tmp_path / "image" / "a0.tif")
    settings = RunSettings(backend="fake", voxel_size=(1.0, 1.0, 1.0))
    decided = decide(gather(source, str(tmp_path / "out.zarr"), settings))
    note = data.sources[0]
    assert (note.level, note.sd) == (decided.whole.offset, decided.whole.scale)
    assert decided.field is not None
    seen = np.empty(image.shape, np.float32)
    low, high = PLAIN.clip
    normalize(image, replace(decided.field, low=low, high=high), seen)
    np.testing.assert_array_equal(data.validation[0].image, seen)


def test_gain_and_clip_are_applied_once(folder: Path) -> None:
    (one, _), (two, _) = (
        open_data([str(folder)], config(gain=g, clip=(-1.0, 9.0), seed=3)).train[4]
        for g in (1.0, 2.0)
    )
    np.testing.assert_allclose(
        np.clip(one * 2, -1, 9)[one < 9], two[one < 9], rtol=1e-5
    )
    assert one.max() == two.max() == 9


def test_sources_are_mixed_by_their_shares(folder: Path) -> None:
    given = config(shares=(3, 1), background_share=0.0, clip=(-5.0, 40.0))
    data = open_data([str(folder), "synth:clean"], given)
    weights = {v.name: v.weight for v in data.validation}
    assert sum(w for name, w in weights.items() if "synth" in name) == pytest.approx(
        0.25
    )
    # Only real neurites are above 20 SD, and every real patch is drawn around one.
    real = sum(data.train[n][0].max() > 20 for n in range(24))
    assert 11 <= real <= 23


def test_a_ring_lies_around_neurites(folder: Path) -> None:
    data = open_data([str(folder)], config(ring=True))
    assert RING in data.train[0][1]
    assert RING in data.validation[0].target


def test_large_validation_volumes_are_cut_to_an_annotated_box(tmp_path: Path) -> None:
    image, label = volume(6, (24, 40, 40))
    sparse = np.full_like(label, IGNORE)
    sparse[:, 30:, :10] = label[:, 30:, :10]
    for name in ("a", "b"):
        write(tmp_path, name, image, sparse)
    (held,) = open_data([str(tmp_path)], config(validation_voxels=2000)).validation
    assert held.image.size <= 2000
    assert (held.target == 1).any()


def zarr_image(root: Path, image: NDArray[Any], label: NDArray[Any]) -> Path:
    spec = PyramidSpec(
        uri=str(root), shape=image.shape, block=(64, 64, 64), dtype="uint16",
        space=Space((1.0, 1.0, 1.0), "micrometer"), zarr_format=3,
        codec="zstd", reduce="mean",
    )  # fmt: skip
    truth = PyramidSpec(
        uri=str(root / "labels" / "axons"), shape=image.shape, block=(64, 64, 64),
        dtype="uint8", space=spec.space, zarr_format=3, codec="zstd", reduce="max",
        name="axons",
    )  # fmt: skip
    create_output(spec, truth)
    for pyramid, data in ((spec, image), (truth, label)):
        PyramidWriter(pyramid).write_block(Roi.whole(image.shape), data)
    return root


def test_zarr_and_tiff_of_the_same_voxels_give_the_same_patches(tmp_path: Path) -> None:
    image, label = volume(7, (32, 40, 48))
    tiff = write(tmp_path / "tiff", "a", image, label)
    zarr = zarr_image(tmp_path / "a.zarr", image, label)
    one, other = (open_data([str(source)], PLAIN) for source in (tiff, zarr))
    for number in range(6):
        for a, b in zip(one.train[number], other.train[number], strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.validation[0].image, other.validation[0].image)


def test_another_process_gives_the_same_patches_from_zarr(tmp_path: Path) -> None:
    source = zarr_image(tmp_path / "a.zarr", *volume(8, (32, 32, 32)))
    train = open_data([str(source)], PLAIN).train
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = list(pool.map(operator.getitem, [train] * 3, (2, 0, 1)))
    for number, (image, target) in zip((2, 0, 1), there, strict=True):
        np.testing.assert_array_equal(image, train[number][0])
        np.testing.assert_array_equal(target, train[number][1])


def break_labels(root: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Path:
    file = root / "label" / "b1.tif"
    tifffile.imwrite(file, change(tifffile.imread(file)), photometric="minisblack")
    return root


def test_values_without_a_meaning_are_listed_before_anything_starts(
    folder: Path,
) -> None:
    broken = break_labels(folder, lambda label: label * 3)
    assert "b1 holds the values 0, 3, and 3 means nothing" in refused(broken)
    mapped = open_data([str(broken)], config(label_map={3: 1}))
    assert isinstance(mapped, TrainingData)


def test_masks_of_0_and_255_are_told_how_to_be_read(tmp_path: Path) -> None:
    image, label = volume(9)
    root = write(tmp_path, "a", image, label * np.uint8(255))
    assert "--label-map 255:1" in refused(root)


def test_a_set_without_annotation_is_refused(tmp_path: Path) -> None:
    image, label = volume(9)
    root = write(tmp_path, "a", image, np.full_like(label, IGNORE))
    assert "every voxel is 255" in refused(root)


def test_a_volume_without_annotation_is_left_out_aloud(folder: Path) -> None:
    data = open_data(
        [str(break_labels(folder, lambda label: np.full_like(label, IGNORE)))], PLAIN
    )
    assert "blocks/b1 is left out" in data.remarks[0]
    assert len(data.sources) == 3


def test_an_image_without_tissue_is_refused(folder: Path) -> None:
    image = np.zeros((16, 20, 24), np.uint16)
    tifffile.imwrite(folder / "image" / "b2.tif", image, photometric="minisblack")
    assert "blocks/b2 holds no tissue" in refused(folder)


def test_what_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    image, label = volume(9)
    label[...] = 0
    label[8, 8, 8] = 1
    assert "--validation-share 0" in refused(
        write(tmp_path, "a", image, label), kind=ConfigError
    )


def test_negatives_train_beside_synthetic_brains(tmp_path: Path) -> None:
    image, label = volume(9)
    root = write(tmp_path, "a", image, np.zeros_like(label))
    data = open_data([str(root), "synth:clean"], config(validation_voxels=4096))
    assert all(v.image.size <= 4096 for v in data.validation)
    synth = data.sources[1]
    assert (synth.kind, synth.level) == ("synth", None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": (1.0, 2.0)}, "it takes 1 number above 0"),
        ({"shares": (0.0,)}, "--shares 0 does not fit"),
        ({"clip": (3.0, 3.0)}, "--clip"),
        ({"patch": 4}, "--patch 4 must be 8"),
        ({"label_map": {1: 7}}, "--label-map 1:7"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        open_data([str(folder)], config(**changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_stack_is_refused_before_anything_starts(folder: Path) -> None:
    file = folder / "image" / "b2.tif"
    pages = tifffile.imread(file)
    tifffile.imwrite(file, pages, photometric="minisblack", compression="zlib")
    content = bytearray(file.read_bytes())
    with tifffile.TiffFile(file) as tif:
        at = tif.pages[9].dataoffsets[0]
    content[at : at + 40] = bytes(40)
    file.write_bytes(content)
    assert "b2.tif" in refused(folder)


def test_sources_that_are_none_are_one_line(folder: Path, tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "gone")
    with pytest.raises(ConfigError, match="nothing to train on"):
        open_data([], PLAIN)
    with pytest.raises(ConfigError, match="given twice"):
        open_data([str(folder)] * 2, PLAIN)
    with pytest.raises(ConfigError, match="given twice"):
        open_data([str(folder), f"{folder.parent}/x/../{folder.name}/"], PLAIN)


def test_the_real_sparse_volume_trains_on_two_slices_and_holds_the_third_out(
    tmp_path: Path, shared_data: Path
) -> None:
    real = shared_data / "real" / "trailmap_train"
    for part, name in (("image", "image"), ("label", "label_sparse_slices")):
        (tmp_path / part).mkdir()
        (tmp_path / part / "t.tif").symlink_to(real / f"{name}.tif")
    given = config(guard=32, label_map={0: 255, 1: 0, 2: 1, 4: 255})
    data = open_data([str(tmp_path)], given)
    (held,) = data.validation
    assert (held.target != IGNORE).any(axis=(1, 2)).sum() == 1
    assert "trained on z below 63, validated from z = 77 on" in data.remarks[0]
    assert data.sources[0].foreground == 7190


def crossed(seed: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """An image with lines 3 voxels wide, 20 SDs above its background."""
    rng = np.random.default_rng(seed)
    label = np.zeros((16, 64, 64), np.uint8)
    for place in rng.choice(np.arange(4, 60, 8), 4, replace=False):
        label[4:12, place : place + 3] = 1
    return (rng.normal(200, 10, label.shape) + 200 * label).astype(np.uint16), label


def test_ranges_of_images_are_those_of_volumes_with_neurites(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path / "lines", f"b{seed}", *crossed(seed))
    ranges = open_data([str(tmp_path / "lines")], PLAIN).trained
    assert ranges is not None
    assert 2 < ranges.half_width < 4
    assert 12 < ranges.contrast < 20
    empty = np.zeros((16, 64, 64), np.uint8)
    noise = np.random.default_rng(5).normal(200, 10, empty.shape).astype(np.uint16)
    write(tmp_path / "negatives", "n", noise, empty)
    beside = [str(tmp_path / "lines"), str(tmp_path / "negatives")]
    assert open_data(beside, config(validation_share=0.0)).trained == ranges


def test_ranges_are_unknown_where_one_source_shows_too_little(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    label = np.zeros((16, 32, 32), np.uint8)
    label[4, 4, 4:12] = 1
    image = (rng.normal(200, 10, label.shape) + 300.0 * label).astype(np.uint16)
    little = str(write(tmp_path / "little", "a", image, label))
    whole = config(validation_share=0.0)
    assert open_data([little], whole).trained is None
    assert open_data([little, "synth:random"], whole).trained is None
    assert open_data(["synth:random"], whole).trained == DEFAULT.trained
