"""Windows to a device and bytes back, copied while others are computed."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from blockseg.core.errors import BackendError, DeviceMemoryError
from blockseg.core.text import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.device.protocol import RawWindow

SLOTS = 3
"""Windows on their way: one copied in, one computed, one copied back."""


class DeviceNetwork(Protocol):
    """From the grey levels of a window to the bytes of its core, on a device."""

    def run(self, raw: Tensor, bounds: Tensor, out: Tensor, edge: bool) -> None:
        """Put a window's whole work into the current stream.

        Parameters
        ----------
        raw
            int16 ``(z, y, x)`` of the window: the bits of uint16.
        bounds
            int32 ``(12,)``, as :func:`bounds` makes it.
        out
            uint8 ``(z, y, x)`` of the core; takes the result.
        edge
            Whether part of the window lies beyond the volume.
        """
        ...


def bounds(window: RawWindow, shape: Zyx) -> npt.NDArray[np.int32]:
    """Return the part of a window whose voxels are known, and the part inside the volume.

    Parameters
    ----------
    window
        What is known of it.
    shape
        Voxels of the whole window (z, y, x).

    Returns
    -------
    ndarray
        ``(12,)``: the first known voxel (z, y, x), the first one after them, and the
        same for what lies inside the volume grown to the network's alignment.
    """
    known = [*window.start]
    known += [a + n for a, n in zip(window.start, window.voxels.shape, strict=True)]
    if window.inside is None:
        return np.array([*known, 0, 0, 0, *shape], np.int32)
    inside = [np.flatnonzero(vector) for vector in window.inside]
    first = [int(places[0]) if places.size else 0 for places in inside]
    end = [int(places[-1]) + 1 if places.size else 0 for places in inside]
    return np.array([*known, *first, *end], np.int32)


@dataclass(slots=True, eq=False)
class _Slot:
    """Buffers of one window, on both sides; on a CPU they are the same."""

    host_raw: Tensor
    host_bounds: Tensor
    host_out: Tensor
    raw: Tensor
    bounds: Tensor
    out: Tensor
    done: torch.cuda.Event | None
    graphs: dict[bool, torch.cuda.CUDAGraph]


class Streams:
    """Runs a network on one window after the other.

    On a CUDA device one stream copies in, one computes and one copies back, from and
    to pinned memory; each slot's work is captured as a graph, with masks and without.
    Elsewhere everything happens in order.

    Parameters
    ----------
    network
        What to run.
    window, core
        Voxels (z, y, x) that go in and come out.
    device
        Where ``network`` lives.
    captured
        Whether to capture graphs; not where a network's own work cannot be captured.

    Raises
    ------
    DeviceMemoryError
        If the device has too little memory for the buffers.
    """

    def __init__(
        self,
        network: DeviceNetwork,
        window: Zyx,
        core: Zyx,
        device: torch.device,
        *,
        captured: bool = True,
    ) -> None:
        self._network = network
        self._captured = captured
        self._window = window
        self._device = device
        self._pool: Any = None
        self._compute: torch.cuda.Stream | None = None
        self._in: torch.cuda.Stream | None = None
        self._out: torch.cuda.Stream | None = None
        self._warm: set[bool] = set()
        with device_errors(window, device):
            if device.type == "cuda":
                # Not one for both ways: what is copied back waits for its computing.
                self._in = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
                self._compute = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
                self._out = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
                self._pool = torch.cuda.graph_pool_handle()
            count = SLOTS if device.type == "cuda" else 1
            self._slots = [self._slot(window, core) for _ in range(count)]
            if device.type == "cuda":
                # The network's weights and maps were put there by another stream.
                torch.cuda.synchronize(device)

    def stream(self, windows: Iterable[RawWindow]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield each window's bytes, in order, reading ahead.

        Raises
        ------
        DeviceMemoryError
            If the device has too little memory.
        BackendError
            If it fails.
        """
        under_way: deque[_Slot] = deque()
        try:
            for number, window in enumerate(windows):
                if len(under_way) == len(self._slots):
                    yield self._finished(under_way.popleft())
                slot = self._slots[number % len(self._slots)]
                self._fill(slot, window)
                under_way.append(slot)
                with device_errors(self._window, self._device):
                    self._submit(slot, window.inside is not None)
            while under_way:
                yield self._finished(under_way.popleft())
        finally:
            # Of a stream that was left early: the next one fills these buffers again.
            for slot in under_way:
                if slot.done is not None:
                    with suppress(RuntimeError):  # of a device that failed already
                        slot.done.synchronize()

    def close(self) -> None:
        """Wait for what is under way: its memory is about to be given to others."""
        if self._device.type == "cuda":
            with suppress(RuntimeError):  # of a device that failed already
                torch.cuda.synchronize(self._device)

    def _slot(self, window: Zyx, core: Zyx) -> _Slot:
        on_card = self._device.type == "cuda"

        def host(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
            return torch.zeros(shape, dtype=dtype, pin_memory=on_card)

        raw = host(window, torch.int16)
        limits = host((12,), torch.int32)
        out = host(core, torch.uint8)
        there = [part.to(self._device) for part in (raw, limits, out)]
        done = torch.cuda.Event() if on_card else None  # type: ignore[no-untyped-call]
        return _Slot(raw, limits, out, there[0], there[1], there[2], done, {})

    def _fill(self, slot: _Slot, window: RawWindow) -> None:
        """Copy what is known to the host's side; all else is masked on the device."""
        slot.host_bounds.numpy()[:] = bounds(window, self._window)
        place = tuple(
            slice(a, a + n)
            for a, n in zip(window.start, window.voxels.shape, strict=True)
        )
        target = slot.host_raw[place]
        voxels = window.voxels
        if voxels.dtype == np.uint16 and voxels.flags.writeable:
            # torch copies with several threads; NumPy with one.
            target.copy_(torch.from_numpy(voxels.view(np.int16)))
        else:
            np.copyto(target.numpy().view(np.uint16), voxels)

    def _submit(self, slot: _Slot, edge: bool) -> None:
        if (
            self._in is None
            or self._compute is None
            or self._out is None
            or slot.done is None
        ):
            self._network.run(slot.raw, slot.bounds, slot.out, edge)
            return
        with torch.cuda.stream(self._in):
            slot.raw.copy_(slot.host_raw, non_blocking=True)
            slot.bounds.copy_(slot.host_bounds, non_blocking=True)
        self._compute.wait_event(self._in.record_event())
        self._run(slot, edge, self._compute)
        self._out.wait_event(self._compute.record_event())
        with torch.cuda.stream(self._out):
            slot.host_out.copy_(slot.out, non_blocking=True)
        slot.done.record(self._out)

    def _run(self, slot: _Slot, edge: bool, stream: torch.cuda.Stream) -> None:
        """Replay a slot's graph; captured once the kernels are compiled and loaded."""
        if edge not in self._warm or not self._captured:
            with torch.cuda.stream(stream):
                self._network.run(slot.raw, slot.bounds, slot.out, edge)
            self._warm.add(edge)
            return
        if edge not in slot.graphs:
            torch.cuda.empty_cache()  # the graphs' pool takes what the first run left
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=stream):
                self._network.run(slot.raw, slot.bounds, slot.out, edge)
            slot.graphs[edge] = graph
        with torch.cuda.stream(stream):
            slot.graphs[edge].replay()

    def _finished(self, slot: _Slot) -> npt.NDArray[np.uint8]:
        with device_errors(self._window, self._device):
            if slot.done is not None:
                slot.done.synchronize()
        found: npt.NDArray[np.uint8] = slot.host_out.numpy()
        return found


