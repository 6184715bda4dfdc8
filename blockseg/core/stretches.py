"""Divide an order of blocks among those who do them, in stretches as long as can be."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Stretches"]


@dataclass(slots=True)
class Stretches:
    """Which places of an order each lane takes next.

    A lane that has none takes the far half of the longest stretch there is, so that
    neighbours in the order stay together and nobody is idle while places are left; not
    even when a lane comes no more.

    Parameters
    ----------
    count
        Places, from 0.
    """

    count: int
    _lanes: dict[str, range] = field(default_factory=dict)
    left: int = field(init=False)
    """Places that nobody took yet."""

    def __post_init__(self) -> None:
        self.left = self.count

    def take(self, lane: str, count: int) -> range:
        """Return up to ``count`` places in a row; none only where none is left."""
        if not self.left:
            return range(0)
        stretch = self._lanes.get(lane) or self._claim()
        taken, rest = stretch[:count], stretch[count:]
        self._lanes[lane] = rest
        self.left -= len(taken)
        return taken

    def _claim(self) -> range:
        self._lanes = {lane: rest for lane, rest in self._lanes.items() if rest}
        if not self._lanes:
            return range(self.count)
        longest = max(self._lanes, key=lambda lane: len(self._lanes[lane]))
        stretch = self._lanes[longest]
        middle = len(stretch) // 2
        self._lanes[longest] = stretch[:middle]
        return stretch[middle:]
