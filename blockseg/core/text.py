"""Shapes and errors, written in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.errors import BlocksegError

if TYPE_CHECKING:
    from collections.abc import Iterable


def times(shape: Iterable[object]) -> str:
    """Return lengths as ``64×64×64``."""
    return "×".join(str(n) for n in shape)


def counted(number: int, thing: str) -> str:
    """Return ``1 block``, ``2 blocks``."""
    return f"{number} {thing}{'s' * (number != 1)}"


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
