"""Other software reads what is written, as OME-Zarr 0.4 and 0.5."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import ome_zarr_models
import ome_zarr_models.v04
import ome_zarr_models.v05
import pytest
import tensorstore as ts
import zarr
from numpy.typing import NDArray

from blockseg.core.space import Space
from blockseg.io.output.codecs import CODECS
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import OutputDtype, PyramidSpec
from blockseg.io.output.reduction import halve
from blockseg.io.output.writer import PyramidWriter

Format = Literal[2, 3]
SHAPE = (60, 100, 300)
SPACE = Space((2.0, 0.5, 0.5), "micrometer", (1.0, 2.0, 3.0))
VERSIONS: dict[Format, Literal["0.4", "0.5"]] = {2: "0.4", 3: "0.5"}


def write(spec: PyramidSpec, data: NDArray[Any]) -> None:
    writer = PyramidWriter(spec)
    for block in spec.grid:
        roi = block.write_roi
        writer.write_block(roi, data[roi.slices()])
    for level, grid in spec.second_pass_grids():
        for shard in grid:
            writer.write_level_block(level, shard.index)


def image_of(dtype: str = "uint8") -> NDArray[Any]:
    rng = np.random.default_rng(5)
    data = rng.integers(0, 256, SHAPE) * (rng.random(SHAPE) < 0.05)
    data[:, :, 100:200] = 0
    return data.astype(dtype)


def output_in(folder: Path, zarr_format: Format) -> PyramidSpec:
    """Make an image and its mask, as a run does."""
    common: dict[str, Any] = {
        "shape": SHAPE,
        "block": (64, 64, 128),
        "space": SPACE,
        "zarr_format": zarr_format,
    }
    image = PyramidSpec(str(folder), name="probability", window=(0, 255), **common)
    uri = str(folder / "labels" / "foreground")
    mask = PyramidSpec(uri, name="foreground", **common)
    create_output(image, mask)
    data = image_of()
    write(image, data)
    write(mask, (data >= 128).astype(np.uint8))
    return image


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_image_and_masks_are_valid_ome_zarr(
    tmp_path: Path, zarr_format: Format
) -> None:
    output_in(tmp_path / "out.zarr", zarr_format)
    models = ome_zarr_models.v04 if zarr_format == 2 else ome_zarr_models.v05
    for path, model in (
        ("", models.Image),
        ("labels", models.Labels),
        ("labels/foreground", models.ImageLabel),
    ):
        group = zarr.open_group(str(tmp_path / "out.zarr"), path=path, mode="r")
        model.from_zarr(group)
        ome_zarr_models.open_ome_zarr(group, version=VERSIONS[zarr_format])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_python_and_tensorstore_read_the_same_voxels(
    tmp_path: Path, zarr_format: Format
) -> None:
    image = output_in(tmp_path, zarr_format)
    driver = "zarr" if zarr_format == 2 else "zarr3"
    expected = image_of()
    for level in image.levels:
        if level.index:
            expected = halve(expected, "max")
        path = f"{image.uri}/{level.index}"
        kvstore = {"driver": "file", "path": f"{path}/"}
        by_tensorstore = ts.open({"driver": driver, "kvstore": kvstore}).result()
        by_zarr = zarr.open_array(path, mode="r")
        np.testing.assert_array_equal(by_tensorstore.read().result(), expected)
        np.testing.assert_array_equal(by_zarr[:], expected)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int16", "float32"])
def test_every_codec_and_type_is_read_by_zarr_python(
    tmp_path: Path, zarr_format: Format, codec: str, dtype: OutputDtype
) -> None:
    spec = PyramidSpec(
        str(tmp_path),
        SHAPE,
        (64, 64, 128),
        dtype,
        zarr_format=zarr_format,
        codec=codec,
        reduce="mean",
    )
    create_output(spec)
    data = image_of(dtype)
    write(spec, data)
    for level, expected in enumerate((data, halve(data, "mean"))):
        array = zarr.open_array(f"{spec.uri}/{level}", mode="r")
        np.testing.assert_array_equal(array[:], expected)


@pytest.mark.filterwarnings("ignore")  # those of another project's dependencies
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_napari_shows_image_and_mask(tmp_path: Path, zarr_format: Format) -> None:
    reader = pytest.importorskip("napari_ome_zarr", exc_type=ImportError)
    output_in(tmp_path / "out.zarr", zarr_format)
    path = str(tmp_path / "out.zarr")
    image, mask = reader.napari_get_reader(path)(path)
    (levels, options, kind) = image
    assert kind == "image"
    assert options["name"] == "probability: blockseg"
    assert options["contrast_limits"] == [0, 255]
    assert list(options["scale"]) == [2.0, 0.5, 0.5]
    assert [level.shape for level in levels] == [
        (60, 100, 300),
        (30, 50, 150),
        (15, 25, 75),
    ]
    np.testing.assert_array_equal(np.asarray(levels[0]), image_of())
    assert mask[2] == "labels"
    np.testing.assert_array_equal(np.asarray(mask[0][0]), image_of() >= 128)


def as_read_by(reader: str, path: str) -> NDArray[Any]:
    if reader == "zarr":
        return np.asarray(zarr.open_array(path, mode="r")[:])
    kvstore = {"driver": "file", "path": f"{path}/"}
    return np.asarray(
        ts.open({"driver": "zarr3", "kvstore": kvstore}).result().read().result()
    )


@pytest.mark.parametrize("reader", ["zarr", "tensorstore"])
@pytest.mark.parametrize("codec", CODECS)
def test_every_flipped_byte_of_a_shard_is_noticed_by_readers_and_healed_by_a_writer(
    tmp_path: Path, codec: str, reader: str
) -> None:
    shape = (20, 24, 28)
    spec = PyramidSpec(str(tmp_path), shape, (32, 32, 32), codec=codec)
    create_output(spec)
    data = np.random.default_rng(0).integers(0, 9, shape).astype(np.uint8)
    write(spec, data)
    shard = tmp_path / "0/c/0/0/0"
    whole = shard.read_bytes()
    for place in range(0, len(whole), len(whole) // 25):
        damaged = bytearray(whole)
        damaged[place] ^= 0x40
        shard.write_bytes(bytes(damaged))
        with pytest.raises((ValueError, RuntimeError)):  # each codec has its words
            as_read_by(reader, f"{spec.uri}/0")
        write(spec, data)
        assert shard.read_bytes() == whole
    np.testing.assert_array_equal(as_read_by(reader, f"{spec.uri}/0"), data)
