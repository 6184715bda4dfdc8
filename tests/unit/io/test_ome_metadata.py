from __future__ import annotations

from typing import Any

import pytest

from blockseg.core.errors import VolumeError
from blockseg.core.space import Space
from blockseg.io.zarr.ome import read_multiscales


def image(
    inner: list[dict[str, Any]], outer: list[dict[str, Any]] | None = None, **axis: Any
) -> dict[str, Any]:
    axes = [{"name": name, "type": "space", **axis} for name in "zyx"]
    multiscale: dict[str, Any] = {
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": inner}],
    }
    if outer is not None:
        multiscale["coordinateTransformations"] = outer
    return {"multiscales": [multiscale]}


def only(attributes: dict[str, Any]) -> Space:
    found = read_multiscales(attributes, "here")
    assert found is not None
    return found[0].space


def test_the_outer_transformations_apply_after_those_of_the_level() -> None:
    inner = [
        {"type": "scale", "scale": [4, 2, 2]},
        {"type": "translation", "translation": [1, 0.5, 0.5]},
    ]
    outer = [
        {"type": "scale", "scale": [10, 10, 10]},
        {"type": "translation", "translation": [7, 0, 0]},
    ]
    space = only(image(inner, outer, unit="micrometer"))
    assert space == Space((40, 20, 20), "micrometer", (17, 5, 5))


@pytest.mark.parametrize(
    ("unit", "factor"), [("nanometer", 1e-3), ("millimeter", 1e3), ("angstrom", 1e-4)]
)
def test_units_are_turned_into_micrometres(unit: str, factor: float) -> None:
    inner = [
        {"type": "scale", "scale": [4, 2, 3]},
        {"type": "translation", "translation": [1, 2, 3]},
    ]
    space = only(image(inner, unit=unit))
    assert space.unit == "micrometer"
    assert space.voxel_size == pytest.approx((4 * factor, 2 * factor, 3 * factor))
    assert space.translation == pytest.approx((factor, 2 * factor, 3 * factor))


def test_sizes_without_a_unit_keep_none() -> None:
    space = only(image([{"type": "scale", "scale": [4, 2, 3]}]))
    assert space == Space((4, 2, 3), None)


@pytest.mark.parametrize("scale", [[0, 1, 1], [-1, 1, 1], [float("nan"), 1, 1]])
def test_sizes_that_no_voxel_has_count_as_not_stated(scale: list[float]) -> None:
    assert (
        only(image([{"type": "scale", "scale": scale}], unit="micrometer")) == Space()
    )


def test_version_05_keeps_its_metadata_under_ome() -> None:
    attributes = {"ome": image([{"type": "scale", "scale": [4, 2, 3]}], unit="um")}
    assert only(attributes) == Space((4, 2, 3), "micrometer")


def test_the_first_versions_always_have_five_axes() -> None:
    found = read_multiscales({"multiscales": [{"datasets": [{"path": "0"}]}]}, "here")
    assert found is not None
    assert found[0].axes == ("t", "c", "z", "y", "x")


def test_axes_in_another_order_keep_their_sizes() -> None:
    axes = [{"name": name, "type": "space", "unit": "um"} for name in "xyz"]
    scale = [{"type": "scale", "scale": [1, 2, 3]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    found = read_multiscales(
        {"multiscales": [{"axes": axes, "datasets": datasets}]}, ""
    )
    assert found is not None
    assert found[0].axes == ("x", "y", "z")
    assert found[0].space.voxel_size == (3, 2, 1)


def test_a_group_without_multiscales_is_no_image() -> None:
    assert read_multiscales({"anything": 1}, "here") is None


@pytest.mark.parametrize(
    "multiscales", [[], [{}], "x", [{"datasets": []}], [{"datasets": [{}]}]], ids=str
)
def test_incomplete_metadata_are_refused(multiscales: Any) -> None:
    with pytest.raises(VolumeError, match="here: its OME-NGFF metadata"):
        read_multiscales({"multiscales": multiscales}, "here")
