"""Slices in order: which part of their names counts planes, and what speaks against it."""

from __future__ import annotations

import glob
import itertools
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.io.slice_names.axes import FEW, beside, plane_counter, rather_no_planes
from blockseg.io.slice_names.fields import NameFields, name_fields
from blockseg.io.slice_names.globs import glob_of
from blockseg.io.slice_names.steps import Steps, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from blockseg.io.slice_names.numbers import Field

_NAMED = 3
_FARTHEST = 1000  # times as many planes as slices: no gap, but a number of another kind


@dataclass(frozen=True, slots=True)
class Arranged:
    """Names in the order of their planes."""

    order: tuple[int | None, ...] = field(repr=False)
    """Place of each plane's name; None for a plane that is missing."""

    doubt: str = ""
    """Why the planes may not be neighbours; empty if there is no such reason."""


def arrange(
    names: Sequence[str],
    root: str,
    *,
    allow_gaps: bool | None = False,
    others: Iterable[str] = (),
) -> Arranged:
    """Return slices in the order of the counter in their names.

    Parameters
    ----------
    names
        Of the slices, relative to ``root``, '/'-separated; at least one.
    root
        Their folder; for messages.
    allow_gaps
        Whether planes may be missing between them; None where the user has no option to
        say so.
    others
        Names beside them that a suggested glob must not match.

    Raises
    ------
    VolumeError
        If there are two counters, a number stands twice, or numbers are missing.
    """
    return _Names(names, root, others).arranged(allow_gaps=allow_gaps)


def other_axis(names: Sequence[str]) -> str:
    """Return the field in which few names differ, if it rather is a channel, tile or time.

    Parameters
    ----------
    names
        Of the slices, relative to their folder, '/'-separated; at least one.

    Returns
    -------
    It and its values, for people to read; empty if planes may well be named so.
    """
    if len(names) >= FEW:
        return ""
    fields = name_fields(names).fields
    if not rather_no_planes(fields):
        return ""
    return " and ".join(one.shown() for one in fields if one.kind != "clock")


