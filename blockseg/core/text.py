"""Shapes, numbers, durations and errors, as people read them in a line."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from blockseg.core.errors import BlocksegError

if TYPE_CHECKING:
    from collections.abc import Iterable


def times(shape: Iterable[object]) -> str:
    """Return lengths as ``64×64×64``."""
    return "×".join(str(n) for n in shape)


def exact(number: float) -> str:
    """Return a number as a user types it: ``0.5``; with all its digits if it needs them."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def blockseg_command(*words: object) -> str:
    """Return a command as a user can type it: ``blockseg label '/data/my brain.zarr'``."""
    return shlex.join(["blockseg", *map(str, words)])


def counted(number: int, thing: str) -> str:
    """Return ``1 block``, ``2 blocks``."""
    return f"{number} {thing}{'s' * (number != 1)}"


def byte_count(number: float) -> str:
    """Return a number of bytes as ``1.5 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:  # what is more has four digits when it is rounded to three
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def span(seconds: float, digits: int = 1) -> str:
    """Return a duration: ``12.5 s``, ``3 min 05 s``, ``2 h 07 min``.

    Parameters
    ----------
    seconds
        The duration.
    digits
        Of its seconds after the point, below a minute.
    """
    if round(seconds, digits) < 60:
        return f"{seconds:.{digits}f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def time_unit(longest: float) -> tuple[str, float]:
    """Return the unit of a chart's time axis, and its length in seconds.

    Parameters
    ----------
    longest
        Seconds that the axis covers.
    """
    if longest < 300:
        return "seconds", 1.0
    return ("minutes", 60.0) if longest < 3 * 3600 else ("hours", 3600.0)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def one_line(error: BaseException) -> str:
    """Return an error as one line; our own speak for themselves, others by type."""
    text = " ".join(str(error).split())
    if isinstance(error, BlocksegError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
