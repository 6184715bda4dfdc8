"""Base of backends that stream windows to a device until they are closed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from blockseg.core.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import numpy.typing as npt

    from blockseg.inference.backends.device.protocol import RawWindow
    from blockseg.inference.backends.device.streams import Streams

__all__ = ["StreamBackend"]


class StreamBackend:
    """An engine whose streams its heir makes.

    Parameters
    ----------
    device
        What it computes on.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._streams: Streams | None = None

    def stream(self, windows: Iterable[RawWindow]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield 255 p of each window's core, rounded half to even, in their order.

        Up to two more windows are read ahead. A result is valid until the next one is
        asked for.

        Raises
        ------
        DeviceMemoryError
            If the device has too little memory for a window of this shape.
        BackendError
            If the device fails, or the backend is closed.
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
