"""Source of the SNR of true neurites: a table, for the labels of an image."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.untrusted.files import TABLE_BYTES, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_KEYS = ("label", "branch", "neuron")


@dataclass(frozen=True, slots=True)
class SnrTable:
    """The SNR of each label."""

    label: NDArray[np.int64]
    """Rising."""

    snr: NDArray[np.float32]
    """SNR of each; NaN where it is not known."""

    def of(self, labels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the SNR of labels of any shape; NaN for those not in the table."""
        found = np.full(labels.shape, np.nan, np.float32)
        if not len(self.label):
            return found
        numbers = labels.astype(np.int64)
        row = np.minimum(np.searchsorted(self.label, numbers), len(self.label) - 1)
        known = self.label[row] == numbers
        found[known] = self.snr[row[known]]
        return found


def read_snr_table(path: Path) -> SnrTable:
    """Read a CSV with a column ``snr`` and one of ``label``, ``branch``, ``neuron``.

    Raises
    ------
    VolumeError
        If it cannot be read or has other columns; names the line.
    """
    try:
        with text_of(path, TABLE_BYTES, encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            names = [" ".join(name.split()).lower() for name in rows.fieldnames or []]
            rows.fieldnames = names
            key = next((name for name in _KEYS if name in names), None)
            if key is None or "snr" not in names:
                message = (
                    f"{path} has the columns {', '.join(names[:8]) or 'none'}; it "
                    "needs label and snr"
                )
                raise VolumeError(message)
            return _table(path, [(row[key], row["snr"]) for row in rows])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        message = f"{path} cannot be read as CSV: {why}"
        raise VolumeError(message) from error


def _table(path: Path, rows: list[tuple[str, str]]) -> SnrTable:
    found: dict[int, float] = {}
    for line, (label, snr) in enumerate(rows, 2):
        try:
            number = int(np.int64(int(label)))
            found[number] = float(snr) if snr != "" else math.nan
        except (TypeError, ValueError, OverflowError):
            shown = f"{label!r:.40}, {snr!r:.40}"
            message = f"{path}, line {line}: {shown} are no label and SNR"
            raise VolumeError(message) from None
    order = sorted(found)
    return SnrTable(
        np.array(order, np.int64), np.array([found[k] for k in order], np.float32)
    )
