"""Folder of picks: images, labels and the manifest; it grows and never loses a label."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.record.record import FOLDER, Paths
from blockseg.core.errors import DISK_FULL, LedgerError, NoSpaceError, VolumeError
from blockseg.core.untrusted.files import RECORD_BYTES, read_text
from blockseg.core.untrusted.json_text import MALFORMED, parse_json, shortened
from blockseg.evaluation.report import write_report
from blockseg.io.tiff.write import write_tiff
from blockseg.networks.shipped import DEFAULT_NAME
from blockseg.proposals.manifest import ManifestRow, manifest_csv
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.proposals.manifest import Origin
    from blockseg.proposals.request import PicksRequest

_FORMAT = 1
_ENDINGS = (".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Proposed:
    """Picks of a call."""

    folder: Path
    """``PICKS``."""

    names: tuple[str, ...]
    """Names of the picks of this call, best first."""

    kept: int
    """Labels that were there before and are as they were."""

    candidates: int
    """Blocks that the rule chose from."""

    blocks: int
    """Blocks of the brain."""

    shape: Zyx
    """Voxels of a pick along (z, y, x), at most."""

    notes: tuple[str, ...]
    """Notes for the user, a line each."""

    weights: str = DEFAULT_NAME
    """Weights that a training on the picks would go on from: those that saw the brain, by
    their name where they have one."""


@dataclass(slots=True)
class PicksFolder:
    """A folder of picks, made in one or more rounds."""

    root: Path
    """The folder."""

    rows: list[ManifestRow] = field(default_factory=list)
    """The manifest."""

    number: int = 1
    """Number of this round, from 1."""

    _head: dict[str, Any] = field(default_factory=dict)
    """Source of the picks according to the manifest."""

    _rounds: list[dict[str, Any]] = field(default_factory=list)
    """Requests of all rounds, and whether each is complete, as JSON values."""

    @property
    def record(self) -> Path:
        """Record of the requests."""
        return self.root / FOLDER / "propose.json"

    @property
    def earlier(self) -> list[ManifestRow]:
        """Picks of earlier rounds."""
        return [row for row in self.rows if row.round < self.number]

    @classmethod
    def open(cls, root: Path, request: PicksRequest, *, update: bool) -> PicksFolder:
        """Inspect a folder before picks are written to it; nothing is changed.

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
        if not folder.record.exists():
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                message = f"{root} exists and holds no picks; choose another folder"
                raise VolumeError(message)
            if update:
                message = f"there are no picks in {root} to add to; leave --update out"
                raise LedgerError(message)
            return folder
        folder._rounds = _rounds(folder.record)
        manifest = root / "manifest.json"
        if manifest.is_file():
            folder.rows = _rows(manifest)
        last = folder._rounds[-1]
        asked = request.to_plain()
        same = last["request"] == asked
        folder.number = len(folder._rounds)
        if update and not same:
            if not last["complete"]:
                message = (
                    f"the last call did not finish {root}; repeat it first (it differs: "
                    f"{_differing(last['request'], asked)})"
                )
                raise LedgerError(message)
            folder.number += 1
        elif not same or (folder.number > 1 and not update):
            message = (
                f"{root} holds picks of another call "
                f"({_differing(last['request'], asked) or 'made with --update'}); choose "
                "another folder, or add to them with --update"
            )
            raise LedgerError(message)
        return folder

    @classmethod
    def existing(cls, root: Path) -> PicksFolder:
        """Open an existing folder for annotation.

        Raises
        ------
        VolumeError
            If it holds no picks that can be read.
        """
        manifest = root / "manifest.json"
        if not manifest.is_file():
            message = (
                f"{root} holds no manifest.json of picks; blockseg propose-annotations "
                "makes such a folder"
            )
            raise VolumeError(message)
        data = _load(manifest)
        head = {name: value for name, value in data.items() if name != "picks"}
        return cls(root, _rows(manifest), _head=head)

    @property
    def run(self) -> str | None:
        """Output that the picks were made from; None if no run was."""
        found = self._head.get("run")
        return None if found is None else str(found)

    @property
    def source(self) -> str:
        """Volume that the picks are of."""
        return str(self._head.get("source", ""))

    @property
    def lock(self) -> Path:
        """File by which one process at a time writes here."""
        return Paths(self.root).lock

    def note(self, row: ManifestRow) -> None:
        """Put a row in place of the one of its name, and write the manifest."""
        self.rows = [row if one.name == row.name else one for one in self.rows]
        self._write()

    @contextmanager
    def locked(self, request: PicksRequest) -> Iterator[None]:
        """Create and lock the folder; the request is recorded before the first pick.

        Raises
        ------
        VolumeError
            If it cannot be made.
        """
        _make(self.record.parent)
        with RunLock(Paths(self.root).lock):
            if len(self._rounds) < self.number:
                self._rounds.append({"request": request.to_plain(), "complete": False})
            for part in ("image", "label"):
                _make(self.root / part)
            self._save()
            yield

    def probability(self, name: str) -> Path:
        """Return where the probability of a pick is, if a network has seen it."""
        return _existing(self.root / "probability", name)

    def image(self, name: str) -> Path:
        """Return where the image of a pick is."""
        return _existing(self.root / "image", name)

    def label(self, name: str) -> Path:
        """Return where the label of a pick is, corrected or not."""
        return _existing(self.root / "label", name)

    def keep(
        self,
        name: str,
        image: NDArray[np.generic],
        label: NDArray[np.generic],
        space: Space,
        probability: NDArray[np.uint8] | None = None,
    ) -> bool:
        """Write the files of a pick, except those that exist.

        Parameters
        ----------
        name
            Name of the pick.
        image, label
            Shape (z, y, x).
        space
            Voxel size and place.
        probability
            In 1/255, of the same shape; None where no network has seen the pick.

        Returns
        -------
        bool
            Whether there was a label.
        """
        if not self.image(name).exists():
            write_tiff(self.image(name), image, space)
        if probability is not None and not self.probability(name).exists():
            _make(self.root / "probability")
            write_tiff(self.probability(name), probability, space)
        if self.label(name).exists():
            return True
        write_tiff(self.label(name), label, space)
        return False

    def finish(self, rows: Sequence[ManifestRow], origin: Origin) -> None:
        """Write the manifest, which makes picks of the files.

        Parameters
        ----------
        rows
            Picks of this round.
        origin
            Where they are from.
        """
        was = {row.name: row for row in self.rows}
        kept = [row if row.name not in was else row.kept(was[row.name]) for row in rows]
        self.rows = [*self.earlier, *kept]
        self._head = {"format": _FORMAT, **origin.to_plain()}
        self._write()
        self._rounds[self.number - 1]["complete"] = True
        self._save()

    def _write(self) -> None:
        plain = [row.to_plain() for row in self.rows]
        write_report(str(self.root / "manifest.csv"), manifest_csv(self.rows))
        data = {**self._head, "picks": plain}
        text = json.dumps(data, indent=1, allow_nan=False) + "\n"
        write_report(str(self.root / "manifest.json"), text)

    def _save(self) -> None:
        text = json.dumps({"format": _FORMAT, "rounds": self._rounds}, indent=1) + "\n"
        write_report(str(self.record), text)


