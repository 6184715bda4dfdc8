"""Work ranges: an order of blocks shared out in runs as long as can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise


def cuts(count: int, workers: int) -> list[int]:
    """Return where the first ranges of so many places begin, and where they end.

    Without empty ranges: of three places five workers get 0, 1, 2, 3.
    """
    return sorted({count * n // workers for n in range(workers + 1)})


@dataclass(slots=True)
class WorkRanges:
    """Which places of an order each worker takes next.

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
