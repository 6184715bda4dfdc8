"""From a graph to an engine, by TensorRT-RTX, which needs no GPU for that."""

import sys
from types import SimpleNamespace

import pytest
import torch

from blockseg.core.errors import (
    BackendError,
    ConfigError,
    DeviceMemoryError,
    MissingExtraError,
)
from blockseg.inference.backends.onnx.graph import export_graph
from blockseg.inference.backends.protocol import window_shape
from blockseg.inference.backends.tensorrt.compatibility import (
    LIBRARIES,
    _library,
    find_library,
    installed_libraries,
)
from blockseg.inference.backends.tensorrt.library import Shapes
from blockseg.networks.receptive_field import FIELDS

needs_rtx = pytest.mark.skipif(
    "tensorrt_rtx" not in installed_libraries(), reason="TensorRT-RTX is not installed"
)


def ordered(make_network, architecture, core, precision, edge):
    network = make_network(2, architecture=architecture)
    graph = export_graph(network, core, precision, edge=edge)
    window = window_shape(core, FIELDS[architecture].reach)
    return graph, Shapes(window, core, edge)


@needs_rtx
@pytest.mark.parametrize(
    ("architecture", "precision", "edge"),
    [
        ("sdasn", "float16", False),
        ("sdasn", "float16", True),
        ("sdasn", "float32", False),
        ("sdasn", "float32", True),
        ("voxresnet", "float16", False),
        ("unet3d", "float16", False),
    ],
)
def test_every_network_becomes_an_engine_for_a_card_that_is_not_here(
    make_network, architecture, precision, edge
):
    library = find_library("tensorrt_rtx")
    graph, shapes = ordered(make_network, architecture, (8, 8, 16), precision, edge)
    built = library.build(graph, shapes, "sm89")
    assert len(built.engine) > 10_000
    assert built.timings == b""  # nothing is measured where there is no card


@needs_rtx
def test_each_architecture_has_its_own_engine_and_an_unknown_one_is_refused(
    make_network,
):
    library = find_library("tensorrt_rtx")
    graph, shapes = ordered(make_network, "sdasn", (4, 4, 4), "float16", False)
    engines = {library.build(graph, shapes, t).engine for t in ("sm86", "sm120")}
    assert len(engines) == 2
    with pytest.raises(ConfigError, match=r"builds for .*sm89.*, and not for sm90"):
        library.build(graph, shapes, "sm90")


@needs_rtx
def test_a_graph_that_is_none_is_one_line_of_what_the_library_said():
    library = find_library("tensorrt_rtx")
    shapes = Shapes((68,) * 3, (4,) * 3, edge=False)
    with pytest.raises(BackendError, match=r"cannot read the network: \S") as caught:
        library.build(b"no graph", shapes, "sm89")
    assert "\n" not in str(caught.value)


@needs_rtx
def test_without_a_gpu_an_engine_is_not_loaded_and_one_line_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="torch finds none here; choose --device"):
        find_library("tensorrt_rtx").load(b"engine")


def test_a_library_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setattr(
        "blockseg.inference.backends.tensorrt.compatibility.find_spec",
        lambda _: None,
        raising=True,
    )
    assert installed_libraries() == ()
    with pytest.raises(MissingExtraError, match=r"'blockseg\[tensorrt\]'"):
        find_library()
    with pytest.raises(MissingExtraError, match=r"'blockseg\[tensorrt-rtx\]'"):
        find_library("tensorrt_rtx")
    with pytest.raises(ConfigError, match="no library 'trt'; choose from tensorrt"):
        find_library("trt")


def test_a_library_without_its_shared_objects_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(
        "blockseg.inference.backends.tensorrt.compatibility.installed_libraries",
        lambda: tuple(LIBRARIES),
    )
    _library.cache_clear()
    try:
        with pytest.raises(BackendError, match="installed, but does not load"):
            find_library()
    finally:
        _library.cache_clear()