def earlier_rows(folder: Path) -> list[ManifestRow]:
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
    return _rows(manifest)


def _rows(manifest: Path) -> list[ManifestRow]:
    try:
        return list(map(ManifestRow.from_plain, _load(manifest)["picks"]))
    except MALFORMED as error:
        raise _unreadable(manifest, error) from error


def _unreadable(path: Path, error: Exception) -> VolumeError:
    return VolumeError(
        f"{path} cannot be read as picks ({shortened(error)}); choose another folder"
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        data = parse_json(read_text(path, RECORD_BYTES))
        if data["format"] != _FORMAT:
            message = f"{path} was written by another version of blockseg; use that one"
            raise LedgerError(message)
    except (OSError, *MALFORMED) as error:
        raise _unreadable(path, error) from error
    found: dict[str, Any] = data
    return found


def _rounds(record: Path) -> list[dict[str, Any]]:
    """Return the requests of all rounds."""
    rounds = _load(record).get("rounds")
    whole = isinstance(rounds, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("request"), dict)
        and isinstance(one.get("complete"), bool)
        for one in rounds
    )
    if not rounds or not whole:
        raise _unreadable(record, ValueError("no rounds with a request each"))
    return list(rounds)


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


def _differing(was: dict[str, Any], now: dict[str, Any]) -> str:
    """Return the differences between two requests, for users."""
    return "; ".join(
        f"{name} was {_said(was.get(name))}, now {_said(now.get(name))}"
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    )


def _said(value: Any) -> str:
    if value is None or value == []:
        return "not given"
    if isinstance(value, list):
        return ",".join(map(str, value))
    text = str(value)
    return text if len(text) <= 64 else f"{text[:12]}…"
