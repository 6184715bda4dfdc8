"""Attempt at one block: whatever it raises becomes a report."""

from __future__ import annotations

import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

from blockseg.core.blocks import BlockReport
from blockseg.core.errors import (
    DISK_FULL,
    CorruptDataError,
    DeviceLostError,
    NoSpaceError,
    OutputGoneError,
    VolumeError,
    WeightsError,
)
from blockseg.core.reads import noting_reads
from blockseg.core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from blockseg.core.blocks import Meter

_TRACEBACK_CHARACTERS = 16_000
_FOR_GOOD = (CorruptDataError, WeightsError)  # the same on every try


class _Activity:
    """One activity while it lasts; a class, as a generator takes twice as long."""

    __slots__ = ("_inner", "_name", "_seconds", "_start")

    def __init__(
        self,
        seconds: dict[str, float],
        name: str,
        inner: AbstractContextManager[object] | None,
    ) -> None:
        self._seconds = seconds
        self._name = name
        self._inner = inner

    def __enter__(self) -> None:
        self._start = time.perf_counter()
        if self._inner is not None:
            self._inner.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._inner is not None:
                self._inner.__exit__(kind, error, trace)
        finally:
            spent = time.perf_counter() - self._start
            self._seconds[self._name] = self._seconds.get(self._name, 0.0) + spent


class Stopwatch:
    """A meter that sums wall time by activity.

    Parameters
    ----------
    inner
        Another meter that sees every activity too.
    """

    __slots__ = ("_inner", "_seconds")

    def __init__(self, inner: Meter | None = None) -> None:
        self._inner = inner
        self._seconds: dict[str, float] = {}

    def __call__(self, activity: str) -> _Activity:
        """Count the time inside the context under ``activity``."""
        inner = None if self._inner is None else self._inner(activity)
        return _Activity(self._seconds, activity, inner)

    @property
    def seconds(self) -> tuple[tuple[str, float], ...]:
        """Wall seconds by activity, in the order in which they first came."""
        return tuple(self._seconds.items())


def attempt(
    process: Callable[[int, Meter], BlockReport],
    block_id: int,
    meter: Meter | None = None,
) -> BlockReport:
    """Process one block and report; raises nothing that is an ``Exception``.

    Parameters
    ----------
    process
        The actor.
    block_id
        Which block.
    meter
        Sees every activity, beside the report's own seconds.
    """
    watch = Stopwatch(meter)
    with noting_reads() as reads:
        try:
            report = process(block_id, watch)
            if report.block_id != block_id:
                _refuse(report.block_id, block_id)
        except Exception as error:  # noqa: BLE001 - an actor may raise anything
            report = _failed(block_id, error)
    return replace(report, reads=tuple(reads), seconds=report.seconds or watch.seconds)


def _refuse(reported: int, block_id: int) -> None:
    message = f"an actor reported block {reported} when it was given block {block_id}"
    raise ValueError(message)


def _failed(block_id: int, error: Exception) -> BlockReport:
    disk_full = isinstance(error, OSError) and error.errno in DISK_FULL
    text = "".join(traceback.format_exception(error))
    return BlockReport(
        block_id,
        error=one_line(error),
        # The end tells most, and a report must stay small.
        traceback=text[-_TRACEBACK_CHARACTERS:],
        retry=not isinstance(error, _FOR_GOOD),
        # No other block can be written either.
        fatal=disk_full or isinstance(error, NoSpaceError | OutputGoneError),
        broken=isinstance(error, DeviceLostError),
        damaged=error.file if isinstance(error, VolumeError) else "",
    )