class Ten:
    """As much of TensorRT 10 as differs from TensorRT-RTX, and what it was told."""

    __name__ = "tensorrt"
    __version__ = "10.9.0"

    def __init__(self, said=(), parses=True, builds=True):
        self.told: list[tuple[str, object]] = []
        self.said, self.parses, self.builds = said, parses, builds
        severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1)

        class ILogger:
            INTERNAL_ERROR, ERROR = severity.INTERNAL_ERROR, severity.ERROR

        self.ILogger = ILogger
        self.BuilderFlag = SimpleNamespace(TF32=7)
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)

    def note(self, name, result=None):
        def take(*arguments, **_):
            self.told.append((name, arguments))
            return result

        return take

    def Builder(self, logger):
        for line in self.said:
            logger.log(self.ILogger.ERROR, line)
        cache = SimpleNamespace(serialize=lambda: b"measured")
        config = SimpleNamespace(
            add_optimization_profile=self.note("profile"),
            clear_flag=self.note("clear"),
            create_timing_cache=self.note("timings", cache),
            set_timing_cache=lambda *_, **__: self.told[-1] != ("timings", (b"bad",)),
        )
        profile = SimpleNamespace(set_shape=self.note("shape"))
        return SimpleNamespace(
            create_network=self.note("network", object()),
            create_builder_config=lambda: config,
            create_optimization_profile=lambda: profile,
            build_serialized_network=lambda *_: b"engine" if self.builds else None,
        )

    def OnnxParser(self, *_):
        return SimpleNamespace(parse=lambda _: self.parses)


@pytest.fixture
def as_tensorrt(monkeypatch):
    def made(**options):
        module = Ten(**options)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A Card")
        monkeypatch.setattr(
            "blockseg.inference.backends.tensorrt.compatibility.import_module",
            lambda _: module,
        )
        monkeypatch.setattr(
            "blockseg.inference.backends.tensorrt.compatibility.installed_libraries",
            lambda: ("tensorrt",),
        )
        _library.cache_clear()
        return find_library(), module

    yield made
    _library.cache_clear()


SHAPES = Shapes((68, 68, 72), (4, 4, 8), edge=True)


def test_tensorrt_10_is_told_types_shapes_and_timings_and_not_an_architecture(
    as_tensorrt,
):
    library, module = as_tensorrt()
    built = library.build(b"graph", SHAPES, "sm90", b"earlier")
    assert (built.engine, built.timings) == (b"engine", b"measured")
    told = dict(module.told)
    assert told["network"] == (1 << 1,)
    assert told["clear"] == (7,)
    assert told["timings"] == (b"earlier",)
    shapes = dict((a[0], a[1:]) for name, a in module.told if name == "shape")  # noqa: C402
    assert shapes == {
        "voxels": ((1, 68, 68, 72, 2),) * 3,
        "bounds": ((1, 12),) * 3,
    }
    assert library.card().architecture == "sm90"


def test_timings_of_another_card_are_dropped_and_measured_anew(as_tensorrt):
    library, module = as_tensorrt()
    assert library.build(b"graph", SHAPES, "sm90", b"bad").timings == b"measured"
    assert [a for name, a in module.told if name == "timings"] == [(b"bad",), (b"",)]


def test_tensorrt_11_has_no_flag_for_types_and_needs_none(as_tensorrt):
    library, module = as_tensorrt()
    module.NetworkDefinitionCreationFlag = SimpleNamespace()
    library.build(b"graph", SHAPES, "sm90")
    assert dict(module.told)["network"] == (0,)


def test_a_library_with_other_targets_is_not_told_which_card_is_here(as_tensorrt):
    library, module = as_tensorrt()
    # Whatever it can name: this machine's card, named or not, is what it builds for.
    module.ComputeCapability = SimpleNamespace(__members__={"CURRENT": 1, "SM86": 86})
    assert library.build(b"graph", SHAPES, "sm90").engine == b"engine"
    with pytest.raises(ConfigError, match="builds for sm86, and not for sm80"):
        library.build(b"graph", SHAPES, "sm80")


def test_tensorrt_builds_for_its_own_card_alone(as_tensorrt):
    library, _ = as_tensorrt()
    with pytest.raises(ConfigError, match=r"\(sm90\), and not for sm86; use --lib"):
        library.build(b"graph", SHAPES, "sm86")


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ((), BackendError, "10.9.0 cannot build an engine: it does not say why"),
        (("no such layer\nmore",), BackendError, "an engine: no such layer$"),
        (("[cuda] Out of memory",), DeviceMemoryError, "choose a smaller --window"),
        (("first", "CUDA_ERROR_OUT_OF_MEMORY"), DeviceMemoryError, "too little"),
    ],
)
def test_a_build_that_fails_says_why_and_tells_want_of_memory_apart(
    as_tensorrt, said, kind, message
):
    library, _ = as_tensorrt(said=said, builds=False)
    with pytest.raises(BackendError, match=message) as caught:
        library.build(b"graph", SHAPES, "sm90")
    assert type(caught.value) is kind


