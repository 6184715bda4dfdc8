"""Display of a command's events: JSON, nothing, a live display, plain lines."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_Show: TypeAlias = "Callable[[Any], None]"


@contextmanager
def display(
    *,
    quiet: bool,
    as_json: _Show | None,
    live: Callable[[], AbstractContextManager[_Show]],
    plain: Callable[[], _Show],
) -> Iterator[_Show]:
    """Give a function that takes events, for as long as the display lives.

    Parameters
    ----------
    quiet
        Show nothing.
    as_json
        Prints an event as JSON, if that is asked for.
    live
        Opens a display for a terminal.
    plain
        Makes a printer of lines, for anything else.
    """
    if as_json is not None:
        yield as_json
    elif quiet:
        yield lambda event: None  # noqa: ARG005
    elif sys.stdout.isatty():
        with live() as show:
            yield show
    else:
        yield plain()
