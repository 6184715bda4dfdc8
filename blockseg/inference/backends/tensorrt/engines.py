"""The two engines of a run: from the cache, or built into it."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.core.errors import BackendError, ConfigError, DeviceMemoryError
from blockseg.core.text import times
from blockseg.inference.backends.onnx.versions import GRAPH_VERSION, PRECISIONS
from blockseg.inference.backends.protocol import check_core, window_shape
from blockseg.inference.backends.tensorrt.file import EngineKey
from blockseg.inference.backends.tensorrt.library import Shapes
from blockseg.networks.weights_info import load_info, sha256

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.tensorrt.cache import EngineCache
    from blockseg.inference.backends.tensorrt.library import EngineLibrary, LoadedEngine
    from blockseg.networks.weights_info import WeightsInfo

_log = logging.getLogger("blockseg.tensorrt")


@dataclass(frozen=True, slots=True)
class EngineOrder:
    """Request for engines."""

    weights: str
    """Path of a safetensors file."""

    sha256: str
    """SHA-256 of that file."""

    info: WeightsInfo
    """Header of the weights."""

    core: Zyx
    """Voxels along (z, y, x) that one call writes."""

    precision: str
    """``float16`` or ``float32``."""

    def shapes(self, *, edge: bool) -> Shapes:
        """Return the inputs and outputs of one call."""
        return Shapes(window_shape(self.core, self.info.field.reach), self.core, edge)


def order_engines(weights: str, core: Zyx, precision: str) -> EngineOrder:
    """Return an order, once it is known that it can be met.

    Raises
    ------
    ConfigError
        If the core is no multiple of the network's alignment, or the precision none
        that TensorRT computes in.
    WeightsError
        If the weights cannot be read.
    """
    if precision not in PRECISIONS:
        message = f"TensorRT computes in {' or '.join(PRECISIONS)}, not in {precision}"
        raise ConfigError(message)
    info = load_info(weights)
    check_core(core, info.field.alignment)
    return EngineOrder(weights, sha256(weights), info, core, precision)


class Engines:
    """Finds engines in a cache and has those that are not there built."""

    def __init__(self, library: EngineLibrary, cache: EngineCache) -> None:
        self.library = library
        self.cache = cache

    def key(
        self, order: EngineOrder, *, edge: bool, target: str | None = None
    ) -> EngineKey:
        """Return the key of an engine: all that it depends on.

        Parameters
        ----------
        order
            Which.
        edge
            For windows that are not wholly inside the volume.
        target
            Architecture; that of this machine's card if not given.

        Raises
        ------
        BackendError
            If there is no card here and no target is given.
        """
        card = ""
        if target is None:
            here = self.library.card()
            # TensorRT times kernels and keeps the fastest: right for one model only.
            card = here.model if self.library.name == "tensorrt" else ""
            target = here.architecture
        return EngineKey(
            weights=order.sha256,
            architecture=order.info.architecture,
            width=order.info.width,
            core=order.core,
            edge=edge,
            precision=order.precision,
            graph=GRAPH_VERSION,
            library=self.library.name,
            version=self.library.version,
            target=target,
            card=card,
        )

    def find(
        self, order: EngineOrder, *, edge: bool, target: str | None = None
    ) -> bytes:
        """Return a serialised engine; build it where there is none.

        Parameters
        ----------
        order, edge, target
            As for :meth:`key`.

        Raises
        ------
        BlocksegError
            As the library's ``build`` and the cache's ``get`` do, and if the weights
            cannot be read.
        """
        key = self.key(order, edge=edge, target=target)
        return self.cache.get(key, lambda: self._built(order, key))

    def load(self, order: EngineOrder, *, edge: bool) -> LoadedEngine:
        """Return an engine on this machine's card.

        One that the library refuses, after a driver was changed for instance, is built
        again, once.

        Raises
        ------
        BlocksegError
            As :meth:`find` does, and as the library's ``load`` does.
        """
        engine = self.find(order, edge=edge)
        try:
            return self.library.load(engine)
        except DeviceMemoryError:
            raise
        except BackendError as error:
            _log.warning("%s; the engine is built again", error)
        key = self.key(order, edge=edge)
        engine = self.cache.rebuild(key, lambda: self._built(order, key), engine)
        return self.library.load(engine)

    def _built(self, order: EngineOrder, key: EngineKey) -> bytes:
        from blockseg.inference.backends.onnx.graph import export_graph
        from blockseg.networks.weights import load_weights

        _log.warning(
            "building an engine for windows of %s on %s, which takes seconds to minutes",
            times(order.core),
            key.card or key.target,
        )
        network, _ = load_weights(order.weights)
        graph = export_graph(network, order.core, order.precision, edge=key.edge)
        parts = (key.library, key.version, key.target, key.card)
        name = re.sub(r"[^\w.-]+", "_", "-".join(part for part in parts if part))
        built = self.library.build(
            graph, order.shapes(edge=key.edge), key.target, self.cache.timings(name)
        )
        self.cache.keep_timings(name, built.timings)
        return built.engine
