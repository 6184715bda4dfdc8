"""Attributes as BigDataViewer, BigStitcher, N5 viewers and others write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from blockseg.core.space import Space
from blockseg.io.find import find
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, folders: dict[str, dict[str, Any]]) -> None:
    for name, attributes in folders.items():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        if attributes:
            (folder / "attributes.json").write_text(json.dumps(attributes))


def dataset(x: int, y: int, z: int, **attributes: Any) -> dict[str, Any]:
    return {
        "dimensions": [x, y, z],
        "blockSize": [8, 8, 8],
        "dataType": "uint16",
        "compression": {"type": "gzip", "level": -1},
        **attributes,
    }


def space_of(path: Path, level: int) -> Space:
    return open_volume(find(path, level=level)).space


def test_bigstitcher_states_the_resolution_on_a_group(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "": {"n5": "2.5.1"},
            "setup0": {
                "dataType": "uint16",
                "downsamplingFactors": [[1, 1, 1], [4, 2, 1]],
            },
            "setup0/timepoint0": {"resolution": [0.5, 0.25, 2.0], "multiScale": True},
            "setup0/timepoint0/s0": dataset(64, 48, 32, downsamplingFactors=[1, 1, 1]),
            "setup0/timepoint0/s1": dataset(16, 24, 32, downsamplingFactors=[4, 2, 1]),
        },
    )
    assert open_volume(find(tmp_path)).shape == (32, 48, 64)
    assert space_of(tmp_path, 0) == Space((2.0, 0.25, 0.5), None)
    assert space_of(tmp_path, 1) == Space((2.0, 0.5, 2.0), None, (0, 0.125, 0.75))


def test_factors_may_stand_on_the_group_alone(tmp_path: Path) -> None:
    for key in ("downsamplingFactors", "scales"):
        root = tmp_path / key
        write(
            root,
            {
                "": {
                    "n5": "2.5.1",
                    key: [[1, 1, 1], [2, 2, 1]],
                    "pixelResolution": {"unit": "nm", "dimensions": [500, 500, 2000]},
                },
                "s0": dataset(64, 48, 32),
                "s1": dataset(32, 24, 32),
            },
        )
        assert space_of(root, 0) == Space((2.0, 0.5, 0.5), "micrometer")
        assert space_of(root, 1) == Space(
            (2.0, 1.0, 1.0), "micrometer", (0, 0.25, 0.25)
        )


def test_n5_viewers_repeat_the_finest_voxel_size_on_every_level(tmp_path: Path) -> None:
    stated = {"pixelResolution": [0.5, 0.5, 2.0]}
    write(
        tmp_path,
        {
            "c0/s0": dataset(64, 48, 32, **stated, downsamplingFactors=[1, 1, 1]),
            "c0/s1": dataset(32, 24, 32, **stated, downsamplingFactors=[2, 2, 1]),
            "c0": {"unit": "um"},
        },
    )
    assert space_of(tmp_path, 1) == Space(
        (2.0, 1.0, 1.0), "micrometer", (0, 0.25, 0.25)
    )


def test_other_writers_state_the_voxel_size_of_each_level(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "s0": dataset(64, 48, 32, resolution=[1, 1, 2]),
            "s1": dataset(
                32, 24, 32, resolution=[2, 2, 2], downsamplingFactors=[2, 2, 1]
            ),
        },
    )
    assert space_of(tmp_path, 1) == Space((2.0, 2.0, 2.0), None, (0, 0.5, 0.5))


def test_factors_that_nobody_states_follow_from_the_shapes(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "": {"n5": "1.0.0", "resolution": [1, 1, 3]},
            "s0": dataset(65, 49, 32),
            "s1": dataset(33, 25, 32),
        },
    )
    assert space_of(tmp_path, 1).voxel_size == (3.0, 2.0, 2.0)


def test_a_transform_counts_the_slowest_axis_first(tmp_path: Path) -> None:
    transform = {
        "axes": ["z", "y", "x"],
        "units": ["nm", "nm", "nm"],
        "scale": [40.0, 4.0, 8.0],
        "translate": [20.0, 0.0, 2.0],
    }
    write(tmp_path, {"raw": dataset(8, 8, 8, transform=transform)})
    space = space_of(tmp_path, 0)
    assert space.unit == "micrometer"
    assert space.voxel_size == pytest.approx((0.04, 0.004, 0.008))
    assert space.translation == pytest.approx((0.02, 0.0, 0.002))


@pytest.mark.parametrize("units", ["um", ["um"] * 3])
def test_a_transform_may_shout_and_state_one_unit(tmp_path: Path, units: Any) -> None:
    transform = {"axes": ["Z", "Y", "X"], "units": units, "scale": [4.0, 2.0, 1.0]}
    write(tmp_path, {"raw": dataset(8, 8, 8, transform=transform)})
    assert space_of(tmp_path, 0) == Space((4.0, 2.0, 1.0), "micrometer")


def test_a_group_may_list_the_transforms_of_its_levels(tmp_path: Path) -> None:
    listed = [
        {
            "path": f"s{level}",
            "transform": {
                "axes": ["z", "y", "x"],
                "units": ["um"] * 3,
                "scale": [4.0, 2.0 * 2**level, 2.0 * 2**level],
                "translate": [0.0, 1.0 * level, 1.0 * level],
            },
        }
        for level in (0, 1)
    ]
    write(
        tmp_path,
        {
            "em": {"multiscales": [{"datasets": listed}]},
            "em/s0": dataset(16, 16, 8),
            "em/s1": dataset(8, 8, 8),
        },
    )
    assert space_of(tmp_path, 0) == Space((4.0, 2.0, 2.0), "micrometer")
    coarse = Space((4.0, 4.0, 4.0), "micrometer", (0.0, 1.0, 1.0))
    assert space_of(tmp_path, 1) == coarse


@pytest.mark.parametrize(
    "value", [[0, 1, 1], "x", [1, 1], {"unit": "um"}, [None] * 3, None]
)
def test_a_resolution_that_makes_no_sense_counts_as_not_stated(
    tmp_path: Path, value: Any
) -> None:
    write(tmp_path, {"raw": dataset(8, 8, 8, resolution=value)})
    assert space_of(tmp_path, 0) == Space()


def test_named_axes_may_come_in_either_direction(tmp_path: Path) -> None:
    for names in (["x", "y", "z", "c"], ["c", "z", "y", "x"]):
        root = tmp_path / "".join(names)
        attributes = dataset(8, 7, 6, axes=names, resolution=[1, 2, 3, 1])
        attributes["dimensions"] = [8, 7, 6, 2]
        attributes["blockSize"] = [8, 8, 8, 1]
        write(root, {"raw": attributes})
        spec = find(root, channel=1)
        assert open_volume(spec).shape == (6, 7, 8)
        assert open_volume(spec).space.voxel_size == (3, 2, 1)


def test_channels_between_the_space_axes_are_understood(tmp_path: Path) -> None:
    attributes = dataset(8, 7, 6, axes=["x", "y", "c", "z"])
    attributes["dimensions"] = [8, 7, 2, 6]
    attributes["blockSize"] = [8, 8, 1, 8]
    write(tmp_path, {"raw": attributes})
    assert open_volume(find(tmp_path, channel=1)).shape == (6, 7, 8)


def test_a_container_is_found_from_any_depth_inside_it(tmp_path: Path) -> None:
    write(tmp_path / "a.n5", {"": {"n5": "2.0.0"}, "g/h/raw": dataset(8, 8, 8)})
    for inner in ("", "g", "g/h", "g/h/raw"):
        spec = find(tmp_path / "a.n5" / inner)
        assert (spec.uri, spec.path) == (str(tmp_path / "a.n5"), "g/h/raw")


def test_the_older_spelling_of_compression_is_understood(tmp_path: Path) -> None:
    attributes = dataset(8, 8, 8)
    del attributes["compression"]
    write(tmp_path, {"raw": {**attributes, "compressionType": "gzip"}})
    assert open_volume(find(tmp_path)).shape == (8, 8, 8)
