"""Progress in Python: a callback, or a bar in a notebook or a terminal."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from blockseg.blockwise.events import JobStarted
from blockseg.runtime.events import BlockDone, BlockFailed, Message, PhaseStarted

if TYPE_CHECKING:
    from collections.abc import Callable

Progress: TypeAlias = "bool | Callable[[Any], None]"
"""True for a bar, False for nothing, or a function that takes each event."""


def watcher(progress: Progress) -> Callable[[Any], None]:
    """Return the receiver of events.

    Parameters
    ----------
    progress
        As the user gave it. A bar is HTML where IPython can show that, else lines.
    """
    if callable(progress):
        return progress
    if not progress:
        return _nothing
    return Bar(_display())


class Bar:
    """A bar that is redrawn with each block.

    Parameters
    ----------
    display
        Shows HTML and returns a function that replaces it; None to print lines.
    """

    def __init__(self, display: Callable[[str], Callable[[str], None]] | None) -> None:
        self._show, self._update = display, None if display is None else display("")
        self._phase, self._total, self._done = "preparing", 0, 0
        self._said, self._dashboard = "", ""

    def __call__(self, event: Any) -> None:
        """Take an event."""
        if isinstance(event, JobStarted):
            self._dashboard = event.dashboard
        elif isinstance(event, Message):
            self._said = event.text
        elif isinstance(event, PhaseStarted):
            self._phase, self._total, self._done = event.phase, event.blocks, 0
        elif isinstance(event, BlockDone | BlockFailed):
            self._done += 1
        else:
            return
        if self._update is not None:
            self._update(self.html())
        elif isinstance(event, Message | PhaseStarted):
            sys.stderr.write(self.line() + "\n")

    def line(self) -> str:
        """Return the state as text."""
        if not self._total:
            return self._said or self._phase
        return f"{self._phase}: {self._done} of {self._total} blocks"

    def html(self) -> str:
        """Return the state as a bar, with a link to the dashboard."""
        bar = ""
        if self._total:
            bar = f'<progress value="{self._done}" max="{self._total}"></progress> '
        link = ""
        if self._dashboard:
            address = html.escape(self._dashboard, quote=True)
            link = f' <a href="{address}" target="_blank">dashboard</a>'
        return f"<div>{bar}{html.escape(self.line())}{link}</div>"


def _display() -> Callable[[str], Callable[[str], None]] | None:
    """Return the function that shows HTML in a notebook; None elsewhere."""
    shell = sys.modules.get("IPython")
    if shell is None or getattr(shell.get_ipython(), "kernel", None) is None:
        return None
    from IPython.display import HTML, display  # type: ignore[import-not-found]

    def show(text: str) -> Callable[[str], None]:
        handle = display(HTML(text), display_id=True)
        return lambda other: handle.update(HTML(other))

    return show


def _nothing(event: Any) -> None:
    """Tell nobody."""
