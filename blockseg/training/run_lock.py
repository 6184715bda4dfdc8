"""Lock of ``RUN/``: one training at a time, and nothing of others is touched."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.record.record import now, session
from blockseg.blockwise.record.request import which_settings_differ
from blockseg.core.errors import (
    DISK_FULL,
    BlocksegError,
    LedgerError,
    NoSpaceError,
    VolumeError,
)
from blockseg.core.version import __version__
from blockseg.runtime.run_lock import RunLock
from blockseg.training.checkpoint import load_checkpoint
from blockseg.training.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TrainFolder"]

_FORMAT = 1
_BEFORE_RECORD = (".lock", "train.json.part")
_OURS = (
    "train.json",
    "checkpoint.pt",
    "best.safetensors",
    "last.safetensors",
    "log.csv",
    "report.html",
    "tensorboard",
)


@dataclass(frozen=True, slots=True)
class TrainFolder:
    """A training's folder and its record, ``train.json``."""

    path: Path
    """The folder, which need not exist."""

    @property
    def record(self) -> Path:
        """Record of what was asked and decided, and of every start."""
        return self.path / "train.json"

    def refuse_foreign(self) -> None:
        """Raise VolumeError if something is there that blockseg did not make."""
        if not self.path.exists():
            return
        entries = list(self.path.iterdir()) if self.path.is_dir() else [self.path]
        # A kill before the first record leaves the lock, and that record half written.
        foreign = [e for e in entries if not e.name.startswith(_BEFORE_RECORD)]
        if foreign and not self.record.is_file():
            message = (
                f"RUN {self.path} exists and holds no training; choose another place or "
                "remove it yourself"
            )
            raise VolumeError(message)

    def refuse_nothing(self) -> None:
        """Raise LedgerError if there is no training to go on with."""
        if not self.record.is_file():
            message = f"--resume: there is no training in {self.path}"
            raise LedgerError(message)

    def is_fresh(self, request: dict[str, Any], *, overwrite: bool) -> bool:
        """Say whether nothing of an earlier training is to be kept.

        Raises
        ------
        LedgerError
            If the folder holds another training; names what differs.
        """
        if overwrite or not self.record.is_file():
            return True
        if found := _what_differs(self._load()["request"], request):
            message = (
                f"RUN {self.path} holds another training: {'; '.join(found)}; use the "
                "same settings to resume it, or --overwrite to start anew"
            )
            raise LedgerError(message)
        return False

    @contextmanager
    def locked(self, *, fresh: bool) -> Iterator[None]:
        """Hold the folder for this process; a fresh training finds it empty.

        Raises
        ------
        LedgerError
            If another training holds it.
        VolumeError
            If it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = RunLock(self.path / ".lock").acquire()
        except OSError as error:
            message = (
                f"RUN {self.path} cannot be written: {error.strerror or error}; choose "
                "another place"
            )
            kind = NoSpaceError if error.errno in DISK_FULL else VolumeError
            raise kind(message) from error
        try:
            if fresh:
                self._clear()
            yield
        finally:
            lock.release()

    def start(
        self,
        request: dict[str, Any],
        facts: dict[str, Any],
        execution: dict[str, Any],
        command: str,
    ) -> None:
        """Note a start in the record."""
        sessions = self._load()["sessions"] if self.record.is_file() else []
        self._save(
            {
                "request": request,
                "facts": facts,
                "version": __version__,
                "sessions": [*sessions, {**session(command), "execution": execution}],
            }
        )

    def end(self, outcome: str) -> None:
        """Note how the last start ended, if the disk takes it."""
        with suppress(BlocksegError):
            record = self._load()
            record["sessions"][-1] |= {"ended": now(), "outcome": outcome}
            self._save(record)

    def step_of(self, checkpoint: Path) -> int:
        """Return the steps that earlier sessions did."""
        found = load_checkpoint(checkpoint)
        return 0 if found is None else found.step

    def _load(self) -> dict[str, Any]:
        try:
            data = json.loads(self.record.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            message = f"{self.record} cannot be read ({error}); --overwrite starts anew"
            raise LedgerError(message) from error
        if not isinstance(data, dict) or data.pop("format", None) != _FORMAT:
            message = (
                f"{self.record} was written by another version of blockseg; finish "
                "with that one, or start anew with --overwrite"
            )
            raise LedgerError(message)
        return data

    def _save(self, record: dict[str, Any]) -> None:
        text = json.dumps({"format": _FORMAT, **record}, indent=2) + "\n"
        replace_file(self.record, text.encode())

    def _clear(self) -> None:
        # The checkpoint first: without it whatever is left is started anew. The record
        # last: without it the folder would be somebody else's.
        try:
            for name in (*_OURS[1:], _OURS[0]):
                entry = self.path / name
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink(missing_ok=True)
        except OSError as error:
            message = f"RUN {self.path} cannot be cleared: {error.strerror or error}"
            raise VolumeError(message) from error


def _what_differs(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Name what differs between two requests, for a user to read."""
    found = which_settings_differ(old["settings"], new["settings"])
    if old["init"] != new["init"]:
        found.append(
            f"the weights of --init were {str(old['init'])[:12]}…, now "
            f"{str(new['init'])[:12]}…"
        )
    before, after = _by_name(old["data"]), _by_name(new["data"])
    if before.keys() == after.keys() and list(before) != list(after):
        found.append(
            f"DATA was given in another order: {', '.join(before)}, which --shares "
            "and the held-out parts go by"
        )
    for name in sorted({*before, *after}):
        was, is_ = before.get(name), after.get(name)
        if was is None or is_ is None:
            found.append(f"DATA {name} was {'not ' if was is None else ''}there")
        elif was != is_:
            what = next(k for k in {**was, **is_} if was.get(k) != is_.get(k))
            found.append(
                f"DATA {name} changed: {what.replace('_', ' ')} was {was.get(what)}, "
                f"now {is_.get(what)}"
            )
    return found


def _by_name(notes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what is known of each volume; of equal names the second gets a number."""
    named: dict[str, dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    for note in notes:
        name = str(note["name"])
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name} ({seen[name]})"] = note
    return named
