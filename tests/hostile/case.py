"""One hostile input: how it is made, and what is right to say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Right: TypeAlias = Literal["told", "handled"]
"""Whether it is refused in one line, or taken for what it is."""

Words: TypeAlias = "Sequence[object]"


@dataclass(frozen=True, slots=True)
class Stock:
    """Sound inputs that hostile ones are made from, and a place to make them in."""

    sound: Path
    """Folder of the sound inputs, which stay as they are."""

    folder: Path
    """Empty folder of one case."""


@dataclass(frozen=True, slots=True)
class Case:
    """A hostile input and a command that reads it."""

    area: str
    """Format or file that it is in."""

    title: str
    """Fault of it, in words."""

    make: Callable[[Stock], Words]
    """Writes it and returns the words of the command."""

    right: Right = "told"
    """Right answer."""

    code: int = 1
    """Exit code where it is told."""

    contains: str = ""
    """Text that the answer must hold."""

    @property
    def name(self) -> str:
        """Name by which it is chosen."""
        return f"{self.area}: {self.title}"
