"""Work ranges: an order of blocks shared out in runs as long as can be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from blockseg.core.errors import GeometryError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_FORM = re.compile(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*")

MOST = 10_000
"""Shares into which a run can be cut."""


def cuts(count: int, workers: int) -> list[int]:
    """Return the boundaries of equal first ranges of ``count`` positions.

    Without empty ranges: of three places five workers get 0, 1, 2, 3.
    """
    return sorted({count * n // workers for n in range(workers + 1)})


@dataclass(slots=True)
class WorkRanges:
    """Ranges of an order of blocks that the workers take.

    The first workers get equal ranges. One that has none left takes the far half of the
    longest there is: neighbours in the order stay together, and nobody is idle while
    places are left, not even those of a worker that comes no more.

    Parameters
    ----------
    count
        Places, from 0.
    workers
        How many are expected; there may be more or fewer.
    """

    count: int
    workers: int = 1
    left: int = field(init=False)
    """Places that nobody took yet."""

    _unclaimed: list[range] = field(init=False)
    _claimed: dict[str, range] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.left = self.count
        ends = cuts(self.count, self.workers)
        self._unclaimed = [range(a, b) for a, b in pairwise(ends)]

    def take(self, worker: str, count: int) -> range:
        """Return up to ``count`` places in a row; none only where none is left."""
        if not self.left:
            return range(0)
        places = self._claimed.get(worker) or self._claim()
        taken, rest = places[:count], places[count:]
        self._claimed[worker] = rest
        self.left -= len(taken)
        return taken

    def _claim(self) -> range:
        if self._unclaimed:
            return self._unclaimed.pop(0)
        self._claimed = {worker: rest for worker, rest in self._claimed.items() if rest}
        longest = max(self._claimed, key=lambda worker: len(self._claimed[worker]))
        places = self._claimed[longest]
        middle = len(places) // 2
        self._claimed[longest] = places[:middle]
        return places[middle:]


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """One of so many shares of equal size.

    Raises
    ------
    GeometryError
        If there is no such share.
    """

    number: int
    """Number of the share, 1 for the first."""

    count: int
    """Number of shares."""

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MOST:
            message = (
                f"there is no part {self}: give I/N with I from 1 to N, and N at most "
                f"{MOST}, as in 2/8"
            )
            raise GeometryError(message)

    @classmethod
    def parse(cls, text: str) -> Share:
        """Return the share that ``I/N`` names.

        Raises
        ------
        GeometryError
            If the text is not of this form, or there is no such share.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            message = f"{text!r} is no part: give I/N, as in 2/8"
            raise GeometryError(message)
        return cls(int(found[1]), int(found[2]))

    def of(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this share of blocks: neighbours in their order, so few halos are shared.

        Parameters
        ----------
        blocks
            Ids of all blocks, 1-D. The shares of them are disjoint, cover all, and differ
            by one block at most.
        """
        first = len(blocks) * (self.number - 1) // self.count
        return blocks[first : len(blocks) * self.number // self.count]

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
