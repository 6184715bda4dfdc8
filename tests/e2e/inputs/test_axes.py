import json
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume


def noise(shape):
    return np.random.default_rng(0).normal(200, 10, shape).astype(np.uint16)


def v3(path, shape, names=None):
    array = zarr.create_array(
        path, shape=shape, chunks=shape, dtype="u2", dimension_names=names
    )
    array[...] = noise(shape)
    return path


def v2(path, shape, names=None):
    attributes = None if names is None else {"_ARRAY_DIMENSIONS": names}
    array = zarr.create_array(
        path,
        shape=shape,
        chunks=shape,
        dtype="u2",
        zarr_format=2,
        attributes=attributes,
    )
    array[...] = noise(shape)
    return path


def n5(path, shape, names=None):
    dataset = path / "raw"
    dataset.mkdir(parents=True)
    attributes = {
        "dimensions": list(shape[::-1]),
        "blockSize": list(shape[::-1]),
        "dataType": "uint16",
        "compression": {"type": "raw"},
    }
    if names is not None:
        attributes["axes"] = names[::-1]
    (dataset / "attributes.json").write_text(json.dumps(attributes))
    data = noise(shape)
    header = b"\0\0" + len(shape).to_bytes(2, "big")
    header += b"".join(n.to_bytes(4, "big") for n in shape[::-1])
    chunk = dataset.joinpath(*["0"] * len(shape))
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(header + data.astype(">u2").tobytes())
    return path


def tiff(path, shape, names=None):
    metadata = {"axes": "".join(names).upper()} if names else {}
    tifffile.imwrite(path, noise(shape), photometric="minisblack", metadata=metadata)
    return path


WRITERS = {"zarr v3": v3, "zarr v2": v2, "n5": n5, "tiff": tiff}


def refusal(path, **choices):
    with pytest.raises(VolumeError) as caught:
        find(path, **choices)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("planes", [1, 3, 4])
def test_few_planes_that_nobody_named_are_asked_about(tmp_path, writer, planes):
    source = WRITERS[writer](tmp_path / "a", (planes, 48, 40))
    said = refusal(source)
    assert f"the {planes} of the first may be planes, channels or colours" in said
    assert "--axes zyx" in said
    volume = open_volume(find(source, axes="zyx"))
    assert volume.shape == (planes, 48, 40)
    np.testing.assert_array_equal(
        volume.read(Roi.whole(volume.shape)), noise((planes, 48, 40))
    )


@pytest.mark.parametrize("writer", WRITERS)
def test_colours_on_the_last_axis_are_asked_about(tmp_path, writer):
    source = WRITERS[writer](tmp_path / "a", (48, 40, 3))
    assert "the 3 of the third may be" in refusal(source)


@pytest.mark.parametrize("writer", WRITERS)
def test_planes_before_channels_are_asked_about_and_an_option_says_it(tmp_path, writer):
    source = WRITERS[writer](tmp_path / "a", (20, 2, 32, 24))
    assert "the 2 of the second may be" in refusal(source)
    volume = open_volume(find(source, axes="zcyx", channel=1))
    assert volume.shape == (20, 32, 24)
    expected = noise((20, 2, 32, 24))[:, 1]
    np.testing.assert_array_equal(volume.read(Roi.whole((20, 32, 24))), expected)


@pytest.mark.parametrize("writer", WRITERS)
def test_axes_that_are_named_are_obeyed(tmp_path, writer):
    write = WRITERS[writer]
    assert "2-D (axes cyx" in refusal(
        write(tmp_path / "a", (3, 48, 40), ["c", "y", "x"])
    )
    few = open_volume(find(write(tmp_path / "b", (3, 48, 40), ["z", "y", "x"])))
    assert few.shape == (3, 48, 40)
    source = write(tmp_path / "c", (20, 2, 32, 24), ["z", "c", "y", "x"])
    assert "has 2 channels" in refusal(source)
    assert open_volume(find(source, channel=1)).shape == (20, 32, 24)


