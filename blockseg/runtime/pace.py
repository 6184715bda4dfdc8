"""Pace of tasks: one block that takes long, or many that are cheap."""

from __future__ import annotations

from dataclasses import dataclass

_THREADS_AT_TARGET = 64
"""Threads that the scheduler serves with tasks of the target's length at a tenth of
its capacity."""


@dataclass(slots=True)
class Pace:
    """Batch size from the time that blocks took so far.

    A task costs the scheduler about a millisecond, so it should run for much longer;
    but what is in flight is lost with a worker, so not for very long.

    Parameters
    ----------
    target
        Seconds that a task should take.
    largest
        Blocks a task at most.
    """

    target: float = 0.5
    largest: int = 500
    _size: float = 1.0
    _quick: bool = False

    def saw(self, blocks: int, seconds: float) -> None:
        """Learn from a task of ``blocks`` blocks that took ``seconds``.

        The size grows by a quarter of the way at most fourfold a task, since the
        first blocks may be the empty rim of a volume, and shrinks at once.
        """
        if blocks < 1:
            return
        self._quick = seconds < self.target
        wanted = self.target * blocks / max(seconds, 1e-6)
        if wanted < self._size:
            self._size = max(1.0, wanted)
        else:
            step = self._size + (wanted - self._size) / 4
            self._size = min(step, 4 * self._size, float(self.largest))

    def window(self, threads: int) -> int:
        """Return the number of tasks a worker should have: one runs on each thread.

        Of long tasks one is kept waiting; a worker that holds more holds them back from
        others at the end, and loses more when it dies. Of quick ones two are.
        """
        return threads + (2 if self._quick else 1)

    def batch(self, waiting: int, threads: int) -> int:
        """Return the size of the next batch.

        Near the end batches shrink, so that all threads have work to the last. On
        large clusters they are longer, or the scheduler could not keep up.

        Parameters
        ----------
        waiting
            Blocks not handed out yet.
        threads
            Task threads of all workers.
        """
        if waiting < 1:
            return 0
        share = waiting // (2 * max(threads, 1))
        size = self._size * max(1.0, threads / _THREADS_AT_TARGET)
        return max(1, min(int(size), share, self.largest))
