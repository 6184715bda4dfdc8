"""History of a training: the rows of ``log.csv``."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Row:
    """Some steps, or a validation after them.

    Nothing here depends on the clock, so that a resumed training has the same log.
    """

    step: int
    """Steps done."""

    loss: float | None = None
    """Mean of the steps since the last row; None if there were none."""

    rate: float | None = None
    """Learning rate of the last step."""

    skipped: int = 0
    """Steps of the whole training that loss scaling left out."""

    validation_loss: float | None = None
    """With the weights of the training loss."""

    f1: float | None = None
    """At probability 0.5, with a tolerance of 2 voxels."""

    precision: float | None = None
    """The same."""

    recall: float | None = None
    """The same."""

    best_threshold: float | None = None
    """Probability at which the F1 is highest."""

    best_f1: float | None = None
    """The F1 at that threshold."""

    improved: bool | None = None
    """Whether these weights became the best ones."""


def as_csv(rows: list[Row]) -> str:
    """Return the whole log, a header first."""
    header = ",".join(field.name for field in fields(Row))
    return header + "\n" + "".join(as_csv_line(row) for row in rows)


def as_csv_line(row: Row) -> str:
    """Return one line of the log; what is not known is empty."""
    line = io.StringIO()
    values = ["" if value is None else value for value in asdict(row).values()]
    csv.writer(line, lineterminator="\n").writerow(
        [f"{v:.6g}" if isinstance(v, float) else v for v in values]
    )
    return line.getvalue()
