"""Picks for annotation as boxes in the viewer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from blockseg.core.errors import ConfigError
from blockseg.proposals.manifest import ManifestRow
from blockseg.viewing import shaders
from blockseg.viewing.layers import Layer, boxes

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.core.space import Space

MANIFEST = "manifest.json"
"""File of a folder of picks that lists them."""


def picks_layer(folder: Path, space: Space) -> Layer:
    """Return the picks of a folder as a layer of boxes.

    Parameters
    ----------
    folder
        Made by ``blockseg propose-annotations``.
    space
        Of the source, in whose voxels picks are counted.

    Raises
    ------
    ConfigError
        If it has no manifest, or one that cannot be read.
    """
    path = folder / MANIFEST
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["picks"]
        rows = [ManifestRow.from_plain(entry) for entry in listed]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = (
            f"--picks {folder} is no folder of blockseg propose-annotations: {path} cannot "
            f"be read ({error})"
        )
        raise ConfigError(message) from error
    rois = [(f"{row.rank}: {row.name}, {row.reason}", row.box) for row in rows]
    return boxes("picks", rois, space, {"shader": shaders.BOXES})
