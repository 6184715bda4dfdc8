"""Interface of reports that follow a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.training.data.data import ValidationVolume
    from blockseg.training.events import TrainingResult
    from blockseg.training.history import Row
    from blockseg.training.learning.validation import VolumeScore


class Watcher:
    """Receives the results of a training; this one ignores them."""

    def row(self, row: Row) -> None:
        """Take a row of the log."""

    def volume(
        self, volume: ValidationVolume, probability: NDArray[np.float32]
    ) -> None:
        """Take a validation volume and its probabilities, shape (z, y, x)."""

    def validated(self, rows: Sequence[Row], scores: Sequence[VolumeScore]) -> None:
        """Take the whole log and the scores of the volumes just taken."""

    def ended(self, rows: Sequence[Row], result: TrainingResult) -> None:
        """Take the end."""