class Older:
    """An execution context of the first TensorRT 10, and what it was told."""

    device_memory = 0

    def __init__(self, runs=True):
        self.told: list[tuple[str, object]] = []
        self.runs = runs

    def set_input_shape(self, name, shape):
        self.told.append((name, shape))

    def set_tensor_address(self, name, address):
        self.told.append((name, address))

    def execute_async_v3(self, stream):
        self.told.append(("stream", stream))
        return self.runs


class Context(Older):
    """One that is told the size of its memory too."""

    def set_device_memory(self, address, size):
        self.told.append(("memory", (address, size)))


TENSORS = {
    "voxels": ("INPUT", (-1, 68, 68, 68, 2)),
    "affine": ("INPUT", (4,)),
    "probability": ("OUTPUT", (-1, 4, 4, 4)),
}


def loading(module, context, size="device_memory_size_v2", found=True):
    """Make a stand-in for TensorRT load an engine that gives this context."""
    names = list(TENSORS)
    engine = SimpleNamespace(
        num_io_tensors=len(names),
        get_tensor_name=names.__getitem__,
        get_tensor_mode=lambda name: SimpleNamespace(name=TENSORS[name][0]),
        get_tensor_shape=lambda name: TENSORS[name][1],
        get_tensor_profile_shape=lambda name, _: [(1, *TENSORS[name][1][1:])] * 3,
        create_execution_context=lambda strategy: context if strategy else None,
    )
    setattr(engine, size, 4096)
    module.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED=2)

    def runtime(logger):
        for line in module.said:
            logger.log(module.ILogger.ERROR, line)
        made = engine if found else None
        return SimpleNamespace(deserialize_cuda_engine=lambda _: made)

    module.Runtime = runtime


@pytest.mark.parametrize(
    ("context", "size"),
    [(Context(), "device_memory_size_v2"), (Older(), "device_memory_size")],
)
def test_a_loaded_engine_is_given_shapes_memory_addresses_and_a_stream(
    as_tensorrt, context, size
):
    library, module = as_tensorrt()
    loading(module, context, size)
    engine = library.load(b"engine")
    assert context.told == [("voxels", (1, 68, 68, 68, 2))]  # only inputs with a batch
    assert engine.scratch_bytes == 4096
    engine.lend(256)
    if isinstance(context, Context):
        assert context.told.pop() == ("memory", (256, 4096))
    else:
        assert context.device_memory == 256
    engine.enqueue({"voxels": 1, "affine": 2, "probability": 3}, stream=7)
    told = [("voxels", 1), ("affine", 2), ("probability", 3), ("stream", 7)]
    assert context.told[1:] == told


def test_an_engine_of_other_inputs_is_not_run(as_tensorrt):
    library, module = as_tensorrt()
    context = Context()
    loading(module, context)
    engine = library.load(b"engine")
    with pytest.raises(BackendError, match="takes affine, probability, voxels, not"):
        engine.enqueue({"voxels": 1, "affine": 2, "bounds": 3, "probability": 4}, 7)
    assert ("stream", 7) not in context.told


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ((), BackendError),
        (("cudaErrorMemoryAllocation",), DeviceMemoryError),
        (("out of memory",), DeviceMemoryError),
    ],
)
def test_an_engine_that_is_not_loaded_and_a_call_that_fails_say_why(
    as_tensorrt, said, kind
):
    library, module = as_tensorrt(said=said)
    loading(module, Context(), found=False)
    with pytest.raises(BackendError, match=r"gave no engine|too little memory") as one:
        library.load(b"engine")
    loading(module, None)
    with pytest.raises(BackendError, match=r"gave no context|too little") as two:
        library.load(b"engine")
    loading(module, Context(runs=False))
    engine = library.load(b"engine")
    with pytest.raises(BackendError, match=r"failed on a window|too little") as three:
        engine.enqueue({"voxels": 1, "affine": 2, "probability": 3}, 7)
    assert {type(error.value) for error in (one, two, three)} == {kind}
