"""TensorRT 10 and 11, and TensorRT-RTX: the only file that imports them.

They are nearly one library. Where they differ, what is there is asked for: no feature is
assumed from a version.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

from blockseg.core.errors import (
    BackendError,
    ConfigError,
    DeviceMemoryError,
    MissingExtraError,
)
from blockseg.inference.backends.tensorrt.library import Built, Card

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from blockseg.inference.backends.tensorrt.library import (
        EngineLibrary,
        LoadedEngine,
        Shapes,
    )

LIBRARIES = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx"}
"""Modules, the preferred one first, and the extras that bring them."""

_log = logging.getLogger("blockseg.tensorrt")


def installed_libraries() -> tuple[str, ...]:
    """Return which of the libraries are installed; imports none."""
    return tuple(name for name in LIBRARIES if find_spec(name) is not None)


def find_library(name: str | None = None) -> EngineLibrary:
    """Return a library, TensorRT before TensorRT-RTX if none is named.

    Raises
    ------
    ConfigError
        If there is no library of this name.
    MissingExtraError
        If it, or both, are not installed.
    BackendError
        If it is installed, but does not load.
    """
    if name is not None and name not in LIBRARIES:
        message = f"no library {name!r}; choose from {', '.join(LIBRARIES)}"
        raise ConfigError(message)
    found = [n for n in installed_libraries() if name in (None, n)]
    if not found:
        wanted = name or "tensorrt"
        raise MissingExtraError(wanted, LIBRARIES[wanted])
    return _library(found[0])


@cache
def _library(name: str) -> EngineLibrary:
    """Return a library; one each process, as TensorRT keeps the first logger it got."""
    try:
        return _TensorRt(import_module(name))
    except (ImportError, OSError, AttributeError) as error:
        # The package alone, without the libraries that it downloads when installed.
        message = (
            f"{name} is installed, but does not load ({_first_line(str(error))}); "
            f"pip install --force-reinstall 'blockseg[{LIBRARIES[name]}]'"
        )
        raise BackendError(message) from error


class _TensorRt:
    """One of the libraries."""

    def __init__(self, module: Any) -> None:
        self._trt = module
        self.name: str = module.__name__
        self.version: str = module.__version__
        self._said = _logger(module)

    def card(self) -> Card:
        import torch

        if not torch.cuda.is_available():
            message = (
                f"{self.name} runs on NVIDIA GPUs, and torch finds none here; "
                "choose --device cpu"
            )
            raise BackendError(message)
        major, minor = torch.cuda.get_device_capability()
        return Card(f"sm{major}{minor}", torch.cuda.get_device_name())

    def build(
        self, graph: bytes, shapes: Shapes, target: str, timings: bytes = b""
    ) -> Built:
        self._said.clear()
        aim = self._aim(target)
        builder = self._made(self._trt.Builder(self._said), "builder")
        network = builder.create_network(_creation_flags(self._trt))
        parser = self._trt.OnnxParser(network, self._said)
        if not parser.parse(graph):
            self.fail("cannot read the network")
        config = builder.create_builder_config()
        profile = builder.create_optimization_profile()
        for name, shape in shapes.inputs().items():
            profile.set_shape(name, shape, shape, shape)
        config.add_optimization_profile(profile)
        if hasattr(self._trt.BuilderFlag, "TF32"):
            # Its mantissa of 10 bits shows in bytes; float16 layers do not need it.
            config.clear_flag(self._trt.BuilderFlag.TF32)
        if aim is not None:
            config.num_compute_capabilities = 1
            config.set_compute_capability(aim, 0)
        # TensorRT-RTX times nothing before it runs.
        kept = _timing_cache(config, timings) if self.name == "tensorrt" else None
        built = builder.build_serialized_network(network, config)
        if built is None:
            self.fail("cannot build an engine")
        measured = b"" if kept is None else bytes(kept.serialize())
        return Built(bytes(built), measured)

    def load(self, engine: bytes) -> LoadedEngine:
        self._said.clear()
        self.card()  # says so in one line where there is none
        runtime = self._made(self._trt.Runtime(self._said), "runtime")
        loaded = self._made(runtime.deserialize_cuda_engine(engine), "engine")
        strategy = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._made(loaded.create_execution_context(strategy), "context")
        return _Engine(self, runtime, loaded, context)

    def _aim(self, target: str) -> Any:
        """Return the target to build for; None for the card that is here."""
        try:
            here = self.card().architecture
        except BackendError:
            here = "none"
        if target == here:
            return None
        targets = getattr(self._trt, "ComputeCapability", None)
        if targets is None:
            message = (
                f"{self.name} builds for the card that it runs on ({here}), and not for "
                f"{target}; use --library tensorrt_rtx"
            )
            raise ConfigError(message)
        known = targets.__members__
        if target.upper() not in known:
            names = sorted(n.lower() for n in known if n.startswith("SM"))
            message = (
                f"{self.name} {self.version} builds for {', '.join(names)}, and not for "
                f"{target}; build there with --library tensorrt, or use --backend cuda"
            )
            raise ConfigError(message)
        return known[target.upper()]

    def _made(self, thing: Any, what: str) -> Any:
        if thing is None:
            self.fail(f"gave no {what}")
        return thing

    def fail(self, what: str) -> NoReturn:
        """Raise the error that what the library last said amounts to."""
        said = list(self._said.errors)
        if any(_lacks_memory(line) for line in said):
            message = (
                f"{self.name} {what}: too little memory; choose a smaller --window"
            )
            raise DeviceMemoryError(message)
        why = said[0] if said else "it does not say why"
        message = f"{self.name} {self.version} {what}: {why}"
        raise BackendError(message)


class _Engine:
    """An engine with its context; the rest is kept alive for it."""

    def __init__(
        self, library: _TensorRt, runtime: Any, engine: Any, context: Any
    ) -> None:
        self._library = library
        self._runtime = runtime
        self._engine = engine
        self._context = context
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        self._names = frozenset(names)
        for name in names:
            # Of inputs alone, and of them only those with a batch.
            if engine.get_tensor_mode(name).name == "INPUT" and _is_dynamic(
                engine.get_tensor_shape(name)
            ):
                _, shape, _ = engine.get_tensor_profile_shape(name, 0)
                context.set_input_shape(name, shape)

    @property
    def scratch_bytes(self) -> int:
        for attribute in ("device_memory_size_v2", "device_memory_size"):
            if hasattr(self._engine, attribute):
                return int(getattr(self._engine, attribute))
        return 0

    def lend(self, address: int) -> None:
        if hasattr(self._context, "set_device_memory"):
            self._context.set_device_memory(address, self.scratch_bytes)
        else:
            self._context.device_memory = address

    def enqueue(self, addresses: Mapping[str, int], stream: int) -> None:
        if self._names != addresses.keys():
            message = (
                f"the engine takes {', '.join(sorted(self._names))}, not "
                f"{', '.join(sorted(addresses))}; blockseg engine clean --all"
            )
            raise BackendError(message)
        for name, address in addresses.items():
            self._context.set_tensor_address(name, address)
        if not self._context.execute_async_v3(stream):
            self._library.fail("failed on a window")


def _creation_flags(trt: Any) -> int:
    """Ask for the types of the graph: TensorRT 11 knows nothing else, 10 has a flag."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _timing_cache(config: Any, timings: bytes) -> Any:
    """Use what was measured before, as far as it is of this card, and add to it."""
    for content in (timings, b""):
        kept = config.create_timing_cache(content)
        if kept is not None and config.set_timing_cache(kept, ignore_mismatch=False):
            return kept
    return None


def _logger(trt: Any) -> Any:
    """Return a logger that the library takes; it keeps what went wrong."""

    class Said(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=16)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(_first_line(message))
            _log.debug("%s", message)

        def clear(self) -> None:
            self.errors.clear()

    return Said()


def _is_dynamic(shape: Iterable[int]) -> bool:
    return any(length < 0 for length in shape)


def _lacks_memory(line: str) -> bool:
    text = line.lower().replace(" ", "").replace("_", "")
    return "outofmemory" in text or "cudaerrormemoryallocation" in text


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if lines else "it does not say why"
