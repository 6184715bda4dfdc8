"""An evaluation as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.outputs import writable
from blockseg.core.errors import VolumeError
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.write_errors import write_error
from blockseg.morphology.measures import measures

if TYPE_CHECKING:
    from blockseg.evaluation.run import Evaluation
    from blockseg.morphology.block_scores import BlockScores
    from blockseg.morphology.scores import Agreement

__all__ = ["as_csv", "as_json", "check_report", "json_text", "snr_bins", "write_report"]

_GROUPS = ("voxels", "near", "centreline", "cl_dice")
_PARTS = ("predicted", "right", "true", "found")


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON knows it; null where nothing could be measured."""
    e = evaluation
    predicted, true = e.components
    return {
        "prediction": e.prediction,
        "truth": list(e.truth),
        "roi": str(e.roi),
        "tolerance": e.tolerance,
        "truth_is_traced": e.traced,
        "voxels_counted": e.counted,
        "block": list(e.block),
        "blocks_with_foreground": len(e.blocks),
        "measures": {
            m.name: {
                "value": _number(m.value),
                "low": _number(m.low),
                "high": _number(m.high),
            }
            for m in e.measures
            if not m.name.startswith("snr_")
        },
        "betti0": {"predicted": predicted, "true": true, "error": e.betti0_error},
        "snr_bins": snr_bins(e),
        "counts": {
            name: {part: getattr(getattr(e.total, name), part) for part in _PARTS}
            for name in _groups(e)
        },
        "notes": list(e.notes),
    }


def snr_bins(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return what was found in each SNR bin; none where no SNR was known."""
    edges = (None, *evaluation.snr_edges, None)
    bins = []
    for k, counts in enumerate(evaluation.total.by_snr):
        recall, f1 = evaluation[f"snr_recall_{k}"], evaluation[f"snr_f1_{k}"]
        bins.append(
            {
                "low": edges[k],
                "high": edges[k + 1],
                "true": counts.true,
                "found": counts.found,
                "recall": _number(recall.value),
                "recall_low": _number(recall.low),
                "recall_high": _number(recall.high),
                "f1": _number(f1.value),
                "f1_low": _number(f1.low),
                "f1_high": _number(f1.high),
            }
        )
    return bins


def as_csv(evaluation: Evaluation) -> str:
    """Return a row for each block with anything in it, and one for their sum.

    Components of a block are cut at its faces; those of the total are whole.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [
        [
            *block.index,
            *block.roi.start,
            *block.roi.stop,
            *_row(evaluation, block.scores),
        ]
        for block in evaluation.blocks
    ]
    roi = evaluation.roi
    whole = _row(evaluation, evaluation.total, evaluation.components)
    rows.append(["total", "", "", *roi.start, *roi.stop, *whole])
    places = [f"{what}_{axis}" for what in ("block", "start", "stop") for axis in "zyx"]
    writer.writerow([*places, *_columns(evaluation)])
    writer.writerows(rows)
    return text.getvalue()


def check_report(path: str) -> None:
    """Refuse a file that cannot be written, before any work.

    Raises
    ------
    VolumeError
        If it cannot.
    """
    if Path(path).is_dir():
        message = f"{path} is a folder; give a file"
        raise VolumeError(message)
    writable(Path(path).expanduser().absolute().parent)


def write_report(path: str, text: str) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    NoSpaceError
        If the disk is full.
    VolumeError
        If it cannot be written for another reason.
    """
    target = Path(path).expanduser()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, str(target)) from error
    replace_file(target, text.encode())


def json_text(evaluation: Evaluation) -> str:
    """Return the text of a JSON file."""
    return json.dumps(as_json(evaluation), indent=2, allow_nan=False) + "\n"


def _groups(evaluation: Evaluation) -> tuple[str, ...]:
    return ("centreline",) if evaluation.traced else _GROUPS


def _columns(evaluation: Evaluation) -> list[str]:
    names = ["counted"]
    names += [f"{g}_{part}" for g in _groups(evaluation) for part in _PARTS]
    names += ["components_predicted", "components_true"]
    for k in range(len(evaluation.total.by_snr)):
        names += [f"snr_{k}_true", f"snr_{k}_found"]
    return names + [m.name for m in evaluation.measures if not _across(m.name)]


def _across(name: str) -> bool:
    return name.startswith("snr_") or name == "betti0_error_a_block"


def _row(
    evaluation: Evaluation,
    scores: BlockScores,
    components: tuple[int, int] | None = None,
) -> list[Any]:
    row: list[Any] = [evaluation.counted if components else scores.counted]
    for name in _groups(evaluation):
        agreement: Agreement = getattr(scores, name)
        row += [getattr(agreement, part) for part in _PARTS]
    row += components or scores.components
    for snr in scores.by_snr:
        row += [snr.true, snr.found]
    values = measures(scores.row())
    shown = [m.name for m in evaluation.measures if not _across(m.name)]
    return row + [f"{float(values[name]):.6g}" for name in shown]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
