"""Engine that covers blocks with windows and streams them through a device backend.

One thread owns the device and takes the windows of several blocks one after the other
in a single stream: while the last windows of a block are computed, the first of
the next are copied.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import BackendError
from blockseg.core.geometry import Roi
from blockseg.inference.backends.device.protocol import RawWindow
from blockseg.inference.engine import Segmented
from blockseg.inference.window_layout import windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from blockseg.inference.backends.device.grey_codes import GreyCodes
    from blockseg.inference.backends.device.protocol import ByteBackend
    from blockseg.inference.block_input import BlockInput
    from blockseg.inference.window_layout import Window


class ByteEngine:
    """One backend of a device, any number of blocks and of threads.

    Gives what an :class:`~blockseg.inference.engine.Engine` gives, of 8- and 16-bit grey
    levels.

    Parameters
    ----------
    backend
        Belongs to the engine from now on, which closes it. Used in one thread only.
    codes
        Makes what the backend takes for grey levels; these themselves if not given.
    """

    depth = 2  # one is computed while windows of the next are copied

    def __init__(self, backend: ByteBackend, codes: GreyCodes | None = None) -> None:
        self.backend = backend
        self._codes = codes
        self._jobs: deque[_Job] = deque()
        self._change = Condition()
        self._closed = False
        self._owner = Thread(target=self._run, name="blockseg-engine", daemon=True)
        self._owner.start()

    def segment(self, block: BlockInput) -> Segmented:
        """Return the write ROI of a block as bytes.

        Raises
        ------
        DeviceMemoryError
            If the device has too little memory for a window.
        BackendError
            If the device fails; the process must not use it any more.
        """
        backend, voxels = self.backend, block.voxels
        todo = deque(windows(block, backend.field, backend.core))
        computed = len(todo) * Roi.whole(backend.core).size
        native = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
        if self._codes is not None:
            native = self._codes.encode(voxels, block.read_roi.start)
        job = _Job(replace(block, voxels=native), todo)
        if todo:
            self._wait_for(job)
        return Segmented(block.masked(job.out), computed, nonfinite=0)

    def close(self) -> None:
        """Close the backend, once no block is being computed."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._owner.join()
        self.backend.close()

    def _wait_for(self, job: _Job) -> None:
        with self._change:
            if self._closed:
                message = "an engine that was closed cannot infer any more"
                raise BackendError(message)
            self._jobs.append(job)
            self._change.notify()
        job.ended.wait()
        if job.error is not None:
            raise job.error

    def _run(self) -> None:
        while self._any_left():
            flying: deque[tuple[_Job, Window]] = deque()
            problem: Exception | None = None
            try:
                for part in self.backend.stream(self._coming(flying)):
                    job, window = flying[0]
                    job.take(window, part)
                    flying.popleft()
            except Exception as error:  # noqa: BLE001 - told to who waits
                problem = error
            if problem is None and flying:
                message = f"a backend gave no result for {len(flying)} windows"
                problem = BackendError(message)
            if problem is not None:
                self._fail([job for job, _ in flying], problem)

    def _any_left(self) -> bool:
        """Wait for windows; False once the engine is closed and nothing is left."""
        with self._change:
            self._change.wait_for(lambda: self._jobs or self._closed)
            return bool(self._jobs)

    def _coming(self, flying: deque[tuple[_Job, Window]]) -> Iterator[RawWindow]:
        """Yield what is there now: a stream that waited would hold results back."""
        while True:
            with self._change:
                while self._jobs and not self._jobs[0].todo:
                    self._jobs.popleft()
                if not self._jobs:
                    return
                job = self._jobs[0]
                window = job.todo.popleft()
            flying.append((job, window))
            yield job.raw_window(window)

    def _fail(self, jobs: list[_Job], error: Exception) -> None:
        with self._change:
            failed = jobs or list(self._jobs)
            for job in failed:
                job.todo.clear()
                job.error = error
                job.ended.set()


@dataclass(slots=True, eq=False)
class _Job:
    """A block on its way through the stream."""

    block: BlockInput
    todo: deque[Window]
    ended: Event = field(default_factory=Event)
    error: Exception | None = None
    out: npt.NDArray[np.uint8] = field(init=False)
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.out = np.zeros(self.block.write_roi.shape, np.uint8)
        self.left = len(self.todo)

    def raw_window(self, window: Window) -> RawWindow:
        known = window.whole.intersection(self.block.read_roi)
        z, y, x = (a - w for a, w in zip(known.start, window.whole.start, strict=True))
        voxels = self.block.voxels[known.slices(self.block.read_roi.start)]
        return RawWindow(voxels, (z, y, x), window.inside)

    def take(self, window: Window, part: npt.NDArray[np.uint8]) -> None:
        write_roi = self.block.write_roi
        region = window.core.intersection(write_roi)
        self.out[region.slices(write_roi.start)] = part[
            region.slices(window.core.start)
        ]
        self.left -= 1
        if not self.left:
            self.ended.set()