class StreamBackend:
    """Base of backends that stream windows to a device until they are closed.

    An heir makes the streams.

    Parameters
    ----------
    device
        What it computes on.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._streams: Streams | None = None

    def stream(self, windows: Iterable[RawWindow]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the bytes of each window's core; see ``ByteBackend.stream``.

        Up to two more windows are read ahead. Raises BackendError too if it was closed.
        """
        if self._streams is None:
            message = "the engine was closed; build another"
            raise BackendError(message)
        return self._streams.stream(windows)

    def close(self) -> None:
        """Drop engine and buffers, and give cached device memory back."""
        if self._streams is not None:
            self._streams.close()
        self._streams = None
        if self._device.type == "cuda":
            with suppress(RuntimeError):  # of a device that failed already
                torch.cuda.empty_cache()


@contextmanager
def device_errors(window: Zyx, device: torch.device) -> Iterator[None]:
    """Turn what torch and CUDA raise into errors of this project.

    Raises
    ------
    DeviceMemoryError
        If there is too little memory for a window of this shape.
    BackendError
        If anything else went wrong.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(_too_little(window, device)) from error
    except RuntimeError as error:
        if "out of memory" in str(error).lower():
            raise DeviceMemoryError(_too_little(window, device)) from error
        message = f"device {device} failed: {first_line(error)}"
        raise BackendError(message) from error


def _too_little(window: Zyx, device: torch.device) -> str:
    return (
        f"device {device} has too little memory for a window of {window} voxels; "
        "choose a smaller --window"
    )
