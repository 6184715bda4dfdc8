"""A training that the page starts in a process of its own."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.subprocess import Process

_POINTS = 2_000  # of a curve that are kept
_LINES = 20
_LINE_BYTES = 2**20
_END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class TrainingCommand:
    """How a training is started."""

    words: tuple[str, ...]
    """Program and arguments; it prints an event a line as JSON."""

    shown: tuple[str, ...]
    """Command that a user would type for the same."""

    @property
    def text(self) -> str:
        """The user's command in one line."""
        return shlex.join(self.shown)


@dataclass(slots=True)
class Learning:
    """One training at a time, with its curves.

    Parameters
    ----------
    command
        What is started.
    """

    command: TrainingCommand
    """How it is started."""

    state: str = "idle"
    """``idle``, ``running``, ``done`` or ``failed``."""

    loss: list[tuple[int, float]] = field(default_factory=list)
    """Step, and loss of the training since the point before."""

    scores: list[tuple[int, float, float]] = field(default_factory=list)
    """Step, F1 on what is held out, and validation loss."""

    share: float = 0.0
    """Share of the training, 0 to 1."""

    lines: list[str] = field(default_factory=list)
    """Last lines for a human."""

    _process: Process | None = None
    _reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start or resume the training, unless it is running."""
        if self.state == "running":
            return
        self.state, self.share = "running", 0.0
        self.loss, self.scores, self.lines = [], [], []
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.command.words,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                limit=_LINE_BYTES,
                start_new_session=True,  # Ctrl-C reaches us, and we tell it
            )
        except OSError as error:
            self.state = "failed"
            self.lines = [f"it cannot be started: {error.strerror or error}"]
            return
        self._reader = asyncio.create_task(self._read(self._process))

    async def stop(self) -> None:
        """Stop the training after a checkpoint, as Ctrl-C does."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), _END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reader is not None:
            await self._reader

    async def _read(self, process: Process) -> None:
        if process.stdout is not None:
            async for line in process.stdout:
                self._take(line.decode(errors="replace").strip())
        code = await process.wait()
        stopped = code in (130, -signal.SIGINT)
        self.state = "idle" if stopped else "failed" if code else "done"

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, KeyError, TypeError):
            self._say(line)
            return
        if kind == "Progress":
            self.share = event["share"]
            self.loss = [*self.loss[-_POINTS:], (event["step"], event["loss"])]
        elif kind == "Validated":
            point = (event["step"], event["f1"], event["loss"])
            self.scores = [*self.scores[-_POINTS:], point]
        elif kind == "TrainingStarted":
            self._say(f"{event['network']}, {event['device']}")
            for note in (*event["sources"], *event["notes"]):
                self._say(note)
        elif kind == "TrainingMessage":
            self._say(event["text"])
        elif kind == "result":
            self.share = 1.0 if event["complete"] else self.share
            self._say(f"weights: {event['out']}/best.safetensors")

    def _say(self, line: str) -> None:
        if line:
            self.lines = [*self.lines[-_LINES:], line]
