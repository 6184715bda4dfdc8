"""``PICKS/``: images, labels and the manifest, which grow and never lose a label."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.record.record import FOLDER
from blockseg.core.errors import DISK_FULL, LedgerError, NoSpaceError, VolumeError
from blockseg.evaluation.report import write_report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["PicksFolder", "Row", "box_of", "earlier_rows"]

_FORMAT = 1
_ENDINGS = (".tif", ".tiff")

Row = dict[str, Any]
"""A pick of the manifest: plain values, None where not known."""


@dataclass(slots=True)
class PicksFolder:
    """A folder of picks; what is in it was made in one round or more."""

    root: Path
    """The folder."""

    rounds: list[dict[str, Any]] = field(default_factory=list)
    """Requests of all rounds, and whether each is complete."""

    rows: list[Row] = field(default_factory=list)
    """The manifest."""

    number: int = 1
    """Number of this round, from 1."""

    @property
    def record(self) -> Path:
        """Record of what was asked."""
        return self.root / FOLDER / "propose.json"

    @property
    def earlier(self) -> list[Row]:
        """Picks of earlier rounds."""
        return [row for row in self.rows if row["round"] < self.number]

    @classmethod
    def open(
        cls, root: Path, request: Mapping[str, Any], *, update: bool
    ) -> PicksFolder:
        """Look at a folder before picks are written to it; nothing is changed.

        Parameters
        ----------
        root
            The folder; it need not exist.
        request
            What decides the picks.
        update
            Whether to add to the picks that it holds.

        Raises
        ------
        VolumeError
            If it holds something else, or cannot be read.
        LedgerError
            If it holds picks of another request, or none to add to.
        """
        folder = cls(root)
        if not folder.record.is_file():
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                message = f"{root} exists and holds no picks; choose another folder"
                raise VolumeError(message)
            if update:
                message = f"there are no picks in {root} to add to; leave --update out"
                raise LedgerError(message)
            return folder
        folder.rounds = _load(folder.record)["rounds"]
        manifest = root / "manifest.json"
        if manifest.is_file():
            folder.rows = _load(manifest)["picks"]
        last = folder.rounds[-1]
        same = last["request"] == request
        folder.number = len(folder.rounds)
        if update and not same:
            if not last["complete"]:
                message = (
                    f"the last call did not finish {root}; repeat it first (it differs: "
                    f"{_differing(last['request'], request)})"
                )
                raise LedgerError(message)
            folder.number += 1
        elif not same or (folder.number > 1 and not update):
            message = (
                f"{root} holds picks of another call "
                f"({_differing(last['request'], request) or 'made with --update'}); choose "
                "another folder, or add to them with --update"
            )
            raise LedgerError(message)
        return folder

    def make(self) -> None:
        """Make the folder, so that it can be locked.

        Raises
        ------
        VolumeError
            If it cannot be made.
        """
        _make(self.record.parent)

    def begin(self, request: Mapping[str, Any]) -> None:
        """Enter what is asked, before the first pick is written."""
        if len(self.rounds) < self.number:
            self.rounds.append({"request": dict(request), "complete": False})
        for part in ("image", "label"):
            _make(self.root / part)
        self._save()

    def image(self, name: str) -> Path:
        """Return where the image of a pick is."""
        return _existing(self.root / "image", name)

    def label(self, name: str) -> Path:
        """Return where the label of a pick is, corrected or not."""
        return _existing(self.root / "label", name)

    def finish(self, rows: Sequence[Row], header: Mapping[str, Any]) -> None:
        """Write the manifest, which makes picks of the files.

        Parameters
        ----------
        rows
            Picks of this round.
        header
            What else is to be known, for the JSON.
        """
        self.rows = [*self.earlier, *rows]
        data = {"format": _FORMAT, **header, "picks": self.rows}
        write_report(str(self.root / "manifest.csv"), _csv(self.rows))
        text = json.dumps(data, indent=1, allow_nan=False) + "\n"
        write_report(str(self.root / "manifest.json"), text)
        self.rounds[self.number - 1]["complete"] = True
        self._save()

    def _save(self) -> None:
        text = json.dumps({"format": _FORMAT, "rounds": self.rounds}, indent=1) + "\n"
        write_report(str(self.record), text)


def earlier_rows(folder: Path) -> list[Row]:
    """Return the picks of a folder's manifest.

    Raises
    ------
    VolumeError
        If it has none that can be read.
    """
    manifest = folder.expanduser() / "manifest.json"
    if not manifest.is_file():
        message = f"--exclude {folder} holds no manifest.json of earlier picks"
        raise VolumeError(message)
    rows: list[Row] = _load(manifest)["picks"]
    return rows


def box_of(row: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return first voxel and voxel after the last of a pick, shape (2, 3)."""
    start = np.array([row[f"start_{axis}"] for axis in "zyx"], np.int64)
    size = np.array([row[f"size_{axis}"] for axis in "zyx"], np.int64)
    return np.stack([start, start + size])


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            message = f"{path} was written by another version of blockseg; use that one"
            raise LedgerError(message)
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path} cannot be read as picks ({error!r}); choose another folder"
        raise VolumeError(message) from error
    found: dict[str, Any] = data
    return found


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder} cannot be made: {error.strerror or error}; choose another"
        kind = NoSpaceError if error.errno in DISK_FULL else VolumeError
        raise kind(message) from error


def _existing(folder: Path, name: str) -> Path:
    for ending in _ENDINGS:
        for path in (folder / f"{name}{ending}", folder / f"{name}{ending.upper()}"):
            if path.exists():
                return path
    return folder / f"{name}.tif"


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: _plain(v) for k, v in row.items()})
    return text.getvalue()


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.10g}"
    return value


def _differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    found = [
        f"{name} was {_said(was.get(name))}, now {_said(now.get(name))}"
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    ]
    return "; ".join(found)


def _said(value: Any) -> str:
    if value is None or value == []:
        return "not given"
    if isinstance(value, list):
        return ",".join(map(str, value))
    text = str(value)
    return text if len(text) <= 64 else f"{text[:12]}…"
