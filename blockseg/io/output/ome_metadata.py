"""OME-NGFF metadata of an output: version 0.5 on Zarr v3, 0.4 on Zarr v2.

Nothing here depends on the output's name, the time or the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.io.output.pyramid import PyramidSpec

__all__ = [
    "group_documents",
    "image_attributes",
    "label_attributes",
    "labels_attributes",
]

_METHODS: dict[str, str] = {"max": "maximum", "mean": "mean"}
_DESCRIPTIONS: dict[str, str] = {
    "max": "maximum of each 2x2x2 voxels: a thin axon must stay visible",
    "mean": "mean of each 2x2x2 voxels; integers are rounded half to even",
}


def group_documents(zarr_format: int, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the files that describe a group, by name.

    Parameters
    ----------
    attributes
        OME metadata as one of the functions of this module returns them.
    """
    if zarr_format == 2:
        return {".zgroup": {"zarr_format": 2}, ".zattrs": attributes}
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": {"version": "0.5", **attributes}},
    }
    return {"zarr.json": document}


def image_attributes(spec: PyramidSpec) -> dict[str, Any]:
    """Return the metadata of an image: its levels, and how to show it."""
    attributes: dict[str, Any] = {"multiscales": [_multiscale(spec)]}
    if spec.window is not None:
        start, end = spec.window
        channel = {
            "label": "blockseg",
            "color": "FFFFFF",
            "active": True,
            "window": {"min": start, "max": end, "start": start, "end": end},
        }
        attributes["omero"] = {"channels": [channel], "rdefs": {"model": "greyscale"}}
    return attributes


def label_attributes(spec: PyramidSpec) -> dict[str, Any]:
    """Return the metadata of a mask that lies in ``labels/NAME`` of its image."""
    label: dict[str, Any] = {
        "colors": [{"label-value": 1, "rgba": [255, 128, 0, 255]}],
        "source": {"image": "../../"},
    }
    if spec.zarr_format == 2:
        label = {"version": "0.4", **label}
    return {"multiscales": [_multiscale(spec)], "image-label": label}


def labels_attributes(names: Sequence[str]) -> dict[str, Any]:
    """Return the metadata of the group ``labels``: the names of the masks in it."""
    return {"labels": list(names)}


def _multiscale(spec: PyramidSpec) -> dict[str, Any]:
    method = _METHODS[spec.reduce]
    description = _DESCRIPTIONS[spec.reduce]
    version = {"version": "0.4"} if spec.zarr_format == 2 else {}
    return {
        **version,
        "name": spec.name,
        "axes": [_axis(spec, name) for name in "zyx"],
        "datasets": [_dataset(spec, level.index) for level in spec.levels],
        "type": method,
        "metadata": {"method": method, "description": description},
    }


def _axis(spec: PyramidSpec, name: str) -> dict[str, str]:
    axis = {"name": name, "type": "space"}
    return axis if spec.space.unit is None else {**axis, "unit": spec.space.unit}


def _dataset(spec: PyramidSpec, level: int) -> dict[str, Any]:
    space = spec.space.coarser(level)
    transformations = [
        {"type": "scale", "scale": list(space.voxel_size)},
        {"type": "translation", "translation": list(space.translation)},
    ]
    return {"path": str(level), "coordinateTransformations": transformations}
