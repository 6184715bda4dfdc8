"""A command as a process of its own, ended at a limit of time or of memory."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

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
        tuple(name for name in written if _counts(name)), answer.ended,
    )  # fmt: skip


def run(words: Sequence[str], folder: Path, hard_seconds: float) -> Answer:
    """Run the command line in a folder."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*WORDS, *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
            stderr=err, start_new_session=True,
        )  # fmt: skip
        ended, peak = _watched(process, began + hard_seconds)
        seconds = time.perf_counter() - began
        code = process.wait()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read(_KEPT).decode(errors="replace"))
    return Answer(code, texts[0], texts[1], seconds, peak, (), ended)


def _watched(process: subprocess.Popen[bytes], end: float) -> tuple[str, int]:
    """Wait for a process; return why it was ended, if it was, and its peak of memory."""
    peak = 0
    while process.poll() is None:
        with suppress(psutil.Error, OSError):
            own = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, *(_high_water(line) for line in own.splitlines()))
        if peak > HARD_BYTES:
            _end(process)
            return "memory", peak
        if time.perf_counter() > end:
            _end(process)
            return "time", peak
        time.sleep(_LOOK)
    return "", peak


def _high_water(line: str) -> int:
    return int(line.split()[1]) * 1024 if line.startswith("VmHWM:") else 0


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _counts(name: str) -> bool:
    """Say whether a file is more than the lock that a reader takes and leaves."""
    return not name.endswith((".lock", "/lock", ".lock.json", "-shm", "-wal"))
