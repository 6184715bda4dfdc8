"""Progress within a block, for runs of so few that a block is worth watching.

Whoever computes says how far it is (:func:`note_advance`); whoever tries a block may listen:
``with noting_advance(tell): process(block)``. Where nobody listens it costs a look.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_listener: ContextVar[Callable[[float], None] | None] = ContextVar(
    "_listener", default=None
)


@contextmanager
def noting_advance(tell: Callable[[float], None]) -> Iterator[None]:
    """Have ``tell`` called with the share of a block that this thread has inferred."""
    token = _listener.set(tell)
    try:
        yield
    finally:
        _listener.reset(token)


def note_advance(share: float) -> None:
    """Tell whoever tries a block what share of it is inferred, 0 to 1."""
    tell = _listener.get()
    if tell is not None:
        tell(share)
