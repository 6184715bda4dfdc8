"""Globs that choose some of a set of names and no others."""

from __future__ import annotations

import glob
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PIECES = re.compile(r"([0-9]+)")


def glob_of(chosen: Sequence[str], others: Iterable[str]) -> str | None:
    """Return a glob that matches all chosen names and no others; None if none is found.

    Parameters
    ----------
    chosen
        Names, '/'-separated.
    others
        Names that must not match.
    """
    others = list(others)
    columns = _columns(chosen)
    if columns is None:
        return None
    for wild in (_star, _digits, _star_digit):
        parts = [
            glob.escape(column[0]) if len(set(column)) == 1 else wild(set(column))
            for column in columns
        ]
        pattern = re.sub(r"\*+", "*", "".join(parts))
        matches = _matcher(pattern).fullmatch
        if all(map(matches, chosen)) and not any(map(matches, others)):
            return pattern
    return None


def _columns(names: Sequence[str]) -> list[tuple[str, ...]] | None:
    """Cut names at their digits; names with other numbers of pieces share two ends."""
    pieces = [_PIECES.split(name) for name in names]
    if len({len(piece) for piece in pieces}) == 1:
        return list(zip(*pieces, strict=True))
    fewest = min(map(len, pieces))
    ahead = _alike(pieces, range(fewest))
    behind = _alike(pieces, range(-1, ahead - fewest - 1, -1))
    middles = tuple("".join(piece[ahead : len(piece) - behind]) for piece in pieces)
    return [
        *zip(*(piece[:ahead] for piece in pieces), strict=True),
        middles,
        *zip(*(piece[len(piece) - behind :] for piece in pieces), strict=True),
    ]


def _alike(pieces: Sequence[Sequence[str]], places: Iterable[int]) -> int:
    count = 0
    for place in places:
        if any(piece[place] != pieces[0][place] for piece in pieces):
            break
        count += 1
    return count


def _star(texts: set[str]) -> str:  # noqa: ARG001 - one of three ways
    return "*"


def _digits(texts: set[str]) -> str:
    widths = {len(text) for text in texts}
    plain = len(widths) == 1 and all(text.isdecimal() for text in texts)
    return "[0-9]" * widths.pop() if plain else "*"


def _star_digit(texts: set[str]) -> str:
    return "*[0-9]" if all(text.isdecimal() for text in texts) else "*"


def _matcher(pattern: str) -> re.Pattern[str]:
    """Translate a glob of this module; a star stops at a '/'."""
    parts = re.split(r"(\*|\[0-9\]|\[.\])", pattern)
    wild = {"*": "[^/]*", "[0-9]": "[0-9]"}
    translated = [
        wild.get(part, re.escape(part[1:2])) if i % 2 else re.escape(part)
        for i, part in enumerate(parts)
    ]
    return re.compile("".join(translated))
