"""The log and the pictures of a training for TensorBoard, where it is installed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import MissingExtraError
from blockseg.io.output.write_errors import write_error
from blockseg.training.data.examples import make_example
from blockseg.training.reports.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.training.data.data import ValidationVolume
    from blockseg.training.events import TrainingResult
    from blockseg.training.history import Row
    from blockseg.training.learning.validation import VolumeScore

_PICTURES = 3
_TAGS = {
    "loss": "loss/training",
    "validation_loss": "loss/validation",
    "rate": "rate",
    "f1": "validation/f1 at 0.5",
    "precision": "validation/precision at 0.5",
    "recall": "validation/recall at 0.5",
    "best_f1": "validation/f1 at the best threshold",
    "best_threshold": "validation/best threshold",
}


class TensorBoard(Watcher):
    """Write event files.

    Parameters
    ----------
    folder
        For the files.
    step
        Steps done: what an earlier session wrote beyond them is hidden.

    Raises
    ------
    MissingExtraError
        If TensorBoard is not installed.
    NoSpaceError, VolumeError
        If the files cannot be written, now or later.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            what = "TensorBoard"
            raise MissingExtraError(what, "train") from error
        self._folder = folder
        with self._writing():
            self._writer = SummaryWriter(str(folder), purge_step=step or None)
        self._pictures: list[tuple[str, NDArray[np.uint8]]] = []

    def row(self, row: Row) -> None:
        """Write the numbers of a row."""
        values = asdict(row)
        with self._writing():
            for name, tag in _TAGS.items():
                if values[name] is not None:
                    self._writer.add_scalar(tag, values[name], row.step)

    def volume(
        self, volume: ValidationVolume, probability: NDArray[np.float32]
    ) -> None:
        """Keep pictures of the first few volumes."""
        if len(self._pictures) >= _PICTURES:
            return
        example = make_example(volume, probability)
        planes = [example.image, example.truth, example.prediction]
        self._pictures.append((volume.name, np.concatenate(planes, axis=1)))

    def validated(self, rows: Sequence[Row], scores: Sequence[VolumeScore]) -> None:  # noqa: ARG002
        """Write the pictures."""
        with self._writing():
            for name, picture in self._pictures:
                self._writer.add_image(name, picture, rows[-1].step, dataformats="HW")
            self._writer.flush()
        self._pictures = []

    def ended(self, rows: Sequence[Row], result: TrainingResult) -> None:  # noqa: ARG002
        """Close the files."""
        with self._writing():
            self._writer.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_error(error, str(self._folder)) from error
