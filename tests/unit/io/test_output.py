"""The metadata of an output, and the care of its files."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from blockseg.core.errors import ConfigError, GeometryError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.io.output.create import (
    create_output,
    missing_files,
    predicted_files,
    remove_stale_locks,
)
from blockseg.io.output.pyramid import PyramidLevel, PyramidSpec
from blockseg.io.output.writer import PyramidWriter

Format = Literal[2, 3]
SPACE = Space((2.0, 0.5, 0.5), "micrometer", (10.0, 0.0, 1.0))


def spec_of(folder: Path, **changes: Any) -> PyramidSpec:
    settings: dict[str, Any] = {
        "uri": str(folder),
        "shape": (60, 100, 300),
        "block": (64, 64, 128),
        "space": SPACE,
        "name": "probability",
        "window": (0, 255),
    }
    return PyramidSpec(**(settings | changes))


def foreground_of(image: PyramidSpec, **changes: Any) -> PyramidSpec:
    uri = Path(image.uri, "labels", "foreground")
    settings = {"zarr_format": image.zarr_format, "name": "foreground", "window": None}
    return spec_of(uri, **(settings | changes))


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def multiscale_of(folder: Path, zarr_format: Format) -> dict[str, Any]:
    if zarr_format == 2:
        attributes = json.loads((folder / ".zattrs").read_text())
    else:
        attributes = json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]
    multiscale: dict[str, Any] = attributes["multiscales"][0]
    return multiscale


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_each_level_states_its_scale_and_the_centre_of_its_first_voxel(
    tmp_path: Path, zarr_format: Format
) -> None:
    create_output(spec_of(tmp_path, zarr_format=zarr_format))
    transformations = [
        dataset["coordinateTransformations"]
        for dataset in multiscale_of(tmp_path, zarr_format)["datasets"]
    ]
    assert transformations == [
        [
            {"type": "scale", "scale": [2.0, 0.5, 0.5]},
            {"type": "translation", "translation": [10.0, 0.0, 1.0]},
        ],
        [
            {"type": "scale", "scale": [4.0, 1.0, 1.0]},
            {"type": "translation", "translation": [11.0, 0.25, 1.25]},
        ],
        [
            {"type": "scale", "scale": [8.0, 2.0, 2.0]},
            {"type": "translation", "translation": [13.0, 0.75, 1.75]},
        ],
    ]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_unit_is_stated_only_where_it_is_known(
    tmp_path: Path, zarr_format: Format
) -> None:
    create_output(spec_of(tmp_path / "a", zarr_format=zarr_format))
    create_output(spec_of(tmp_path / "b", zarr_format=zarr_format, space=Space()))
    known = multiscale_of(tmp_path / "a", zarr_format)["axes"]
    unknown = multiscale_of(tmp_path / "b", zarr_format)["axes"]
    assert known[0] == {"name": "z", "type": "space", "unit": "micrometer"}
    assert unknown[0] == {"name": "z", "type": "space"}


def test_the_metadata_say_how_the_levels_were_made(tmp_path: Path) -> None:
    create_output(spec_of(tmp_path))
    multiscale = multiscale_of(tmp_path, 3)
    assert multiscale["type"] == "maximum"
    assert "a thin axon must stay visible" in multiscale["metadata"]["description"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_making_an_output_again_gives_the_same_bytes(
    tmp_path: Path, zarr_format: Format
) -> None:
    image = spec_of(tmp_path, zarr_format=zarr_format)
    create_output(image, foreground_of(image))
    before = files_below(tmp_path)
    create_output(image, foreground_of(image))
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_half_made_output_is_completed_to_the_same_bytes(
    tmp_path: Path, zarr_format: Format
) -> None:
    image = spec_of(tmp_path, zarr_format=zarr_format)
    create_output(image, foreground_of(image))
    before = files_below(tmp_path)
    for number, name in enumerate(sorted(before)):
        path = tmp_path / name
        if number % 2:
            path.write_bytes(before[name][:10])
        else:
            path.rename(path.with_name(f"{path.name}.part"))
    create_output(image, foreground_of(image))
    assert files_below(tmp_path) == before


def test_the_metadata_do_not_depend_on_the_name_of_the_output(tmp_path: Path) -> None:
    for name in ("first", "other é"):
        image = spec_of(tmp_path / name)
        create_output(image, foreground_of(image))
    assert files_below(tmp_path / "first") == files_below(tmp_path / "other é")


def test_arrays_of_another_run_are_never_written_over(tmp_path: Path) -> None:
    create_output(spec_of(tmp_path))
    before = files_below(tmp_path)
    with pytest.raises(VolumeError, match="already holds an array of another shape"):
        create_output(spec_of(tmp_path, shape=(60, 100, 301)))
    assert files_below(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(VolumeError, match=r"cannot write .*file.*Not a directory"):
        create_output(spec_of(tmp_path / "file" / "out"))


def test_a_mask_outside_its_image_is_refused(tmp_path: Path) -> None:
    image = spec_of(tmp_path / "out")
    with pytest.raises(ConfigError, match="must lie in labels/"):
        create_output(image, spec_of(tmp_path / "elsewhere"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codec": "blosc-zst"}, "did you mean blosc-zstd"),
        ({"dtype": "complex64"}, "cannot write voxels of type 'complex64'"),
        ({"zarr_format": 4}, "no Zarr format 4"),
        ({"reduce": "median"}, "no reduction 'median'"),
        ({"uri": "out.zarr"}, "absolute path"),
    ],
)
def test_a_setting_that_is_unknown_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        spec_of(tmp_path, **changes)


def test_a_shape_without_voxels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="at least one voxel"):
        spec_of(tmp_path, shape=(0, 1, 1))


def test_a_chunk_that_two_blocks_would_write_is_refused() -> None:
    with pytest.raises(GeometryError, match="two blocks would write one chunk"):
        PyramidLevel(0, (100, 100, 100), (64, 64, 64), (96, 96, 96), inline=True)


@pytest.mark.parametrize(
    "grid",
    [
        BlockGrid((60, 100, 300), (64, 64, 64)),
        BlockGrid((60, 100, 301), (64, 64, 128)),
        BlockGrid((80, 100, 300), (64, 64, 128), roi=Roi((0, 0, 0), (59, 100, 300))),
    ],
)
def test_blocks_that_do_not_tile_the_shards_are_refused(
    tmp_path: Path, grid: BlockGrid
) -> None:
    with pytest.raises(GeometryError, match="two blocks would write one shard"):
        spec_of(tmp_path).check_grid(grid)


def test_blocks_of_a_region_are_the_shards_of_the_output(tmp_path: Path) -> None:
    roi = Roi((7, 9, 11), (67, 109, 311))
    spec_of(tmp_path).check_grid(BlockGrid((80, 200, 400), (64, 64, 128), roi=roi))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_block_whose_files_are_gone_is_missing(
    tmp_path: Path, zarr_format: Format
) -> None:
    spec = spec_of(tmp_path, zarr_format=zarr_format)
    create_output(spec)
    writer = PyramidWriter(spec)
    for block in spec.grid:
        writer.write_block(block.write_roi, np.ones(block.write_roi.shape, np.uint8))
    every = range(len(spec.grid))
    assert missing_files(spec, every) == ()
    for file in spec.stored_files(spec.levels[0], spec.grid.block((0, 1, 1)).write_roi):
        file.unlink()
    assert missing_files(spec, every) == (spec.grid.id_of((0, 1, 1)),)


def test_a_block_without_its_coarse_shard_is_missing(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, shape=(100, 100, 300), block=(128, 128, 128))
    create_output(spec)
    writer = PyramidWriter(spec)
    for block in spec.grid:
        writer.write_block(block.write_roi, np.ones(block.write_roi.shape, np.uint8))
    (tmp_path / "1" / "c" / "0" / "0" / "2").unlink()
    assert missing_files(spec, np.arange(3)) == (2,)


def test_a_shard_of_the_second_pass_can_be_missing(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    create_output(spec)
    ((level, grid), *_) = spec.second_pass_grids()
    assert missing_files(spec, range(len(grid)), level) == tuple(range(len(grid)))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_full_output_has_as_many_files_as_predicted(
    tmp_path: Path, zarr_format: Format
) -> None:
    spec = spec_of(tmp_path, zarr_format=zarr_format)
    create_output(spec)
    writer = PyramidWriter(spec)
    for block in spec.grid:
        writer.write_block(block.write_roi, np.ones(block.write_roi.shape, np.uint8))
    for level, grid in spec.second_pass_grids():
        for shard in grid:
            writer.write_level_block(level, shard.index)
    assert len(files_below(tmp_path)) == predicted_files(spec)
    assert predicted_files(spec, 1) < predicted_files(spec)


def test_only_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    create_output(spec)
    folder = tmp_path / "0" / "c" / "0"
    folder.mkdir(parents=True)
    (folder / "0").write_bytes(b"shard")
    before = files_below(tmp_path)
    left = [
        folder / ".0.host.7.partial", folder / "0.__lock", tmp_path / "zarr.json.__lock",
    ]  # fmt: skip
    for path in left:
        path.write_bytes(b"half")
    assert remove_stale_locks(tmp_path) == tuple(map(str, left))
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_metadata_that_this_run_wrote_are_made_again_whatever_became_of_them(
    tmp_path: Path, zarr_format: Format
) -> None:
    image = spec_of(tmp_path, zarr_format=zarr_format)
    ours = create_output(image, foreground_of(image))
    before = files_below(tmp_path)
    assert {file.path: file.size for file in ours} == {
        name: len(data) for name, data in before.items()
    }
    array = tmp_path / "0" / ("zarr.json" if zarr_format == 3 else ".zarray")
    array.write_text(array.read_text().replace("300", "301"))
    with pytest.raises(VolumeError, match="already holds an array of another shape"):
        create_output(image, foreground_of(image))
    assert create_output(image, foreground_of(image), ours=ours) == ours
    assert files_below(tmp_path) == before


def test_metadata_of_another_run_are_not_taken_for_ours(tmp_path: Path) -> None:
    ours = create_output(spec_of(tmp_path))
    with pytest.raises(VolumeError, match="already holds an array of another shape"):
        create_output(spec_of(tmp_path, checked=False), ours=ours)
