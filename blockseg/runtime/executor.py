"""Protocol of executors of blocks, and the executor without a cluster."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from blockseg.runtime.attempt import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.core.blocks import BlockReport, ProcessBlock, ProcessorFactory
    from blockseg.runtime.events import Event


@dataclass(frozen=True, slots=True)
class Room:
    """Room of an executor for what comes next."""

    blocks: int
    """At most, in one batch."""

    worker: str = ""
    """Worker to run on: blocks near each other share what they read there."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Results of an executor since it was last asked."""

    reports: list[BlockReport] = field(default_factory=list)
    """Reports of blocks that ran, and of those known to have killed a worker."""

    returned: list[int] = field(default_factory=list)
    """Blocks that are to be handed out again though they did nothing wrong."""

    events: list[Event] = field(default_factory=list)
    """Other events."""


class Executor(Protocol):
    """Executor of blocks. The driver gives it batches while it has room.

    Every submitted block comes back exactly once, as a report or as returned.
    """

    def begin(
        self, phase: str, factory: ProcessorFactory, name: Callable[[int], str]
    ) -> None:
        """Prepare an actor of ``factory`` wherever blocks may run.

        ``name(block_id)`` names a block to humans. Raises the error of an actor
        that cannot be built, and ClusterError.
        """
        ...

    def room(self, waiting: int) -> Room | None:
        """Return the blocks that the next batch may take; None if the window is full.

        ``waiting`` is the number of blocks that can still be handed out.
        """
        ...

    def submit(self, blocks: list[int], worker: str = "") -> None:
        """Take one batch, for the worker that had room."""
        ...

    def collect(self, timeout: float) -> Collected:
        """Wait up to ``timeout`` seconds for something to come back.

        Raises ClusterError if nothing ever will.
        """
        ...

    def wind_down(self) -> None:
        """Begin no other block: what runs comes to its end, the rest is returned."""
        ...

    def end(self, *, at_once: bool = False) -> None:
        """Give up what is still in flight and close the phase's actors.

        With ``at_once`` nobody waits for them.
        """
        ...


class SerialExecutor:
    """Run blocks one by one in this thread; nothing to set up, easy to debug."""

    def __init__(self) -> None:
        self._process: ProcessBlock | None = None
        self._waiting: deque[int] = deque()

    def begin(
        self,
        phase: str,  # noqa: ARG002
        factory: ProcessorFactory,
        name: Callable[[int], str],  # noqa: ARG002
    ) -> None:
        """Build the actor in this process."""
        self._process = factory()

    def room(self, waiting: int) -> Room | None:
        """One block at a time."""
        return Room(1) if waiting and not self._waiting else None

    def submit(self, blocks: list[int], worker: str = "") -> None:  # noqa: ARG002
        """Keep the blocks until they are collected."""
        self._waiting.extend(blocks)

    def collect(self, timeout: float) -> Collected:  # noqa: ARG002
        """Run the next block, however long it takes."""
        if self._process is None or not self._waiting:
            return Collected()
        report = attempt(self._process, self._waiting.popleft())
        # There is no other process to go on in: the run stops, and can be resumed.
        return Collected([replace(report, fatal=report.fatal or report.broken)])

    def wind_down(self) -> None:
        """Nothing runs but the one block that is asked for."""

    def end(self, *, at_once: bool = False) -> None:  # noqa: ARG002
        """Forget waiting blocks and close the actor."""
        self._waiting.clear()
        process, self._process = self._process, None
        if process is not None:
            process.close()
