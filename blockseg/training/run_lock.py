"""Lock of ``RUN/``: one training at a time, which leaves foreign files alone."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.config.train_settings import TrainSettings
from blockseg.core.errors import (
    DISK_FULL,
    BlocksegError,
    LedgerError,
    NoSpaceError,
    VolumeError,
)
from blockseg.core.places import refuse_no_text
from blockseg.core.specs import AUTO, ROBUST
from blockseg.runtime.run_lock import RunLock
from blockseg.training.record import TrainRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from blockseg.training.learning.arithmetic import Asked
    from blockseg.training.record import TrainFacts, TrainRequest, TrainSession

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
        refuse_no_text(self.path)
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

    def is_fresh(self, request: TrainRequest, *, overwrite: bool) -> bool:
        """Return whether nothing of an earlier training is to be kept.

        Raises
        ------
        LedgerError
            If the folder holds another training; names what differs.
        """
        if overwrite or not self.record.is_file():
            return True
        if found := TrainRecord.load(self.record).request.differences(request):
            message = (
                f"RUN {self.path} holds another training: {'; '.join(found)}; use the "
                "same settings to resume it, or --overwrite to start over"
            )
            raise LedgerError(message)
        return False

    def begun_in(self, *, overwrite: bool) -> Asked | None:
        """Return the precision of an earlier training that is gone on with, if known."""
        if overwrite or not self.record.is_file():
            return None
        return TrainRecord.load(self.record).facts.decided.precision

    def as_begun(self, settings: TrainSettings, *, overwrite: bool) -> TrainSettings:
        """Return settings with what an earlier version took where nothing was asked for.

        One level and one noise SD for each volume were the default then, and patience
        counted from the first validation on.
        """
        if overwrite or not self.record.is_file():
            return settings
        earlier = TrainRecord.load(self.record).request.settings
        if settings.normalization == AUTO and earlier.normalization == ROBUST:
            settings = replace(settings, normalization=earlier.normalization)
        asked = settings.patience_from != TrainSettings().patience_from
        if not asked and earlier.patience_from == 0:
            settings = replace(settings, patience_from=0)
        return settings

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
        self, request: TrainRequest, facts: TrainFacts, this: TrainSession
    ) -> TrainRecord:
        """Note a start in the record, and return it."""
        earlier = (
            TrainRecord.load(self.record).sessions if self.record.is_file() else ()
        )
        record = TrainRecord(request, facts, (*earlier, this))
        record.save(self.record)
        return record

    def end(self, record: TrainRecord, outcome: str) -> None:
        """Record how the last start ended, if it can be written."""
        with suppress(BlocksegError):
            record.ended(outcome).save(self.record)

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
