"""Maximum projections as pictures."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from blockseg.io.output.atomic_files import replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_GAP = 8
_CAPTION = 18
_WHITE = 255


def as_grey(plane: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Stretch a plane of intensities so that faint neurites can be seen.

    Black is the median, nearly all of which is background in a projection of
    sparse tissue; white the 99.8th percentile.
    """
    values = np.nan_to_num(plane.astype(np.float32))
    low, high = np.percentile(values, [50, 99.8])
    if high <= low:
        high = float(values.max())
    scaled = (values - low) / max(float(high - low), 1e-6)
    grey: NDArray[np.uint8] = (np.clip(scaled, 0, 1) ** 0.7 * _WHITE).astype(np.uint8)
    return grey


def panels(
    planes: list[tuple[str, NDArray[np.uint8]]], *, across: bool
) -> NDArray[np.uint8]:
    """Set planes of one shape beside or below each other, each with its caption.

    Parameters
    ----------
    planes
        Caption and grey values, (y, x).
    across
        Beside each other; else below.
    """
    framed = [_captioned(text, plane) for text, plane in planes]
    axis = 1 if across else 0
    parts = [framed[0]]
    for plane in framed[1:]:
        gap = (plane.shape[0], _GAP) if across else (_GAP, plane.shape[1])
        parts += [np.full(gap, _WHITE, np.uint8), plane]
    return np.concatenate(parts, axis=axis)


def _captioned(text: str, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    strip = Image.new("L", (plane.shape[1], _CAPTION), _WHITE)
    ImageDraw.Draw(strip).text((4, 3), text, fill=0)
    return np.concatenate([np.asarray(strip), plane])


def png(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture as the smallest PNG, shape (y, x) or (y, x, 3)."""
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, format="PNG", optimize=True)
    return encoded.getvalue()


def png_uri(encoded: bytes) -> str:
    """Return a PNG as the address of an image within a page."""
    return "data:image/png;base64," + base64.b64encode(encoded).decode()


def save_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture in one step; errors as of :func:`replace_file`."""
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, format="PNG")
    replace_file(path, encoded.getvalue())
