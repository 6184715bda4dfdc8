"""Size and time of the files of a source, small enough for millions of them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from zipfile import BadZipFile

import numpy as np

from blockseg.core.errors import VolumeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

ABSENT = -1
"""Size of a file that does not exist."""


@dataclass(frozen=True, slots=True, eq=False)
class FileTable:
    """Files by number, ascending; what a number means, the source knows."""

    numbers: NDArray[np.int64] = field(repr=False)
    """Numbers of the files."""

    sizes: NDArray[np.int64] = field(repr=False)
    """In bytes; ``ABSENT`` for one that was looked for and does not exist."""

    times: NDArray[np.int64] = field(repr=False)
    """Time of the last change of each, in ns; 0 where absent."""

    complete: bool = True
    """Whether every file of the source that exists is listed."""

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int]], *, complete: bool) -> Self:
        """Return the table of rows of number, size and time, in any order."""
        table = np.array(list(rows), np.int64).reshape(-1, 3)
        numbers, sizes, times = table[np.argsort(table[:, 0], kind="stable")].T.copy()
        return cls(numbers, sizes, times, complete)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Return a table as :meth:`to_bytes` wrote it.

        Raises
        ------
        VolumeError
            If it is damaged.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as kept:
                return cls(
                    kept["numbers"],
                    kept["sizes"],
                    kept["times"],
                    bool(kept["complete"]),
                )
        except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
            message = f"what was kept of the source's files is damaged ({error})"
            raise VolumeError(message) from error

    def __len__(self) -> int:
        return len(self.numbers)

    def to_bytes(self) -> bytes:
        """Return the table in some ten bytes a file."""
        out = io.BytesIO()
        np.savez_compressed(
            out,
            numbers=self.numbers,
            sizes=self.sizes,
            times=self.times,
            complete=self.complete,
        )
        return out.getvalue()

    def changed(self, now: FileTable) -> NDArray[np.int64]:
        """Return the files, ascending, that another table states otherwise.

        Files count that both tables know of; where both are complete, those too that
        came or went.
        """
        if self.complete and now.complete:
            both = np.union1d(self.numbers, now.numbers)
        elif self.complete or now.complete:
            both = now.numbers if self.complete else self.numbers
        else:
            both = np.intersect1d(self.numbers, now.numbers)
        was, is_now = self._at(both), now._at(both)
        return np.asarray(both[(was != is_now).any(axis=0)])

    def updated(self, now: FileTable) -> FileTable:
        """Return the state after a second look at all files, or at some."""
        if now.complete or not self.complete:
            return now
        rows = np.stack([self.numbers, self.sizes, self.times], 1)
        kept = rows[~np.isin(self.numbers, now.numbers)]
        seen = np.stack([now.numbers, now.sizes, now.times], 1)
        joined = [*kept.tolist(), *seen[now.sizes != ABSENT].tolist()]
        return FileTable.of(joined, complete=True)

    def _at(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.zeros((2, len(numbers)), np.int64)
        found[0] = ABSENT
        if len(self.numbers):
            place = np.searchsorted(self.numbers, numbers)
            place = np.minimum(place, len(self.numbers) - 1)
            known = self.numbers[place] == numbers
            found[0, known] = self.sizes[place[known]]
            found[1, known] = self.times[place[known]]
        return found
