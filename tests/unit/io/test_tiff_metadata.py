from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from blockseg.core.space import Space
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.tiff.series import series_axes

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"PhysicalSizeZ": 2000.0, "PhysicalSizeY": 500.0, "PhysicalSizeX": 400.0}


def space_of(path: Path, **options: Any) -> Space:
    tifffile.imwrite(
        path, np.ones((7, 8, 9), "u2"), photometric="minisblack", **options
    )
    return open_volume(find(path)).space


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m", "µm"])
def test_imagej_states_spacing_and_pixels_a_unit(tmp_path: Path, unit: str) -> None:
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": unit.replace("µ", "\\u00B5")}
    space = space_of(tmp_path / "a", imagej=True, resolution=(4, 2), metadata=metadata)
    assert space == Space((3.0, 0.5, 0.25), "micrometer")


def test_imagej_in_nanometres_is_converted(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "spacing": 3000.0, "unit": "nm"}
    space = space_of(
        tmp_path / "a", imagej=True, resolution=(0.002, 0.002), metadata=metadata
    )
    assert space.unit == "micrometer"
    assert space.voxel_size == pytest.approx((3.0, 0.5, 0.5))


def test_imagej_without_a_unit_has_none(tmp_path: Path) -> None:
    assert space_of(tmp_path / "a", imagej=True) == Space()


def test_ome_states_each_axis_with_its_unit(tmp_path: Path) -> None:
    units = {f"PhysicalSize{axis}Unit": "nm" for axis in "ZYX"}
    metadata = {"axes": "ZYX", **SIZES, **units}
    space = space_of(tmp_path / "a", ome=True, metadata=metadata)
    assert space == Space((2.0, 0.5, 0.4), "micrometer")


def test_ome_without_the_size_along_z_states_none(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    assert space_of(tmp_path / "a", ome=True, metadata=metadata) == Space()


def test_dots_an_inch_are_no_voxel_size(tmp_path: Path) -> None:
    options = {"resolution": (72, 72), "resolutionunit": "INCH"}
    assert space_of(tmp_path / "a", metadata=None, **options) == Space()


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("ZYX", (5, 6, 7), "zyx"),
        ("QYX", (5, 6, 7), "zyx"),
        ("IYX", (5, 6, 7), "zyx"),
        ("TYX", (5, 6, 7), "zyx"),
        ("CYX", (5, 6, 7), "zyx"),
        ("CYX", (3, 6, 7), "cyx"),
        ("CZYX", (3, 5, 6, 7), "czyx"),
        ("QQYX", (3, 5, 6, 7), "czyx"),
        ("TZCYX", (2, 5, 3, 6, 7), "tzcyx"),
        ("TCYX", (2, 3, 6, 7), "tcyx"),
        ("TCYX", (1, 9, 6, 7), "tzyx"),
        ("ZYXS", (5, 6, 7, 1), "zyxs"),
        ("YX", (6, 7), "yx"),
    ],
)
def test_axes_of_a_stack_are_guessed_only_where_there_is_one_answer(
    axes: str, shape: tuple[int, ...], expected: str
) -> None:
    assert "".join(series_axes(axes, shape, "file")) == expected
