"""Settings of ``blockseg view``, ``threshold`` and ``preview``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blockseg.config.declare import option
from blockseg.config.values import parse_float, parse_int, parse_switch, parse_text
from blockseg.core.errors import ConfigError

_LARGEST_PORT = 65_535
_PIXELS = range(64, 8193)


def _port(name: str, value: Any) -> int:
    """Return a port number; 0 is any that is free.

    Raises
    ------
    ConfigError
        If it is none.
    """
    number = parse_int(0)(name, value)
    if number > _LARGEST_PORT:
        message = f"--{name} {number}: ports end at {_LARGEST_PORT}"
        raise ConfigError(message)
    return number


def _names(name: str, value: Any) -> tuple[str, ...]:
    """Return names: ``image,mask``, or a list."""
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    return tuple(parse_text(name, str(part)).strip() for part in parts)


def _pixels(name: str, value: Any) -> tuple[int, int]:
    """Return width and height of a picture: ``1280,800`` or ``1280x800``.

    Raises
    ------
    ConfigError
        If they are no such lengths.
    """
    parts = (
        value
        if isinstance(value, list | tuple)
        else str(value).replace("x", ",").split(",")
    )
    try:
        width, height = (int(str(part)) for part in parts)
    except ValueError:
        width = height = 0
    if width not in _PIXELS or height not in _PIXELS:
        message = (
            f"--{name} {value!s}: expected width,height in pixels, as in 1280,800, from "
            f"{_PIXELS.start} to {_PIXELS.stop - 1}"
        )
        raise ConfigError(message)
    return width, height


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """Everything that ``blockseg view`` takes besides what is looked at."""

    layers: tuple[str, ...] | None = option(
        None,
        _names,
        "Only these, as in image,mask; others are not served.",
        metavar="NAME,…",
    )
    """Names of the layers to show; all if not given."""

    picks: str | None = option(
        None,
        parse_text,
        "Folder of propose-annotations, whose picks are shown as boxes.",
        metavar="PICKS",
    )
    """Folder of picks, shown as boxes."""

    port: int = option(0, _port, "Port on this machine. [any free one]", metavar="N")
    """Port to listen on, on the loopback address; any free one if 0."""

    browser: bool = option(
        True,
        parse_switch,
        "Open the page in your browser. [on]",
        flags=("--browser/--no-browser",),
    )
    """Open the page in the user's browser; its address is printed anyway."""

    screenshot: str | None = option(
        None,
        parse_text,
        "Save the first view of the page as a PNG, and exit.",
        metavar="FILE.png",
    )
    """Picture to draw, by a Chromium without a window, instead of waiting for a user."""

    size: tuple[int, int] = option(
        (1280, 800),
        _pixels,
        "Width and height of the picture. [1280,800]",
        metavar="W,H",
        unit="pixels",
    )
    """Width and height of the picture."""

    state: str | None = option(
        None,
        parse_text,
        "Start from the view in this file, and keep it up to date.",
        metavar="FILE.json",
    )
    """File with place, layers and contrast: read at first if it is there, written when
    the viewer ends."""

    napari: bool = option(
        False, parse_switch, "Show it in napari, if that is installed."
    )
    """Show it in napari and not in a browser."""


@dataclass(frozen=True, slots=True)
class ThresholdSettings:
    """Everything that ``blockseg threshold`` takes besides OUT and the threshold."""

    min_size: int | None = option(
        None,
        parse_int(0),
        "Then label; smaller objects are not in the clean mask.",
        metavar="N",
        unit="voxels",
    )
    """Voxels that an object of ``labels/foreground_clean`` has at least; nothing is
    labelled if not given."""

    metrics: bool = option(
        True,
        parse_switch,
        "Count metrics again, from the image; else drop them. [on]",
        flags=("--metrics/--no-metrics",),
    )
    """Count the metrics of cubes anew, for which the image is read; otherwise they are
    left out, as by ``run --no-metrics``."""


@dataclass(frozen=True, slots=True)
class PreviewSettings:
    """Settings of a picture."""

    percentile: float = option(
        99.8,
        parse_float(50.1, 100.0),
        "Grey levels from this percentile on are white. [99.8]",
        metavar="P",
    )
    """Percentile of a projection of the image that is white; black is its median."""

    gamma: float = option(
        0.7,
        parse_float(0.05, 10.0),
        "Gamma of the grey levels; below 1 brightens faint ones. [0.7]",
        metavar="G",
    )
    """Power of the grey levels between."""

    slabs: int | None = option(
        None,
        parse_int(0, 16),
        "Thin slabs along z next to the projections; 0 for none. [auto]",
        metavar="N",
    )
    """Thin slabs along z; four where the projected mask covers a fifth of the picture or
    more, if not given."""
