"""Table of the blocks that may be picked, and of their measurements."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_FOREGROUND = 32
"""Voxels of F⁺ below which no block counts as one with neurites."""

_FOREGROUND = 1000 / 320**3  # voxels of F⁺ a voxel, from which a block is a candidate


@dataclass(frozen=True, slots=True, eq=False)
class BlockTable:
    """Blocks of one brain, a row each; unknown values are NaN.

    Raises
    ------
    GeometryError
        If the columns have not one length.
    """

    start: NDArray[np.int64]
    """First voxel of each block, shape (n, 3), axes (z, y, x)."""

    stop: NDArray[np.int64]
    """Voxel after its last, shape (n, 3)."""

    foreground: NDArray[np.int64]
    """Voxels of F = {p ≥ 0.5}, shape (n,)."""

    extended: NDArray[np.int64]
    """Voxels of F⁺: p ≥ 0.2, linked to F, shape (n,)."""

    density: NDArray[np.float64]
    """D, 0 to 1."""

    level: NDArray[np.float64]
    """m of the background, in grey levels."""

    noise: NDArray[np.float64]
    """s of the background, in grey levels."""

    low_snr: NDArray[np.float64]
    """L, share of F⁺ with a low SNR; NaN without F⁺."""

    entropy: NDArray[np.float64]
    """U, mean binary entropy of p on F⁺; NaN without F⁺ or without a network."""

    fragmentation: NDArray[np.float64]
    """G, components per 100 voxels of skeleton; NaN without any."""

    saturation: NDArray[np.float64]
    """Share of saturated voxels."""

    features: NDArray[np.float64]
    """Further features that distinguish blocks, shape (n, k); k may be 0."""

    region: NDArray[np.int64]
    """Region of the brain that it lies in; 0 if none."""

    kept: NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, bool))
    """Whether a block is known and may be picked; empty: all of them."""

    def __post_init__(self) -> None:
        if not self.kept.size:
            object.__setattr__(self, "kept", np.ones(len(self.start), bool))
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) > 1:
            message = f"columns of blocks differ in length: {lengths}"
            raise GeometryError(message)

    def __len__(self) -> int:
        return len(self.start)

    @property
    def boxes(self) -> NDArray[np.int64]:
        """First voxel and voxel after the last of each block, shape (n, 2, 3)."""
        return np.stack([self.start, self.stop], axis=1)

    @property
    def voxels(self) -> NDArray[np.int64]:
        """Voxels of each block, shape (n,)."""
        return np.asarray(np.prod(self.stop - self.start, axis=1))

    @property
    def candidates(self) -> NDArray[np.bool_]:
        """Whether each block has enough neurites to learn from, shape (n,).

        |F⁺| ≥ 1000 in a block of 320³ voxels, in proportion in others, 32 at least.
        """
        least = np.maximum(self.voxels * _FOREGROUND, LEAST_FOREGROUND)
        return np.asarray(self.kept & (self.extended >= least))

    @property
    def tissue(self) -> NDArray[np.bool_]:
        """Whether each block shows anything, shape (n,): not if it has one grey level."""
        return np.asarray(self.kept & (self.noise != 0))

    def hardness(self, *, amount: bool = True) -> NDArray[np.float64]:
        """Return h: the mean of :meth:`hardness_ranks`, shape (n,).

        From 0 to 1, and 0 for blocks that are no candidates.
        """
        return np.asarray(self.hardness_ranks(amount=amount)[1].mean(axis=1))

    def hardness_ranks(
        self, *, amount: bool = True
    ) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Return the candidates' ranks of L, U and G.

        A metric that no candidate has (U without a network) is left out; a candidate that
        lacks one ranks 0.

        Parameters
        ----------
        amount
            Rank L·|F⁺|, U·|F⁺| and G·|F⁺|, how much is hard in a block, instead of the
            shares: specks of noise are faint, uncertain and in pieces altogether.

        Returns
        -------
        names
            For people; k of them, 1 to 3.
        ranks
            Shape (n, k).
        """
        among = self.candidates
        columns = {
            "low SNR": self.low_snr,
            "entropy": self.entropy,
            "fragments": self.fragmentation,
        }
        weight = self.extended if amount else np.ones(len(self))
        found = {
            name: ranks(np.where(among, weight * column, np.nan))
            for name, column in columns.items()
            if np.isfinite(column[among]).any()
        }
        if not found:
            return ("hardness",), np.zeros((len(self), 1))
        return tuple(found), np.stack(list(found.values()), axis=1)

    def near(
        self, box: NDArray[np.int64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return the blocks that are less than one block length from a box.

        Parameters
        ----------
        box
            First voxel and voxel after the last, shape (2, 3).
        rows
            Blocks to look at; all if not given.

        Returns
        -------
        NDArray[np.int64]
            Their places in ``rows``.
        """
        return self._closer(box, box[1] - box[0], rows)

    def overlapping(
        self, box: NDArray[np.int64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return the blocks that share a voxel with a box; as :meth:`near`."""
        return self._closer(box, np.zeros(3, np.int64), rows)

    def _closer(
        self,
        box: NDArray[np.int64],
        gap: NDArray[np.int64],
        rows: NDArray[np.int64] | None,
    ) -> NDArray[np.int64]:
        found = np.arange(len(self) if rows is None else len(rows))
        # Axis by axis: after the first, few are left.
        for axis in range(3):
            mine = found if rows is None else rows[found]
            if axis == 0 and rows is None:
                start, stop = self.start[:, 0], self.stop[:, 0]
            else:
                start, stop = self.start[mine, axis], self.stop[mine, axis]
            close = stop + gap[axis] > box[0, axis]
            close &= start < box[1, axis] + gap[axis]
            found = found[close]
        return found


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 0 (least) to 1 (greatest); equal values have the mean of theirs.

    Parameters
    ----------
    values
        Shape (n,); NaN ranks 0 and does not count.
    """
    result = np.zeros(len(values))
    known = np.flatnonzero(np.isfinite(values))
    if len(known) > 1:
        _, place, count = np.unique(
            values[known], return_inverse=True, return_counts=True
        )
        last = np.cumsum(count)
        middle = last - (count + 1) / 2
        result[known] = middle[place] / (len(known) - 1)
    elif len(known):
        result[known] = 1.0
    return result
