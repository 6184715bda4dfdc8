"""Counters and words in the names of slices: what of the names varies, and how.

Names are cut at their digits. Those that are alike but for their digits make columns of
numbers; those that are not are compared from both ends, and what is left in the middle is
one word that varies.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.io.slice_names.numbers import (
    NUMBER,
    STAMP,
    Field,
    common_start,
    is_signed,
    label_of,
    measures,
    read_column,
    varying,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

TIFF_SUFFIX = re.compile(r"\.(?:tiff?|btf|tf8)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class NameFields:
    """Fields that vary in a set of names."""

    fields: tuple[Field, ...]
    """In the order in which they stand in the names, words last."""

    odd: tuple[int, ...] = ()
    """Places of the names that have nothing in common with the others."""


def skeleton(name: str) -> str:
    """Return a name without its digits and the suffixes of TIFF; names of one series share it."""
    return NUMBER.sub("#", _bare(name)).lower()


def _bare(name: str) -> str:
    if name.endswith((".tif", ".tiff")):
        return name[: name.rindex(".")]
    return TIFF_SUFFIX.sub("", name)


def name_fields(names: Sequence[str]) -> NameFields:
    """Find out what varies in names.

    Parameters
    ----------
    names
        Relative paths, '/'-separated.
    """
    quick = _one_counter(names)
    if quick is not None:
        return NameFields((quick,))
    parts = [NUMBER.split(_bare(name)) for name in names]
    columns = _alike_but_for_numbers(parts)
    if columns:
        return NameFields(tuple(_numbers(columns)))
    frames = [tuple(map(str.lower, part[::2])) for part in parts]
    kinds = Counter(frames)
    fewest = min(len(frame) for frame in kinds) - 1
    left = _shared(list(kinds), fewest)
    right = _shared([frame[::-1] for frame in kinds], fewest - left)
    if not left + right and max(kinds.values()) > 1:
        usual = max(kinds, key=lambda kind: kinds[kind])
        odd = tuple(i for i, frame in enumerate(frames) if frame != usual)
        return NameFields((), odd)
    ahead = [list(c) for c in zip(*(part[: 2 * left] for part in parts), strict=True)]
    behind = [
        list(c)
        for c in zip(*(part[len(part) - 2 * right :] for part in parts), strict=True)
    ]
    middle = ["".join(part[2 * left : len(part) - 2 * right]) for part in parts]
    word = _word(middle)
    start, end = (
        [common_start(word.texts)] * len(names),
        [_end_of_words([text[::-1] for text in word.texts])] * len(names),
    )
    ends = [*_numbers([*ahead, start]), *_numbers([end, *behind], start="")]
    return NameFields((*ends, word))


def _one_counter(names: Sequence[str]) -> Field | None:
    """Return the number that varies where nothing else does; None if it is not so simple.

    A million names take a second, and not ten.
    """
    ahead = common_start(names).rstrip("0123456789")
    start = len(ahead)
    digits = re.match("[0-9]+", names[0][start:])
    behind = names[0][start + digits.end() :] if digits else ""
    signed = ahead.endswith(("-", "+")) and is_signed(f"/{ahead[:-1]}", behind)
    if (
        signed
        or not behind
        or re.search(r"[0-9]\.$", ahead)
        or re.match(r"\.[0-9]", behind)
    ):
        return None
    end = -len(behind)
    tokens = [name[start:end] for name in names]
    plain = all(map(str.isdecimal, tokens)) and all(map(str.isascii, tokens))
    if not plain or not all(name.endswith(behind) for name in names):
        return None
    if len(max(tokens, key=len)) >= STAMP:
        return None
    numbers = np.array(list(map(int, tokens)), dtype=np.int64)
    values, first, codes = np.unique(numbers, return_index=True, return_inverse=True)
    texts = tuple(tokens[i] for i in first.tolist())
    return Field(
        "number",
        label_of(ahead),
        codes,
        tuple(values.tolist()),
        texts,
        0,
        measures(behind),
    )


def _alike_but_for_numbers(parts: list[list[str]]) -> list[list[str]]:
    """Return columns of names that differ in nothing but numbers; of others, none."""
    if len(set(map(len, parts))) > 1:
        return []
    columns = [list(column) for column in zip(*parts, strict=True)]
    texts = (set(column) for column in columns[::2])
    alike = all(len({text.lower() for text in some}) == 1 for some in texts)
    return columns if alike else []


def _shared(frames: Sequence[tuple[str, ...]], most: int) -> int:
    """Count the leading texts that all names share, each with a number behind it."""
    first = frames[0]
    for place in range(most):
        if any(frame[place] != first[place] for frame in frames):
            return place
    return most


def _numbers(columns: list[list[str]], start: str = "/") -> list[Field]:
    """Return the numbers that vary; columns are texts and numbers in turn, texts first.

    ``start`` stands for an empty text before the first.
    """
    found: list[tuple[Field, str]] = []
    for place in range(1, len(columns) - 1, 2):
        before, tokens, after = columns[place - 1 : place + 2]
        text = before[0] or (start if place == 1 else "")
        readings = read_column(text, tokens, after[0])
        found.extend((one, before[0]) for one in readings)
    return varying(found)


def _end_of_words(backwards: list[str]) -> str:
    """Return the common end of texts given backwards, without a part of a longer word."""
    end = common_start(backwards)
    apart = {text[len(end) : len(end) + 1] for text in backwards}
    end = end[::-1]
    return re.sub(r"^[^\W\d_]+", "", end) if any(map(str.isalpha, apart)) else end


def _word(texts: list[str]) -> Field:
    lowered = [text.lower() for text in texts]
    values = sorted(set(lowered))
    rank = {value: i for i, value in enumerate(values)}
    first = dict(zip(reversed(lowered), reversed(texts), strict=True))
    codes = np.array([rank[text] for text in lowered], dtype=np.int64)
    return Field("word", "", codes, (), tuple(first[value] for value in values))
