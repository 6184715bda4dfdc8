"""A stand-in for a GPU: computes on the CPU, and fails as it is told to."""

from __future__ import annotations

import math
import os
import signal
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from blockseg.core.errors import BackendError, ConfigError, DeviceMemoryError
from blockseg.inference.backends.protocol import window_shape
from blockseg.normalization.affine import normalize
from blockseg.testing.backends import FakeBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Affine, BackendSpec
    from blockseg.inference.backends.device.protocol import RawWindow
    from blockseg.inference.backends.protocol import Backend
    from blockseg.networks.receptive_field import Field

_VARIABLE = "BLOCKSEG_FAKE_DEVICE"
_AHEAD = 2


@dataclass(frozen=True, slots=True)
class FakeDevice:
    """Troubles of a fake device."""

    memory: int = 0
    """Voxels of the largest window, margins included, that fits; 0 for any."""

    error: float = 0.0
    """By how much each probability is too high."""

    seconds: float = 0.0
    """That a window takes longer."""

    breaks: str = ""
    """File whose presence breaks the device; it is gone once that happened, so that of
    several workers one fails, once. Never if empty."""

    after: int = 0
    """Windows that a backend computes before it breaks or dies."""

    dies: str = ""
    """The same for the whole process, which is killed as by a crash in native code."""

    @classmethod
    def from_environment(cls) -> Self:
        """Return what ``BLOCKSEG_FAKE_DEVICE`` says: ``memory=884736,seconds=0.01``.

        Raises
        ------
        ConfigError
            If that cannot be read.
        """
        text = os.environ.get(_VARIABLE, "")
        pairs = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
        try:
            return cls(
                memory=int(pairs.pop("memory", 0)),
                error=float(pairs.pop("error", 0)),
                seconds=float(pairs.pop("seconds", 0)),
                breaks=pairs.pop("breaks", ""),
                after=int(pairs.pop("after", 0)),
                dies=pairs.pop("dies", ""),
            )
        except ValueError as error:
            message = f"{_VARIABLE}={text!r} cannot be read: {error}"
            raise ConfigError(message) from error


class FakeByteBackend:
    """Gives the bytes of any backend of the CPU, and takes windows as a GPU does.

    Reads windows ahead, and writes each result over the last one, so that whoever
    keeps one too long sees another's.

    Parameters
    ----------
    backend
        Computes; belongs to this one from now on.
    affine
        Normalisation of the run.
    device
        What goes wrong.
    sleep
        Waits, in place of a slow device.
    """

    def __init__(
        self,
        backend: Backend,
        affine: Affine,
        device: FakeDevice | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._backend = backend
        self._affine = affine
        self._device = device or FakeDevice()
        self._sleep = sleep
        shape = window_shape(backend.core, backend.field.reach)
        self._tile: npt.NDArray[Any] = np.empty(shape, backend.dtype)
        self._out = np.empty(backend.core, np.uint8)
        self._computed = 0

    @classmethod
    def of(cls, spec: BackendSpec, affine: Affine, device: FakeDevice) -> Self:
        """Build the one that ``BackendSpec("fake", device="cuda")`` means."""
        return cls(FakeBackend(spec.core), affine, device)

    @property
    def field(self) -> Field:
        """Field that a window needs around its core."""
        return self._backend.field

    @property
    def core(self) -> Zyx:
        """Voxels along (z, y, x) that one window writes."""
        return self._backend.core

    def stream(self, windows: Iterable[RawWindow]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the bytes of each window's core, in order, reading ahead.

        Raises
        ------
        DeviceMemoryError
            If the device was given too little memory for such windows.
        BackendError
            If it was told to break.
        """
        coming: deque[RawWindow] = deque()
        for window in windows:
            coming.append(window)
            if len(coming) > _AHEAD:
                yield self._bytes(coming.popleft())
        while coming:
            yield self._bytes(coming.popleft())

    def close(self) -> None:
        """Close the backend that computes."""
        self._backend.close()

    def _bytes(self, window: RawWindow) -> npt.NDArray[np.uint8]:
        self._suffer()
        self._tile.fill(0)
        known = tuple(
            slice(a, a + n)
            for a, n in zip(window.start, window.voxels.shape, strict=True)
        )
        normalize(window.voxels, self._affine, self._tile[known])
        p = self._backend.infer(self._tile, window.inside) + self._device.error
        np.rint(p * 255, out=p)  # half to even
        self._out[...] = np.clip(p, 0, 255)
        return self._out

    def _suffer(self) -> None:
        device, voxels = self._device, math.prod(self._tile.shape)
        if device.memory and voxels > device.memory:
            message = (
                f"the fake device has too little memory for a window of "
                f"{self._tile.shape} voxels; choose a smaller --window"
            )
            raise DeviceMemoryError(message)
        self._computed += 1
        if self._computed > device.after:
            if device.breaks and _taken(Path(device.breaks)):
                message = "the fake device broke, as it was told to"
                raise BackendError(message)
            if device.dies and _taken(Path(device.dies)):
                os.kill(os.getpid(), signal.SIGKILL)
        if device.seconds:
            self._sleep(device.seconds)


def _taken(file: Path) -> bool:
    """Remove a file; whether it was we who did."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


def made(spec: BackendSpec, affine: Affine) -> FakeByteBackend:
    """Build the fake that a specification asks for, on the device of the environment."""
    return FakeByteBackend.of(spec, affine, FakeDevice.from_environment())
