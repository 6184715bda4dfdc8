"""Affine maps of places, and their files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.core.untrusted.files import METADATA_BYTES, read_text
from blockseg.core.untrusted.json_text import MALFORMED, parse_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Matrix = tuple[tuple[float, float, float, float], ...]
_LARGEST = 1e15  # entry: beyond it places are no numbers of voxels


@dataclass(frozen=True, slots=True)
class AffineMap:
    """An affine map of places (z, y, x)."""

    rows: Matrix = ((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0))
    """The first three rows of its 4×4 matrix, for columns (z, y, x, 1)."""

    @classmethod
    def of(cls, linear: NDArray[np.float64], offset: NDArray[np.float64]) -> Self:
        """Return ``linear @ place + offset``."""
        rows = np.column_stack([linear, offset]).tolist()
        return cls(tuple((a, b, c, d) for a, b, c, d in rows))

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the images of places (n, 3)."""
        matrix = np.array(self.rows)
        # Written out: a product of matrices may differ in the last bit with the number
        # of rows, and results must not depend on how they are batched.
        z, y, x = points.T
        columns = [a * z + b * y + c * x + d for a, b, c, d in matrix]
        return np.stack(columns, axis=1)

    def after(self, first: AffineMap) -> AffineMap:
        """Return the map that applies ``first`` and then this one."""
        mine, other = np.array(self.rows), np.array(first.rows)
        linear = mine[:, :3] @ other[:, :3]
        return AffineMap.of(linear, mine[:, :3] @ other[:, 3] + mine[:, 3])


def read_affine(path: Path) -> AffineMap:
    """Read an affine map: four (or three) rows of four numbers, as text or JSON.

    It takes (z, y, x, 1) in µm of the sample to (z, y, x) in µm of the atlas.

    Parameters
    ----------
    path
        Of the file: JSON, a list of rows or ``{"matrix": rows}``, or numbers as text.

    Raises
    ------
    ConfigError
        If it cannot be read or is no affine map that can be undone.
    """
    try:
        text = read_text(path, METADATA_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        message = f"--transform {path} cannot be read: {why}"
        raise ConfigError(message) from error
    matrix = _numbers(text)
    if matrix is None or matrix.shape not in ((4, 4), (3, 4)):
        shape = "" if matrix is None else f", not {'×'.join(map(str, matrix.shape))}"
        message = (
            f"--transform {path}: expected four rows of four numbers{shape}, as text or "
            "JSON, that take (z, y, x, 1) in µm to the atlas"
        )
        raise ConfigError(message)
    if len(matrix) == 4 and matrix[3].tolist() != [0, 0, 0, 1]:
        last = ",".join(f"{value:g}" for value in matrix[3])
        message = f"--transform {path}: the last row of an affine matrix is 0,0,0,1, not {last}"
        raise ConfigError(message)
    finite = bool(np.isfinite(matrix).all()) and np.abs(matrix).max() <= _LARGEST
    determinant = float(np.linalg.det(matrix[:3, :3])) if finite else np.nan
    if not abs(determinant) > 0:
        message = (
            f"--transform {path}: the matrix flattens space (its determinant is "
            f"{determinant:g}); check its numbers"
        )
        raise ConfigError(message)
    return AffineMap.of(matrix[:3, :3], matrix[:3, 3])


def _numbers(text: str) -> NDArray[np.float64] | None:
    try:
        if text.lstrip()[:1] in ("[", "{"):
            data = parse_json(text)
            rows = data.get("matrix") if isinstance(data, dict) else data
        else:
            lines = (line.partition("#")[0] for line in text.splitlines())
            rows = [
                line.replace(",", " ").replace(";", " ").split()
                for line in lines
                if line.strip()
            ]
        return np.array(rows, np.float64)
    except MALFORMED:
        return None
