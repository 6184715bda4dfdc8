"""Maximum projections as pictures."""

from __future__ import annotations

import base64
import io
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from blockseg.io.output.atomic_files import replace_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAP = 8
_CAPTION = 18
_MARGIN = 4  # pixels at each side of a caption
_WHITE = 255
_OVERLAY = np.array([255, 120, 0], np.float32)
_GOLDEN = 0.6180339887498949


def as_grey(
    plane: NDArray[np.generic], percentile: float = 99.8, gamma: float = 0.7
) -> NDArray[np.uint8]:
    """Stretch a plane of intensities so that faint neurites can be seen.

    Black is the median, nearly all of which is background in a projection of
    sparse tissue.

    Parameters
    ----------
    plane
        Grey levels, (y, x).
    percentile
        Percentile of the plane that is white.
    gamma
        Power of what lies between; below 1 lifts what is faint.
    """
    values = np.nan_to_num(plane.astype(np.float32))
    low, high = np.percentile(values, [50, percentile])
    if high <= low:
        high = float(values.max())
    scaled = (values - low) / max(float(high - low), 1e-6)
    grey: NDArray[np.uint8] = (np.clip(scaled, 0, 1) ** gamma * _WHITE).astype(np.uint8)
    return grey


def overlaid(grey: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a picture with a mask laid over it in orange, (y, x, 3).

    Parameters
    ----------
    grey
        The picture, (y, x).
    mask
        Where to colour it, same shape; what is bright beneath stays brighter.
    """
    rgb = np.repeat(grey[:, :, None], 3, axis=2).astype(np.float32)
    tint = _OVERLAY * (0.55 + 0.45 * rgb[mask] / _WHITE)
    rgb[mask] = tint
    return np.rint(rgb).astype(np.uint8)


def with_scale_bar(
    picture: NDArray[np.uint8], pixel: float, unit: str
) -> NDArray[np.uint8]:
    """Draw a bar of a round length, about a quarter of the width, into a picture.

    Parameters
    ----------
    picture
        (y, x) or (y, x, 3).
    pixel
        Length of a pixel.
    unit
        Its unit, for the text.
    """
    width = picture.shape[1]
    length = _round_below(max(width * pixel / 4, pixel))
    pixels = max(1, round(length / pixel))
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    y, x = picture.shape[0] - 10, 8
    fill = _WHITE if picture.ndim == 2 else (_WHITE,) * 3
    shadow = 0 if picture.ndim == 2 else (0, 0, 0)
    draw.rectangle((x - 1, y - 1, x + pixels, y + 3), fill=shadow)
    draw.rectangle((x, y, x + pixels - 1, y + 2), fill=fill)
    text = f"{length:g} {unit}"
    font = _font()
    draw.text((x + 1, y - 2), text, fill=shadow, font=font, anchor="ls")
    draw.text((x, y - 3), text, fill=fill, font=font, anchor="ls")
    return np.asarray(image)


@cache
def _font() -> ImageFont.FreeTypeFont:
    """Return matplotlib's own font: Pillow's has no µ."""
    import matplotlib as mpl  # takes a tenth of a second, for scale bars alone

    folder = Path(mpl.get_data_path())
    return ImageFont.truetype(folder / "fonts" / "ttf" / "DejaVuSans.ttf", 11)


def _round_below(length: float) -> float:
    """Return the greatest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(n * power for n in (1, 2, 5) if n * power <= length * (1 + 1e-9))


def coloured(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return a bright colour for each label, the same every time; black for 0.

    Parameters
    ----------
    labels
        Of any shape; a last axis of red, green and blue is added.
    """
    numbers = labels.astype(np.uint64)
    # Hues a golden angle apart differ as much as can be for any number of labels.
    turns = (numbers.astype(np.float64) * _GOLDEN) % 1.0
    thirds = np.stack([turns, turns + 1 / 3, turns + 2 / 3], axis=-1) % 1.0
    wave = np.clip(np.abs(6 * thirds - 3) - 1, 0, 1)
    rgb: NDArray[np.uint8] = np.rint(_WHITE * (0.2 + 0.8 * wave)).astype(np.uint8)
    rgb[numbers == 0] = 0
    return rgb


def panels(
    planes: list[tuple[str, NDArray[np.uint8]]], *, across: bool
) -> NDArray[np.uint8]:
    """Set planes of one shape beside or below each other, each with its caption.

    Parameters
    ----------
    planes
        Caption and grey values, (y, x), or colours, (y, x, 3).
    across
        Beside each other; else below.
    """
    framed = [_captioned(text, plane) for text, plane in planes]
    if any(plane.ndim == 3 for plane in framed):
        framed = [_in_colour(plane) for plane in framed]
    axis = 1 if across else 0
    if not across:
        widest = max(plane.shape[1] for plane in framed)
        framed = [_as_wide(plane, widest) for plane in framed]
    parts = [framed[0]]
    for plane in framed[1:]:
        gap = list(plane.shape)
        gap[axis] = _GAP
        parts += [np.full(gap, _WHITE, np.uint8), plane]
    return np.concatenate(parts, axis=axis)


def _captioned(text: str, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    drawn = ImageDraw.Draw(Image.new("L", (1, 1)))
    needed = math.ceil(drawn.textlength(text)) + 2 * _MARGIN
    if needed > plane.shape[1]:  # narrower than its caption: white beside it
        plane = _as_wide(plane, needed)
    strip = Image.new("L", (plane.shape[1], _CAPTION), _WHITE)
    ImageDraw.Draw(strip).text((_MARGIN, 3), text, fill=0)
    caption = np.asarray(strip)
    return np.concatenate([_in_colour(caption) if plane.ndim == 3 else caption, plane])


def _as_wide(plane: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    beside = [(0, 0), (0, width - plane.shape[1]), (0, 0)][: plane.ndim]
    return np.pad(plane, beside, constant_values=_WHITE)


def _in_colour(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return plane if plane.ndim == 3 else np.repeat(plane[:, :, None], 3, axis=2)


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
