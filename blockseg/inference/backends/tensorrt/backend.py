"""Networks on TensorRT. Extra ``tensorrt``, or ``tensorrt-rtx``.

Two engines of one shape, for windows inside the volume and at its edge; they run one after
the other and share their working memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from blockseg.core.errors import BackendError
from blockseg.inference.backends.device.streams import (
    StreamBackend,
    Streams,
    device_errors,
)
from blockseg.inference.backends.protocol import window_shape
from blockseg.inference.backends.tensorrt.cache import EngineCache
from blockseg.inference.backends.tensorrt.compatibility import find_library
from blockseg.inference.backends.tensorrt.engines import Engines, order_engines
from blockseg.networks.receptive_field import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Affine, BackendSpec
    from blockseg.inference.backends.device.protocol import RawWindow
    from blockseg.inference.backends.tensorrt.file import EngineKey
    from blockseg.inference.backends.tensorrt.library import EngineLibrary, LoadedEngine

_HALF_LIMIT = float(np.finfo(np.float16).max)


class TensorRtBackend(StreamBackend):
    """Takes uint8 and uint16 grey levels.

    Parameters
    ----------
    spec
        What to build, in ``float16`` or ``float32``.
    affine
        Normalisation of the run.
    cache
        Folder of engines; :func:`~blockseg.inference.backends.tensorrt.cache.cache_folder` if None.
    library
        Builds and loads engines; TensorRT, or TensorRT-RTX, if None.
    device
        Where the library runs; the process's CUDA device if None.

    Raises
    ------
    ConfigError
        If the core is no multiple of the network's alignment, the precision is
        another, or the library has no such target.
    MissingExtraError
        If no library, or no ``onnx`` to build with, is installed.
    WeightsError
        If the weights cannot be read.
    DeviceMemoryError
        If the device has too little memory for this window.
    BackendError
        If there is no device, or an engine can be neither built nor loaded.
    """

    def __init__(
        self,
        spec: BackendSpec,
        affine: Affine,
        *,
        cache: Path | None = None,
        library: EngineLibrary | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(torch.device("cuda") if device is None else device)
        order = order_engines(spec.weights, spec.core, spec.precision)
        self.field = order.info.field
        self.core = spec.core
        self.library = find_library() if library is None else library
        self._window = order.shapes(edge=False).window
        self.library.card()  # says so in one line where there is none
        engines = Engines(self.library, EngineCache(cache))
        try:
            loaded = {edge: engines.load(order, edge=edge) for edge in (False, True)}
            with device_errors(self._window, self._device):
                on_device = _EngineNetwork(
                    loaded, _vector(affine, spec.precision), self._device
                )
            # TensorRT's calls can be captured once they ran; TensorRT-RTX may still
            # compile kernels then.
            captured = self.library.name == "tensorrt"
            self._streams = Streams(
                on_device, self._window, self.core, self._device, captured=captured
            )
        except BackendError:
            self.close()
            raise

    def stream(self, windows: Iterable[RawWindow]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the bytes of each window's core; see :meth:`StreamBackend.stream`."""
        return super().stream(_told(window, self._window) for window in windows)


def run_once(
    engine: bytes,
    key: EngineKey,
    window: RawWindow,
    affine: Affine,
    library: EngineLibrary,
    device: torch.device,
) -> npt.NDArray[np.uint8]:
    """Return the output of a serialised engine for one window of its kind.

    Parameters
    ----------
    engine
        To be loaded.
    key
        Its own.
    window
        With masks if the engine takes such, without if not.
    affine
        Normalisation.
    library
        Loads it.
    device
        Where the library runs.

    Raises
    ------
    DeviceMemoryError
        If the device has too little memory.
    BackendError
        If the library refuses the engine, or the device fails.
    """
    reach = FIELDS[key.architecture].reach
    shape = window_shape(key.core, reach)
    loaded = library.load(engine)
    with device_errors(shape, device):
        on_device = _EngineNetwork(
            {key.edge: loaded}, _vector(affine, key.precision), device
        )
    streams = Streams(on_device, shape, key.core, device, captured=False)
    (found,) = (bytes_.copy() for bytes_ in streams.stream([window]))
    return found


class _EngineNetwork:
    """Both engines, with all that stays on the device from window to window."""

    def __init__(
        self,
        engines: Mapping[bool, LoadedEngine],
        affine: npt.NDArray[np.float32],
        device: torch.device,
    ) -> None:
        self._engines = engines
        self._device = device
        self._affine = torch.from_numpy(affine).to(device)
        size = max(engine.scratch_bytes for engine in engines.values())
        self._scratch = torch.empty(max(size, 1), dtype=torch.uint8, device=device)
        for engine in engines.values():
            engine.lend(self._scratch.data_ptr())

    def run(self, raw: Tensor, bounds: Tensor, out: Tensor, edge: bool) -> None:
        addresses = {
            "voxels": raw.data_ptr(),
            "affine": self._affine.data_ptr(),
            "probability": out.data_ptr(),
        }
        if edge:
            addresses["bounds"] = bounds.data_ptr()
        stream = 0
        if self._device.type == "cuda":
            stream = torch.cuda.current_stream(self._device).cuda_stream
        self._engines[edge].enqueue(addresses, stream)


def _told(window: RawWindow, shape: Zyx) -> RawWindow:
    """Send what is known in part to the engine that masks, all inside though it be.

    A volume ends for the network at a multiple of its alignment, and its voxels a
    little before: what lies between is 0, and no edge.
    """
    if window.inside is not None or window.voxels.shape == shape:
        return window
    z, y, x = (np.ones(n, np.float32) for n in shape)
    return replace(window, inside=(z, y, x))


def _vector(affine: Affine, precision: str) -> npt.NDArray[np.float32]:
    low, high = affine.low, affine.high
    if precision == "float16":
        low, high = max(low, -_HALF_LIMIT), min(high, _HALF_LIMIT)
    return np.array([affine.offset, affine.scale, low, high], np.float32)
