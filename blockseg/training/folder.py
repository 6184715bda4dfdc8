"""Folder of a training's files, ``RUN/``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.core.errors import WeightsError
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.write_errors import write_error
from blockseg.networks.weights import save_weights
from blockseg.training.checkpoint import save_checkpoint
from blockseg.training.history import Row, as_csv, as_csv_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from blockseg.networks.base import Network
    from blockseg.networks.weights_info import WeightsInfo
    from blockseg.training.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of a training, each written all or nothing."""

    path: Path
    """An existing folder."""

    info: WeightsInfo
    """Header of the weights; the step is added to the name."""

    @property
    def checkpoint(self) -> Path:
        """Everything needed to resume."""
        return self.path / "checkpoint.pt"

    @property
    def best(self) -> Path:
        """Weights with the best validation score."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """Weights of the last checkpoint."""
        return self.path / "last.safetensors"

    @property
    def log(self) -> Path:
        """A row for every few steps and every validation."""
        return self.path / "log.csv"

    @property
    def report(self) -> Path:
        """Curves, scores and pictures."""
        return self.path / "report.html"

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    def save(self, checkpoint: Checkpoint, mean: Network) -> None:
        """Write the checkpoint and the weights that belong to it.

        Raises
        ------
        NoSpaceError
            If the disk is full; what was there before is intact.
        """
        standing = checkpoint.standing
        if standing.best_step is None and standing.ended is not None:
            # Nothing was held out to choose by.
            self.save_best(mean, standing.step)
        _replace_weights(self.last, mean, self._named(standing.step))
        # Last, as it says that all the rest is there.
        save_checkpoint(self.checkpoint, checkpoint)

    def save_best(self, mean: Network, step: int) -> None:
        """Write the best weights so far."""
        _replace_weights(self.best, mean, self._named(step))

    def write_log(self, rows: Sequence[Row]) -> None:
        """Rewrite the log: after a kill it may be ahead of the checkpoint."""
        replace_file(self.log, as_csv(list(rows)).encode())

    def append_log(self, row: Row) -> None:
        """Add a row to the log."""
        try:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(as_csv_line(row))
        except OSError as error:
            raise write_error(error, str(self.log)) from error

    def _named(self, step: int) -> WeightsInfo:
        return replace(self.info, name=f"{self.info.name}-{step}")


def _replace_weights(path: Path, network: Network, info: WeightsInfo) -> None:
    """Write a network; raise on a full disk as of any other file."""
    try:
        save_weights(path, network, info)
    except WeightsError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise write_error(error.__cause__, str(path)) from error
