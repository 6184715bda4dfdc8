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
    from blockseg.morphology.measures import Measure
    from blockseg.morphology.scores import Agreement

_GROUPS = ("voxels", "near", "centreline", "cl_dice")
_PARTS = ("predicted", "right", "true", "found")


def as_json(evaluation: Evaluation) -> str:
    """Return an evaluation as JSON; null where nothing could be measured."""
    e = evaluation
    predicted, true = e.components
    plain = {
        "prediction": e.prediction,
        "truth": list(e.truth),
        "roi": str(e.roi),
        "tolerance": e.tolerance,
        "truth_is_traced": e.traced,
        "truth_is_negative": e.negative,
        "annotated_planes": e.planes,
        "voxels_counted": e.counted,
        "block": list(e.block),
        "blocks_with_foreground": len(e.blocks),
        "measures": {
            m.name: _plain(m) for m in e.measures if not m.name.startswith("snr_")
        },
        "betti0": {"predicted": predicted, "true": true, "error": e.betti0_error},
        "snr_bins": [_snr_bin(e, k) for k in range(len(e.total.by_snr))],
        "counts": {
            name: {part: getattr(getattr(e.total, name), part) for part in _PARTS}
            for name in _groups(e)
        }
        | (_of_planes(e) if e.planes else {}),
        "notes": list(e.notes),
    }
    return json.dumps(plain, indent=2, allow_nan=False) + "\n"


def _of_planes(evaluation: Evaluation) -> dict[str, dict[str, int]]:
    planes = evaluation.total.planes
    counts = {part: getattr(planes.within, part) for part in _PARTS}
    return {"in_plane": counts | {"found_beside": planes.beside}}


def _snr_bin(evaluation: Evaluation, k: int) -> dict[str, float | None]:
    edges = (None, *evaluation.snr_edges, None)
    counts = evaluation.total.by_snr[k]
    return {
        "low": edges[k],
        "high": edges[k + 1],
        "true": counts.true,
        "found": counts.found,
        **_plain(evaluation[f"snr_recall_{k}"], "recall"),
        **_plain(evaluation[f"snr_f1_{k}"], "f1"),
    }


def _plain(measure: Measure, name: str = "") -> dict[str, float | None]:
    """Return value and interval; of a measure among others, under its name."""
    keys = (name, f"{name}_low", f"{name}_high") if name else ("value", "low", "high")
    values = (measure.value, measure.low, measure.high)
    return {
        key: None if math.isnan(value) else value
        for key, value in zip(keys, values, strict=True)
    }


def as_csv(evaluation: Evaluation) -> str:
    """Return a row for each block with anything in it, and one for their sum.

    Components of a block are cut at its faces; those of the total are whole.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    places = [f"{what}_{axis}" for what in ("block", "start", "stop") for axis in "zyx"]
    writer.writerow([*places, *_columns(evaluation)])
    for block in evaluation.blocks:
        place = (*block.index, *block.roi.start, *block.roi.stop)
        writer.writerow([*place, *_row(evaluation, block.scores)])
    roi = evaluation.roi
    whole = _row(evaluation, evaluation.total, evaluation.components)
    writer.writerow(["total", "", "", *roi.start, *roi.stop, *whole])
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


def _groups(evaluation: Evaluation) -> tuple[str, ...]:
    return ("centreline",) if evaluation.traced else _GROUPS


def _columns(evaluation: Evaluation) -> list[str]:
    names = ["counted"]
    names += [f"{g}_{part}" for g in _groups(evaluation) for part in _PARTS]
    names += ["components_predicted", "components_true"]
    for k in range(len(evaluation.total.by_snr)):
        names += [f"snr_{k}_true", f"snr_{k}_found"]
    return names + _shown(evaluation)


def _shown(evaluation: Evaluation) -> list[str]:
    """Return the measures that a single block has."""
    names = [m.name for m in evaluation.measures if not m.name.startswith("snr_")]
    return [name for name in names if name != "betti0_error_a_block"]


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
    return row + [f"{float(values[name]):.6g}" for name in _shown(evaluation)]
