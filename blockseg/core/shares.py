"""Shares of a run's blocks, each done by a driver of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.core.errors import GeometryError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FORM = re.compile(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*")

MOST = 10_000
"""Shares into which a run can be cut."""


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """One of so many shares of equal size.

    Raises
    ------
    GeometryError
        If there is no such share.
    """

    number: int
    """Which, 1 the first."""

    count: int
    """How many there are."""

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
