"""Digests by content of the inputs that determine a result."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.atlas.affine import AffineMap
from blockseg.core.errors import VolumeError
from blockseg.core.untrusted.files import TABLE_BYTES, opened
from blockseg.io.source_files.fingerprint import fingerprint

if TYPE_CHECKING:
    from blockseg.atlas.transform import Transform
    from blockseg.atlas.volume import AtlasSpec


def file_content(path: str | None) -> str | None:
    """Return the SHA-256 of a file; None for none.

    Raises
    ------
    VolumeError
        If it cannot be read.
    """
    if path is None:
        return None
    try:
        with opened(Path(path).expanduser(), TABLE_BYTES) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise VolumeError(message) from error


def atlas_content(atlas: AtlasSpec) -> str:
    """Return a digest of an atlas: metadata, sizes and times of its files, and its space."""
    space = [*atlas.space.voxel_size, *atlas.space.translation]
    return _digest([fingerprint(atlas.source), space])


def transform_content(transform: Transform | None) -> str | None:
    """Return a digest of a transform; None for none."""
    if transform is None:
        return None
    if isinstance(transform.map, AffineMap):
        return _digest(transform.map.rows)
    field = transform.map
    seen = [fingerprint(spec) for spec in field.components]
    return _digest([seen, field.lattice.rows, field.result.rows])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
