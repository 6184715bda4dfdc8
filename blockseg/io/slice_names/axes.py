"""Axes that the varying parts of slices' names count: planes, channels, tiles, time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from blockseg.io.slice_names.steps import steps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.io.slice_names.numbers import Field

FEW = 5
"""Planes; fewer may be channels, tiles or time points."""

_Z = {
    "z", "zpos", "zplane", "slice", "slices", "sl", "plane", "section", "sec", "layer",
    "depth",
}  # fmt: skip
_ACROSS = {"x", "y", "xpos", "ypos"}
_SIDE_BY_SIDE = {
    "ch", "chan", "channel", "channels", "wavelength", "lambda", "laser", "cam", "camera",
    "tile", "view", "angle",
}  # fmt: skip
_CHANNELS = {"c", "w", "wv"}  # in short
_RARELY_PLANES = {
    "c", "w", "wv", "t", "tp", "time", "timepoint", "pos", "position", "series", "roi",
    "fov", "field", "well", "cycle", "round", "cy", "alexa",
}  # fmt: skip
# Lines of lasers and maxima of dyes, in nm.
_WAVELENGTHS = {
    405, 445, 457, 473, 488, 491, 514, 515, 525, 532, 546, 552, 555, 561, 568, 592, 594,
    595, 610, 620, 633, 638, 639, 640, 642, 647, 660, 670, 685, 690, 700, 730, 750, 785,
    790, 800,
}  # fmt: skip
_COLOURS = {
    "red", "green", "blue", "yellow", "cyan", "magenta", "farred", "dapi", "gfp", "egfp",
    "yfp", "cfp", "rfp", "tdtomato", "mcherry", "cy", "alexa", "fitc", "tritc", "texasred",
    "hoechst", "signal", "background", "reference", "auto", "autofluorescence",
}  # fmt: skip
_APART = {"left", "right", "raw", "image", "mask", "masks", "label", "labels", "seg"}


def plane_counter(numbers: Sequence[Field], words: Sequence[Field]) -> Field:
    """Return the field that counts planes."""
    count = len(numbers[0].codes)
    plain = [f for f in numbers if f.kind == "number"]
    running = next((f for f in plain if f.distinct == count), None)
    if not plain or _combinations([*plain, *words]) < count:  # times tell names apart
        plain = [f for f in plain if not _is_side_by_side(f)] or list(numbers)
    # A number that runs over planes and channels alike tells neither.
    rest = [f for f in plain if f.distinct < count]
    if running is not None and len(rest) > 1:
        order = np.argsort(running.codes, kind="stable")
        cycling = [f for f in rest if _cycles(f, order)]
        if cycling and _combinations([*rest, *words]) == count:
            plain = _fastest(cycling, order) or rest
    alone = [f for f in plain if f.distinct == count]
    named = [f for f in plain if f.label in _Z]
    measured = [f for f in alone if f.measured and f.label not in _ACROSS]
    for one in (*named, *measured, *sorted(alone, key=_is_scattered)):
        if one.distinct == count and steps_of(one.values) is not None:
            return one
    if named and not alone:
        return max(named, key=lambda f: f.distinct)
    if alone:
        return alone[0]
    likely = [f for f in plain if f.label not in _SIDE_BY_SIDE | _ACROSS] or plain
    return max(enumerate(likely), key=lambda at: (at[1].distinct, at[0]))[1]


def _fastest(cycling: Sequence[Field], order: NDArray[np.int64]) -> list[Field]:
    """Return the field that changes most often of those that may count planes.

    None, if one of all of them is named so.
    """
    if any(f.label in _Z for f in cycling):
        return []
    many = [f for f in cycling if f.distinct >= FEW and f.label not in _SIDE_BY_SIDE]
    changes = [np.count_nonzero(np.diff(f.codes[order])) for f in many]
    return [many[int(np.argmax(changes))]] if many else []


def _is_scattered(one: Field) -> bool:
    """Say whether more planes are missing between numbers than there are."""
    steps = steps_of(one.values)
    return steps is not None and steps.missing >= one.distinct


def rather_no_planes(fields: Sequence[Field]) -> bool:
    """Say whether names differ in channels, tiles or times, and in nothing else.

    Planes are named so as well, but seldom where they are few.
    """
    told = [f for f in fields if f.kind != "clock"]
    return bool(told) and all(map(_is_rather_no_plane, told))


def _is_rather_no_plane(one: Field) -> bool:
    if one.kind == "word":
        return _are(one, _COLOURS | _APART)
    labels = _RARELY_PLANES | _ACROSS
    return one.label not in _Z and (one.label in labels or _is_side_by_side(one))


def _are(words: Field, known: set[str]) -> bool:
    return {re.sub("[^a-z]", "", text.lower()) for text in words.shown_texts()} <= known


def _is_side_by_side(one: Field) -> bool:
    few = one.distinct <= len(_WAVELENGTHS)
    return one.label in _SIDE_BY_SIDE or (few and set(one.values) <= _WAVELENGTHS)


def beside(counter: Field, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Return the fewest other fields that tell slices of one plane apart."""
    count = len(counter.codes)
    others = sorted(
        (f for f in fields if f is not counter),
        key=lambda f: (f.kind == "clock", f.distinct),
    )
    if counter.distinct == count:
        order = np.argsort(counter.codes, kind="stable")
        return tuple(f for f in others if _is_another_axis(f, order))
    found: list[Field] = []
    apart = counter.distinct
    for one in others:
        if apart == count:
            break
        more = _combinations([counter, *found, one])
        if more > apart:
            found.append(one)
            apart = more
    return tuple(found)


def _is_another_axis(one: Field, order: NDArray[np.int64]) -> bool:
    """Say whether a field that depends on the plane still is a channel, tile or time."""
    often = np.bincount(one.codes)
    if one.kind == "clock" or often.min() < 2 or 2 * one.distinct > len(order):
        return False
    if one.kind == "word":
        named = _are(one, _COLOURS)
    else:
        named = one.label in _CHANNELS or _is_side_by_side(one)
    return named or _cycles(one, order)


def _cycles(one: Field, order: NDArray[np.int64] | None = None) -> bool:
    """Say whether a field returns to its values again and again, in equal strides."""
    codes = one.codes if order is None else one.codes[order]
    starts = np.flatnonzero(np.diff(codes)) + 1
    if len(starts) + 1 <= one.distinct or one.kind == "clock":
        return False
    lengths = np.diff(np.concatenate([[0], starts, [len(codes)]]))
    values = codes[np.concatenate([[0], starts])]
    pairs, often = np.unique(
        values[:-1] * one.distinct + values[1:], return_counts=True
    )
    following = np.zeros(one.distinct, np.int64)
    np.maximum.at(following, pairs // one.distinct, often)
    even = np.bincount(lengths).max() >= 0.8 * len(lengths)
    return bool(even and following.sum() >= 0.8 * (len(values) - 1))


def _combinations(fields: Sequence[Field]) -> int:
    codes = np.zeros_like(fields[0].codes)
    count = 1
    for one in fields:
        found, codes = np.unique(codes * one.distinct + one.codes, return_inverse=True)
        count = len(found)
    return count
