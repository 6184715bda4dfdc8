"""Faults of every Python process that has this folder on its path: clocks, stores, blocks.

``BLOCKSEG_FAULTS`` is a JSON object: ``clock`` names a file that, once it is there, puts
the wall clock back by an hour; ``failing`` is the share of reads that fail with EIO,
``slow`` the seconds that each takes, both by ``seed``. ``blocks`` has the fields of
``blockseg.testing.trouble.Trouble`` and makes such trouble in any job: ``seconds`` in each
block, ``marked`` in block ``block`` of pass ``phase``. ``told`` names a file that gets a
line for each fault that was really made.
"""

from __future__ import annotations

import errno
import json
import os
import random
import runpy
import time
from pathlib import Path
from typing import Any

_HOUR = 3600.0


def _clock(flag: str) -> None:
    true = time.time

    def jumping() -> float:
        return true() - (_HOUR if os.path.exists(flag) else 0.0)  # noqa: PTH110

    time.time = jumping


def _tell(what: str) -> None:
    if told := _FAULTS.get("told"):
        with Path(told).open("a") as file:
            file.write(f"{what} {os.getpid()}\n")


class _Future:
    def __init__(self, inner: Any, error: str, seconds: float) -> None:
        self._inner, self._error, self._seconds = inner, error, seconds

    def result(self, *arguments: Any) -> Any:
        if self._seconds:
            time.sleep(self._seconds)
            _tell("slow")
        if self._error:
            _tell("failing")
            raise ValueError(self._error)
        return self._inner.result(*arguments)


class _Store:
    """A store of tensorstore's, whose reads fail or take their time."""

    def __init__(self, inner: Any, faults: dict[str, Any], dice: random.Random) -> None:
        self._inner, self._faults, self._dice = inner, faults, dice

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __getitem__(self, index: Any) -> _Store:
        return _Store(self._inner[index], self._faults, self._dice)

    def read(self, *arguments: Any, **more: Any) -> _Future:
        fails = self._dice.random() < self._faults.get("failing", 0.0)
        # As tensorstore words it.
        text = (
            "UNKNOWN: Error reading local file: [Input/output error] "
            "[os_error_code='5']"
        )
        future = self._inner.read(*arguments, **more)
        return _Future(future, text * fails, self._faults.get("slow", 0.0))


class _Opening:
    def __init__(self, inner: Any, faults: dict[str, Any], dice: random.Random) -> None:
        self._inner, self._faults, self._dice = inner, faults, dice

    def result(self) -> _Store:
        return _Store(self._inner.result(), self._faults, self._dice)


def _store(faults: dict[str, Any]) -> None:
    import tensorstore as ts

    dice = random.Random(f"{faults.get('seed', 0)} {os.getpid()}")
    true = ts.open

    def opening(spec: Any, *arguments: Any, **more: Any) -> Any:
        future = true(spec, *arguments, **more)
        if more.get("write") is False:  # the source; OUT is opened for both
            return _Opening(future, faults, dice)
        return future

    ts.open = opening

    from blockseg.io.tiff import pages

    read = pages.PageReader._read

    def reading(self: Any, *arguments: Any) -> bytes:
        if seconds := faults.get("slow"):
            time.sleep(seconds)
            _tell("slow")
        if dice.random() < faults.get("failing", 0.0):
            _tell("failing")
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(self, *arguments)

    pages.PageReader._read = reading  # type: ignore[method-assign, assignment]


class _Blocks:
    """What does blocks in a worker, with trouble at one of them."""

    def __init__(self, inner: Any, phase: str, faults: dict[str, Any]) -> None:
        from blockseg.testing.trouble import Trouble

        faults = dict(faults)
        ours = faults.pop("phase", "") == phase
        block = faults.pop("block", -1)
        self._inner, self._block = inner, block if ours else -1
        self._trouble = Trouble(**faults)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, block: int, meter: Any) -> Any:
        import numpy as np

        marked = block == self._block
        if marked:
            _tell(self._trouble.marked)
        self._trouble.meet(np.full(1, np.inf if marked else 0.0))
        return self._inner(block, meter)


def _blocks(faults: dict[str, Any]) -> None:
    from blockseg.blockwise.task import Phase

    true = Phase.__call__

    def opened(phase: Any) -> _Blocks:
        return _Blocks(true(phase), phase.name, faults)

    Phase.__call__ = opened  # type: ignore[method-assign, assignment]


_FAULTS = json.loads(os.environ.get("BLOCKSEG_FAULTS") or "{}")
if "clock" in _FAULTS:
    _clock(_FAULTS["clock"])
if "failing" in _FAULTS or "slow" in _FAULTS:
    _store(_FAULTS)
if "blocks" in _FAULTS:
    _blocks(_FAULTS["blocks"])
if os.environ.get("BLOCKSEG_ERROR_PATHS"):  # Python runs one file of this name alone
    tests = Path(__file__).parents[2]
    runpy.run_path(str(tests / "error_paths" / "sitecustomize.py"))