class _Names:
    def __init__(
        self, names: Sequence[str], root: str, others: Iterable[str] = ()
    ) -> None:
        self.names = names
        self.root = root
        self.others = others

    def arranged(self, *, allow_gaps: bool | None) -> Arranged:
        found = name_fields(self.names)
        if found.odd:
            raise VolumeError(self._strangers(found))
        numbers = [f for f in found.fields if f.kind != "word"]
        words = [f for f in found.fields if f.kind == "word"]
        if not numbers:
            if len(self.names) > 1 and not any(map(self._is_unique, words)):
                raise VolumeError(self._repeated(np.zeros(len(self.names), np.int64)))
            return Arranged(tuple(self._naturally()))
        counter = plane_counter(numbers, words)
        others = beside(counter, found.fields)
        if not self._is_unique(counter) or others:
            raise VolumeError(self._several(counter, others))
        return self._in_planes(counter, single=len(found.fields) == 1, gaps=allow_gaps)

    def _in_planes(
        self, counter: Field, *, single: bool, gaps: bool | None
    ) -> Arranged:
        order = np.argsort(counter.codes, kind="stable")
        if not single:
            order = self._as_read(order, counter)
        steps = None if counter.kind == "clock" else steps_of(counter.values)
        if steps is None:
            known = gaps or counter.kind == "clock"  # nobody expects equal times
            doubt = "" if known else self._uneven(counter)
            return Arranged(tuple(order.tolist()), doubt)
        if steps.missing and (not gaps or steps.missing > _FARTHEST * len(self.names)):
            raise VolumeError(self._gap(counter, steps, option=gaps is not None))
        planes: list[int | None] = [None] * (int(steps.planes[-1]) + 1)
        backwards = len(order) > 1 and counter.codes[order[0]] > counter.codes[order[1]]
        places = steps.planes[-1] - steps.planes[::-1] if backwards else steps.planes
        for place, name in zip(places.tolist(), order.tolist(), strict=True):
            planes[place] = name
        return Arranged(tuple(planes))

    def _as_read(self, order: NDArray[np.int64], counter: Field) -> NDArray[np.int64]:
        """Return the order of the names where it is that of the counter, or its reverse."""
        if counter.kind == "clock":
            return np.array(self._naturally(), dtype=np.int64)
        backwards = order[::-1]
        keys = (_natural(self.names[i]) for i in backwards)  # the first two mostly tell
        return backwards if all(a < b for a, b in itertools.pairwise(keys)) else order

    def _naturally(self) -> list[int]:
        return sorted(range(len(self.names)), key=lambda i: _natural(self.names[i]))

    def _is_unique(self, one: Field) -> bool:
        return one.distinct == len(self.names)

    def _several(self, counter: Field, others: tuple[Field, ...]) -> str:
        """Say which counters vary, and how to choose."""
        chosen = _first_of(others, len(self.names))
        twice = len(self.names) - counter.distinct
        often = np.bincount(counter.codes)
        few = 2 * np.count_nonzero(often > 1) < counter.distinct
        if not others or np.count_nonzero(chosen) < 2 or (twice and few):
            return self._repeated(counter.codes, self._glob(chosen) if others else "")
        listed = " and ".join(f.shown() for f in (counter, *others))
        advice = self._glob(chosen) or "move what is not meant away"
        return (
            f"{self.root}: the names of {len(self.names)} slices count more than planes: "
            f"{listed}; {advice}, or rename the slices if all are planes"
        )

    def _repeated(self, codes: NDArray[np.int64], advice: str = "") -> str:
        order = np.argsort(codes, kind="stable")
        again = np.flatnonzero(codes[order][1:] == codes[order][:-1])
        pairs = [
            f"{self.names[order[i]]} and {self.names[order[i + 1]]}"
            for i in again[:_NAMED].tolist()
        ]
        more = f" and {len(again) - _NAMED} more" if len(again) > _NAMED else ""
        what = "share a number" if len(again) == 1 else "share their numbers"
        return (
            f"{self.root}: {', '.join(pairs)}{more} {what}; "
            f"{advice or 'move those that are not meant away'}"
        )

    def _strangers(self, found: NameFields) -> str:
        odd = [self.names[i] for i in found.odd]
        strange = set(found.odd)
        chosen = np.array([i not in strange for i in range(len(self.names))])
        example = self.names[int(np.flatnonzero(chosen)[0])]
        more = f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
        advice = self._glob(chosen)
        return (
            f"{self.root}: {', '.join(odd[:_NAMED])}{more} "
            f"{'is' if len(odd) == 1 else 'are'} not named like {example} and the other "
            f"slices; move {'it' if len(odd) == 1 else 'them'} away"
            f"{' or ' + advice if advice else ''}"
        )

    def _glob(self, chosen: NDArray[np.bool_]) -> str:
        names = [n for n, wanted in zip(self.names, chosen, strict=True) if wanted]
        rest = [n for n, wanted in zip(self.names, chosen, strict=True) if not wanted]
        pattern = glob_of(names, [*rest, *self.others])
        if pattern is None:
            return ""
        where = f"{glob.escape(self.root.rstrip('/'))}/{pattern}"
        return f"choose some with a glob: {shlex.quote(where)}"

    def _gap(self, counter: Field, steps: Steps, *, option: bool) -> str:
        runs = list(_missing(counter, steps))
        shown = ", ".join(runs[:_NAMED])
        more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
        first, last = (counter.written(counter.values[i]) for i in (0, -1))
        far = steps.missing > _FARTHEST * len(self.names)
        if far:
            way_out = "choose those that belong together with a glob"
        elif option:
            way_out = "--allow-gaps reads them as empty planes"
        else:
            way_out = "give a copy by blockseg convert --allow-gaps, with empty planes"
        step = steps.step / 10**counter.decimals
        return (
            f"{self.root}: of the slices {first} to {last}"
            f"{f' in steps of {step:g}' if step != 1 else ''}, {steps.missing} "
            f"{'is' if steps.missing == 1 else 'are'} missing: {shown}{more}; "
            f"restore {'it' if steps.missing == 1 else 'them'}, or {way_out}"
        )

    def _uneven(self, counter: Field) -> str:
        few = ", ".join(counter.texts[:5])
        return (
            f"{self.root}: the numbers of its slices ({few}{', …' * (counter.distinct > 5)})"
            " go in no equal steps; they are taken for neighbouring planes; "
            "--allow-gaps says that this is right"
        )


def _first_of(fields: Sequence[Field], count: int) -> NDArray[np.bool_]:
    """Return which names have the value that most have, of each field."""
    chosen = np.ones(count, np.bool_)
    for one in fields:
        chosen &= one.codes == np.bincount(one.codes[chosen]).argmax()
    return chosen


def _missing(counter: Field, steps: Steps) -> Iterator[str]:
    """Yield the gaps in the numbers, as the names would write them."""
    for i in np.flatnonzero(np.diff(steps.planes) > 1).tolist():
        count = int(steps.planes[i + 1] - steps.planes[i]) - 1
        # Of positions that jitter, the numbers are about right.
        step = (counter.values[i + 1] - counter.values[i]) / (count + 1)
        first, last = (counter.values[i] + step * k for k in (1, count))
        if count == 1:
            yield counter.written(first)
        else:
            yield f"{counter.written(first)} to {counter.written(last)}"


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which ``img9`` comes before ``img10``."""
    parts = re.split(r"(\d+)", name)
    key = [(0, int(p), "") if p.isdecimal() else (1, 0, p.lower()) for p in parts]
    return [*key, (2, 0, name)]
