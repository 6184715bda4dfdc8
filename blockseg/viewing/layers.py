"""Layers of the viewer, as values and in the viewer's own JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Space, Vector
    from blockseg.web.content import Store

_UM = 1e-6  # metres
_PANEL = 1.6  # width of a panel over its height
_NEARER = 1.75  # what is in front looks larger, and a margin

Look: TypeAlias = "Mapping[str, object]"
"""Fields of the viewer's JSON that say how a layer is drawn."""

PLAIN: Look = {"opacity": 1, "blend": "default"}
"""Laid over what is below, and not mixed with it half and half."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A layer of the viewer."""

    name: str
    """As the viewer shows it, and as its store is called."""

    kind: Literal["image", "segmentation", "annotation"]
    """How the viewer draws it."""

    store: Store | None = None
    """Where it comes from; None of annotations, which are part of the state."""

    scheme: Literal["zarr", "precomputed"] = "zarr"
    """Format of the store."""

    look: Look = field(default_factory=dict)
    """Further fields of the viewer's JSON: shader, opacity."""

    visible: bool = True
    """Whether it is shown at first."""

    archived: bool = False
    """Whether it has no tab at first, but stands in the list of all layers."""

    live: bool = False
    """Whether it changes while a run goes on."""

    slow: bool = False
    """Whether it is computed while it is looked at."""

    def to_plain(self, address: str) -> dict[str, Any]:
        """Return the layer as the viewer's JSON.

        Parameters
        ----------
        address
            Of the store, for the browser.
        """
        plain: dict[str, Any] = {"type": self.kind, "name": self.name, **self.look}
        if self.store is not None:
            plain["source"] = f"{self.scheme}://{address}"
        if not self.visible:
            plain["visible"] = False
            if self.archived:
                plain["archived"] = True
        return plain


@dataclass(frozen=True, slots=True)
class View:
    """Initial state of a viewer."""

    title: str
    """Name of the page."""

    layers: tuple[Layer, ...]
    """The lowest first."""

    space: Space
    """Space of the finest voxels."""

    place: Vector
    """Voxel in the middle, along (z, y, x), of the image with ``space``."""

    shape: Zyx
    """Voxels of that image."""

    flat: bool = False
    """Whether the three-dimensional panel is left out."""

    zoom: float = 0.5
    """Voxels that a pixel of the screen shows at first."""

    remarks: tuple[str, ...] = ()
    """Lines for whoever opens it."""

    def _extent(self) -> float:
        """Return the height of a panel in which the whole volume is seen in 3-D.

        In the viewer's unit, the shortest edge of a voxel. The place is in the middle, and
        the volume may reach far to one side of it.
        """
        sizes = self.space.voxel_size
        z, y, x = (
            max(at, n - at) * size / min(sizes)
            for at, n, size in zip(self.place, self.shape, sizes, strict=True)
        )
        return _NEARER * 2 * max(y, x / _PANEL, z / _PANEL)

    def to_plain(self, addresses: Mapping[str, str]) -> dict[str, Any]:
        """Return the viewer's state.

        Parameters
        ----------
        addresses
            Of the stores, by the names of their layers.
        """
        metric = self.space.unit is not None
        dimensions = {
            name: [size * _UM if metric else size, "m" if metric else ""]
            for name, size in zip("zyx", self.space.voxel_size, strict=True)
        }
        position = [
            n + t / size
            for n, t, size in zip(
                self.place, self.space.translation, self.space.voxel_size, strict=True
            )
        ]
        return {
            "title": self.title,
            # In this order the viewer shows planes of z first.
            "dimensions": {name: dimensions[name] for name in "xyz"},
            "position": position[::-1],
            "crossSectionScale": self.zoom,
            "projectionScale": self._extent(),
            "layers": [
                layer.to_plain(addresses.get(layer.name, "")) for layer in self.layers
            ],
            "selectedLayer": {"layer": self.layers[0].name, "visible": False},
            "layout": "xy" if self.flat else "4panel",
            "showAxisLines": False,
            "showSlices": False,  # which hide what lies behind them in 3-D
            "crossSectionBackgroundColor": "#1b2126",
            "projectionBackgroundColor": "#000000",
        }


def boxes(
    name: str, rois: Sequence[tuple[str, Roi]], space: Space, look: Look
) -> Layer:
    """Return a layer of boxes of voxels, each with a description.

    Parameters
    ----------
    name
        Of the layer.
    rois
        What is said of each box, and the box.
    space
        Of the voxels.
    look
        Further fields of the viewer's JSON.
    """
    metric = space.unit is not None
    found = []
    for number, (said, roi) in enumerate(rois):
        # The viewer's voxel n reaches from n - 1/2 to n + 1/2, as OME-NGFF says.
        corners = [
            [
                n - 0.5 + t / s
                for n, t, s in zip(
                    end, space.translation, space.voxel_size, strict=True
                )
            ][::-1]
            for end in (roi.start, roi.stop)
        ]
        found.append(
            {
                "type": "axis_aligned_bounding_box",
                "id": str(number),
                "description": said,
                "pointA": corners[0],
                "pointB": corners[1],
            }
        )
    scale = {
        axis: [size * _UM if metric else size, "m" if metric else ""]
        for axis, size in zip("xyz", space.voxel_size[::-1], strict=True)
    }
    transform = {"outputDimensions": scale}
    source = {"url": "local://annotations", "transform": transform}
    return Layer(
        name, "annotation", look={"source": source, "annotations": found, **look}
    )
