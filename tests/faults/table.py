"""The faults by name, as their modules declare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.lab import Lab


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: str
    make: Callable[[Lab], None]
    needs: str = ""
    """``root`` or ``mount``: what it cannot do without; empty for nothing."""
    seldom: bool = False
    """Whether it takes long, and is run every third turn."""
    ci: bool = False
    """Whether CI makes it, once: one of each kind, as long as all take two minutes."""


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, *, needs: str = "", seldom: bool = False, ci: bool = False
) -> Callable[[Callable[[Lab], None]], Callable[[Lab], None]]:
    """Enter a function as a kind of fault."""

    def enter(make: Callable[[Lab], None]) -> Callable[[Lab], None]:
        FAULTS[name] = Fault(name, make, needs, seldom, ci)
        return make

    return enter
