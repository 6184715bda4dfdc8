"""The two images of a run: probability, and the mask among its labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from blockseg.io.output.pyramid import PyramidSpec

if TYPE_CHECKING:
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Space
    from blockseg.io.stores.location import Location

FOREGROUND = "labels/foreground"
"""Path of the mask in the output."""


def run_images(
    out: Location,
    roi: Roi,
    block: Zyx,
    space: Space,
    *,
    zarr_format: Literal[2, 3],
    codec: str,
    checked: bool,
) -> tuple[PyramidSpec, PyramidSpec]:
    """Return probability and mask of a run.

    Parameters
    ----------
    out
        The output.
    roi
        Region of the source that it covers.
    block
        Voxels of a block.
    space
        Of the source.
    zarr_format, codec, checked
        How they are stored.
    """
    probability = PyramidSpec(
        uri=str(out),
        shape=roi.shape,
        block=block,
        dtype="uint8",
        space=space.cropped(roi.start),
        zarr_format=zarr_format,
        codec=codec,
        reduce="max",
        name="probability",
        window=(0, 255),
        checked=checked,
    )
    foreground = replace(
        probability,
        uri=str(out / FOREGROUND),
        name="foreground",
        window=None,
        within=FOREGROUND,
    )
    return probability, foreground
