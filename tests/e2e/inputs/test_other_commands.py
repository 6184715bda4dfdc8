"""What is said of a source, where commands open it in ways of their own."""

import numpy as np
import pytest
import tifffile

import blockseg as api
from blockseg.core.errors import ConfigError, SourceWarning, VolumeError

SERIAL = ("--scheduler", "serial")


def brain(seed=0, shape=(64, 64, 192)):
    rng = np.random.default_rng(seed)
    image = rng.normal(200, 10, shape)
    for number in range(9):
        place = [slice(at, at + 3) for at in rng.integers(4, 58, 3)]
        place[number % 3] = slice(None)
        image[tuple(place)] += 150
    return image.astype(np.uint16)


@pytest.fixture
def two_channels(tmp_path):
    image = np.stack([np.full((64, 64, 192), 7, np.uint16), brain()])
    tifffile.imwrite(tmp_path / "two.tif", image, metadata={"axes": "CZYX"})
    return tmp_path / "two.tif"


def test_a_bare_volume_is_picked_from_with_what_is_said_of_it(blockseg, two_channels):
    picks = ("propose-annotations", two_channels, "-o", "picks", "--count", "1")
    refused = blockseg(*picks, *SERIAL, code=1)
    assert "2 channels; choose one with --channel" in refused.output
    assert not (blockseg.folder / "picks").exists()
    done = blockseg(*picks, *SERIAL, "--channel", "1", "--voxel-size", "1,1,1")
    assert "states no unit" not in done.output
    (image,) = (blockseg.folder / "picks" / "image").iterdir()
    assert np.isin(tifffile.imread(image).max(), brain())
    assert tifffile.imread(image).max() > 300

    out = blockseg.folder / "two.metrics.zarr"
    again = ("propose-annotations", out, "-o", "more", "--count", "1")
    said = blockseg(*again, "--channel", "0", code=1).output
    assert "--channel does not go with what was measured before" in said
    blockseg(*again, "--allow-empty")
    said = blockseg(*again, "--update", "--label-map", "2:1", code=1).output
    assert "--label-map does not go with a brain" in said


def test_python_picks_with_what_is_said_of_a_volume(two_channels, tmp_path):
    folder = tmp_path / "picks"
    with pytest.raises(VolumeError, match="--channel"):
        api.propose(str(two_channels), str(folder), scheduler="serial", count=1)
    found = api.propose(
        str(two_channels), str(folder), scheduler="serial", count=1, channel=1,
        voxel_size=(1, 1, 1),
    )  # fmt: skip
    assert len(found.names) == 1
    with pytest.raises(ConfigError, match="--as does not go with what was measured"):
        api.propose(  # type: ignore[call-arg]
            str(tmp_path / "two.metrics.zarr"), str(folder), stored_as="uint16"
        )


def test_what_is_said_of_volumes_does_not_go_with_labelled_ones(
    blockseg, annotated, learning
):
    image = brain()
    data = annotated(image, (image > 300).astype(np.uint8))
    words = learning(data, "--level", "1")["propose"]
    assert "--level does not go with a folder" in blockseg(*words, code=1).output


def test_images_to_learn_from_are_read_as_is_said_of_them(
    blockseg, annotated, refused_data, learning, tmp_path
):
    image = brain(shape=(64, 64, 64))
    labels = (image > 280).astype(np.uint8)
    stored = np.stack([np.zeros_like(image), image])
    tifffile.imwrite(tmp_path / "two.tif", stored, metadata={"axes": "CZYX"})
    data = annotated(tmp_path / "two.tif", labels)
    noise = np.random.default_rng(5).normal(0, 30, image.shape)
    other = np.stack([image, image + noise]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "other.tif", other, metadata={"axes": "CZYX"})
    annotated(tmp_path / "other.tif", labels, "b")
    refused_data(data, "2 channels; choose one with --channel")
    for words in learning(data, "--channel", "1").values():
        assert "Warning" not in blockseg(*words).output


def test_axes_that_are_not_named_are_asked_about_by_training_too(
    blockseg, annotated, refused_data, learning
):
    image = brain(shape=(4, 64, 64))
    labels = (image > 280).astype(np.uint8)
    noise = np.random.default_rng(5).normal(0, 30, image.shape)
    annotated((image + noise).astype(np.uint16), labels, "b")
    data = annotated(image, labels)
    refused_data(data, "--axes")
    for words in learning(data, "--axes", "zyx").values():
        blockseg(*words)


def test_a_resumed_training_may_be_silenced_and_not_read_another_channel(
    blockseg, annotated, learning, tmp_path
):
    image = brain(shape=(64, 64, 64))
    stored = np.stack([image, image])
    tifffile.imwrite(tmp_path / "two.tif", stored, metadata={"axes": "CZYX"})
    data = annotated(tmp_path / "two.tif", (image > 280).astype(np.uint8))
    words = learning(data, "--channel", "1")["train"]
    words.remove("--overwrite")
    blockseg(*words)
    blockseg(*words, "--allow-labels", "--allow-empty", "--resume")
    other = blockseg(*words, "--channel", "0", code=1)
    assert "--channel was 1, now 0" in other.output


def test_an_array_may_be_told_to_be_of_another_type():
    image = brain(shape=(32, 32, 32))
    image[:, 8, 8] = 40000
    right = api.predict(image, backend="fake")
    told = api.predict(image.view(np.int16), backend="fake", stored_as="uint16")
    np.testing.assert_array_equal(told, right)
    with pytest.raises(VolumeError, match="leave it out"):
        api.predict(image, backend="fake", stored_as="uint8")


def wrapped():
    """Return an image that uses all of uint16, and its bits as int16."""
    image = (200.0 * brain(shape=(64, 64, 64)) - 32000).clip(0, 65535)
    return image.astype(np.uint16), image.astype(np.uint16).view(np.int16)


def test_bits_of_another_type_are_doubted_in_an_array():
    _, bits = wrapped()
    with pytest.warns(SourceWarning, match="the array.*--as uint16"):
        api.predict(bits, backend="fake")


def test_bits_of_another_type_are_doubted_in_what_is_learned_from(
    annotated, doubted_data
):
    image, bits = wrapped()
    labels = (image > 24000).astype(np.uint8)
    data = annotated(bits, labels)
    doubted_data(data, "--as uint16", only="train")
    said = ("--as", "uint16")
    doubted_data(data, options=said, silent=("Warning",), only="train")


def test_scores_are_not_made_of_chunks_that_are_looked_for_elsewhere(
    blockseg, tmp_path
):
    import zarr

    mask = (brain(shape=(32, 32, 32)) > 280).astype(np.uint8)
    tifffile.imwrite(tmp_path / "truth.tif", mask)
    array = zarr.create_array(
        tmp_path / "pred.zarr", shape=mask.shape, chunks=(16, 16, 16), dtype="uint8",
        zarr_format=2, chunk_key_encoding={"name": "v2", "separator": "/"},
    )  # fmt: skip
    array[:] = mask
    blockseg("evaluate", tmp_path / "pred.zarr", "truth.tif")
    file = tmp_path / "pred.zarr" / ".zarray"
    file.write_text(file.read_text().replace('"dimension_separator": "/"',
                                             '"dimension_separator": "."'))  # fmt: skip
    blockseg("evaluate", tmp_path / "pred.zarr", "truth.tif", code=1)
    blockseg("evaluate", "truth.tif", tmp_path / "pred.zarr", code=1)
