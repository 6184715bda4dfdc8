"""A command as a process of its own, ended at a limit of time or of memory."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.hostile.judge import Answer, listing
from tests.hostile.stock import WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.hostile.case import Case, Stock

HARD_SECONDS = 60.0
HARD_BYTES = 3 * 2**30  # of its own and of what it started
_LOOK = 0.02
_KEPT = 200_000  # characters of what it prints


def ask(case: Case, stock: Stock, hard_seconds: float = HARD_SECONDS) -> Answer:
    """Make an input, give it to its command, and return what that did."""
    words = case.make(stock)
    before = listing(stock.folder)
    answer = run([str(word) for word in words], stock.folder, hard_seconds)
    written = sorted(listing(stock.folder) - before)
    return Answer(
        answer.code, answer.out, answer.err, answer.seconds, answer.peak,
        tuple(name for name in written if counts(name)), answer.ended,
    )  # fmt: skip


def run(words: Sequence[str], folder: Path, hard_seconds: float) -> Answer:
    """Run the command line in a folder."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [*WORDS, *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
            stderr=err, start_new_session=True,
        )  # fmt: skip
        end = _watched(process, time.perf_counter() + hard_seconds)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read(_KEPT).decode(errors="replace"))
    return replace(end, out=texts[0], err=texts[1])


def _watched(process: subprocess.Popen[bytes], until: float) -> Answer:
    """Wait for a process, or end it at a limit."""
    peak = 0
    ended: Literal["", "time", "memory"] = ""
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            code = process.returncode = os.waitstatus_to_exitcode(status)
            seconds = used.ru_utime + used.ru_stime
            return Answer(code, "", "", seconds, peak, (), ended)
        with suppress(OSError):
            own = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, *(_high_water(line) for line in own.splitlines()))
        if not ended and (peak > HARD_BYTES or time.perf_counter() > until):
            ended = "memory" if peak > HARD_BYTES else "time"
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        time.sleep(_LOOK)


def _high_water(line: str) -> int:
    return int(line.split()[1]) * 1024 if line.startswith("VmHWM:") else 0


def counts(name: str) -> bool:
    """Say whether a file is more than the lock that a reader takes and leaves."""
    return not name.endswith((".lock", "/lock", ".lock.json", "-shm", "-wal"))