@pytest.mark.parametrize(
    ("names", "shape"),
    [
        (["x", "y", "z"], (24, 32, 20)),
        (["Z", "Y", "X"], (20, 32, 24)),
        (["depth", "height", "width"], (20, 32, 24)),
        (["plane", "row", "col"], (20, 32, 24)),
        (["channel", "depth", "row", "column"], (1, 20, 32, 24)),
        (["time", "z", "y", "x"], (1, 20, 32, 24)),
        ([None, "y", "x"], (20, 32, 24)),
        ([None, None, None], (20, 32, 24)),
        (["dim_0", "dim_1", "dim_2"], (20, 32, 24)),
    ],
    ids=str,
)
@pytest.mark.parametrize("writer", [v3, v2])
def test_names_that_mean_an_axis_are_understood(tmp_path, writer, names, shape):
    source = writer(tmp_path / "a", shape, names)
    volume = open_volume(find(source))
    assert volume.shape == (20, 32, 24)
    expected = noise(shape)
    expected = expected.transpose() if names[0] == "x" else expected.reshape(20, 32, 24)
    np.testing.assert_array_equal(volume.read(Roi.whole(volume.shape)), expected)


@pytest.mark.parametrize(
    "names",
    [["i", "j", "k"], ["z", "lat", "lon"], ["c", None, None], ["x", "y", "x"]],
    ids=str,
)
@pytest.mark.parametrize("writer", [v3, v2])
def test_names_that_mean_nothing_known_are_asked_about(tmp_path, writer, names):
    source = writer(tmp_path / "a", (20, 32, 24), names)
    said = refusal(source)
    assert "--axes" in said
    assert open_volume(find(source, axes="xyz")).shape == (24, 32, 20)


@pytest.mark.parametrize("writer", WRITERS)
def test_small_volumes_and_deep_ones_are_not_asked_about(tmp_path, writer):
    for number, shape in enumerate([(5, 48, 40), (20, 32, 24), (4, 5, 6), (8, 8, 8)]):
        assert open_volume(find(WRITERS[writer](tmp_path / str(number), shape))).shape


def test_masks_of_few_planes_are_not_asked_about(tmp_path):
    source = v3(tmp_path / "a", (3, 32, 32))
    assert open_volume(find(source, mask=True)).shape == (3, 32, 32)


def test_a_size_goes_with_its_axis_where_the_user_names_them_anew(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    array = group.create_array("0", shape=(24, 32, 20), chunks=(24, 32, 20), dtype="u2")
    array[...] = noise((24, 32, 20))
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 2.0, 3.0]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    multiscales: Any = [{"axes": axes, "datasets": datasets}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    volume = open_volume(find(tmp_path / "a.zarr", axes="xyz"))
    assert volume.shape == (20, 32, 24)
    assert volume.space.voxel_size == (3.0, 2.0, 1.0)


def test_every_command_asks_about_axes_and_takes_what_is_given(
    tmp_path, refused, doubted
):
    source = v3(tmp_path / "a.zarr", (3, 48, 40))
    refused(source, "3×48×40 voxels", "--axes zyx")
    doubted(source, options=("--axes", "zyx"), silent=("--axes",))


def test_every_command_obeys_named_axes(tmp_path, refused):
    source = v3(tmp_path / "a.zarr", (3, 48, 40), ["c", "y", "x"])
    refused(source, "axes cyx", "--axes")


@pytest.mark.parametrize("version", ["0.1", "0.2", None])
def test_metadata_that_imply_five_axes_leave_an_array_of_three_its_own(
    tmp_path, refused, version
):
    def image(name, shape):
        group = zarr.create_group(tmp_path / name, zarr_format=2)
        array = group.create_array("0", shape=shape, chunks=shape, dtype="u2")
        array[...] = noise(shape)
        stated = {"version": version} if version else {}
        group.attrs["multiscales"] = [{**stated, "datasets": [{"path": "0"}]}]
        return tmp_path / name

    assert open_volume(find(image("a.zarr", (8, 20, 24)))).shape == (8, 20, 24)
    few = image("b.zarr", (3, 20, 24))
    refused(few, "does not name its axes", "--axes zyx")
    assert open_volume(find(few, axes="zyx")).shape == (3, 20, 24)
