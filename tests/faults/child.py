"""A ``blockseg`` command in a process of its own, watched, harmed and waited for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
ENDS_WITHIN = 300.0
"""Seconds after which a command that does not end counts as hanging."""


class HangError(AssertionError):
    """A command did not end in its time."""


class NotHarmedError(AssertionError):
    """A fault was not made: what it was meant for had ended, or never came."""


@dataclass
class Child:
    """A running command, its output line by line."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def said(self) -> str:
        """What is no event."""
        return "\n".join(line for line in self.lines if not line.startswith("{"))

    def events(self, kind: str) -> list[Any]:
        found = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [event for event in found if event["event"] == kind]

    def done(self) -> int:
        return sum('"BlockDone"' in line for line in list(self.lines))

    def until(self, condition: Any, seconds: float = ENDS_WITHIN) -> bool:
        """Wait until something is so; False if the command ended before."""
        deadline = time.monotonic() + seconds
        while not condition(self):
            if self.process.poll() is not None:
                self._reader.join(60)
                return bool(condition(self))
            if time.monotonic() > deadline:
                self._hangs("something that was to happen did not")
            time.sleep(0.01)
        return True

    def until_done(self, blocks: int) -> bool:
        return self.until(lambda child: child.done() >= blocks)

    def sleep(self, seconds: float) -> None:
        """Wait, or until the command ends."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def wait(self, seconds: float = ENDS_WITHIN) -> int:
        """Return the exit code; raise HangError if there is none in time."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._hangs(f"it did not end within {seconds:.0f} s")
        self._reader.join(60)
        return code

    def _hangs(self, why: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGABRT)  # faulthandler says where
        time.sleep(1)
        self.end()
        raise HangError(f"{why}:\n{self.output[-6000:]}")

    def workers(self) -> list[psutil.Process]:
        """Workers of our own cluster, which are forked by a template."""
        with contextlib.suppress(psutil.Error):
            driver = psutil.Process(self.process.pid)
            return [
                child
                for child in driver.children(recursive=True)
                if child.ppid() != self.process.pid
            ]
        return []

    def some_workers(self) -> list[psutil.Process]:
        """Wait until there are workers, and return them by their numbers."""
        deadline = time.monotonic() + ENDS_WITHIN
        while not (found := self.workers()) and self.process.poll() is None:
            assert time.monotonic() < deadline, "no workers came"
            time.sleep(0.02)
        if not found:
            message = "the command ended without workers to harm"
            raise NotHarmedError(message)
        return sorted(found, key=lambda worker: worker.pid)

    def family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            driver = psutil.Process(self.process.pid)
            return [driver, *driver.children(recursive=True)]
        return []

    def kill(self) -> None:
        """Kill the driver; its workers must end by themselves."""
        family = self.family()
        code = self.process.poll()  # of a command that was refused there is no kill
        assert code in (None, 0, -signal.SIGKILL), f"exit code {code}: {self.said}"
        self.kill_driver()
        self.process.wait()
        self._reader.join(60)
        _, left = psutil.wait_procs(family, 120)
        left = [process for process in left if not is_dead(process)]
        if left:
            names = [f"{p.pid} {p.name()}" for p in left]
            for process in left:
                process.kill()
            raise HangError(f"processes outlive their driver: {names}")

    def kill_driver(self) -> None:
        """Kill the driver alone."""
        self.process.kill()
        if self.process.wait() != -signal.SIGKILL:
            message = f"the command had ended before it was killed: {self.said[-2000:]}"
            raise NotHarmedError(message)

    def end(self) -> None:
        """End whatever is left, for good."""
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(60)
        self.close()

    def close(self) -> None:
        """Close our end of the pipe."""
        if self.process.stdout is not None and not self._reader.is_alive():
            self.process.stdout.close()


def is_dead(process: psutil.Process) -> bool:
    """Say whether a process has ended, even if nobody has asked for its exit code."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def environment(**more: Any) -> dict[str, str]:
    """Return the environment of a command; values that are no text become JSON."""
    paths = [str(HERE / "inject"), os.environ.get("PYTHONPATH", "")]
    new = {k: v if isinstance(v, str) else json.dumps(v) for k, v in more.items()}
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONFAULTHANDLER": "1",
        **new,
    }


def start(
    folder: Path, *words: Any, within: Sequence[str] = (), **variables: Any
) -> Child:
    """Start ``blockseg`` in a session of its own, by another command if one is given."""
    process = subprocess.Popen(
        [*within, sys.executable, "-m", "blockseg_cli", *map(str, words)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=environment(**variables),
    )
    return Child(process)
