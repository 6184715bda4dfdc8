from dataclasses import replace
from functools import cache

import numpy as np
import onnxruntime
import pytest
import torch

from blockseg.core.errors import (
    BackendError,
    ConfigError,
    DeviceMemoryError,
    MissingExtraError,
)
from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, BackendSpec
from blockseg.inference.backends.device.engine import ByteEngine
from blockseg.inference.backends.device.protocol import RawWindow
from blockseg.inference.backends.protocol import window_shape
from blockseg.inference.backends.table import make_backend
from blockseg.inference.backends.tensorrt.backend import TensorRtBackend
from blockseg.inference.backends.tensorrt.compatibility import installed_libraries
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.inference.reference import reference_inference
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo
from blockseg.testing.tensorrt import FakeLibrary

CORE = (8, 12, 16)
AFFINE = Affine(200.0, 300.0, -3.0, 6.0)
CPU = torch.device("cpu")


@cache
def session(graph):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])


def by_onnxruntime(graph, inputs):
    return session(graph).run(["probability"], dict(inputs))[0]


@pytest.fixture
def small(tmp_path, make_network):
    network = make_network(2)
    info = WeightsInfo("small", gain=1.0, width=2)
    save_weights(tmp_path / "small.safetensors", network, info)
    return network, BackendSpec(
        "tensorrt", str(tmp_path / "small.safetensors"), CORE, "float32", device="cuda"
    )


def made(spec, tmp_path, library=None, affine=AFFINE):
    library = library or FakeLibrary()
    return TensorRtBackend(spec, affine, cache=tmp_path, library=library, device=CPU)


def voxels(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 900, shape).astype(np.uint16)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint8, ">u2"])
def test_blocks_of_a_volume_are_the_bytes_of_the_network_on_the_whole(
    small, tmp_path, dtype
):
    network, spec = small
    shape = (10, 27, 33)  # no multiples of 4: the last voxels are unknown, not outside
    raw = voxels(shape).astype(dtype)
    library = FakeLibrary(compute=by_onnxruntime)
    engine = ByteEngine(made(spec, tmp_path, library))
    whole = Roi.whole(shape)
    found = engine.segment(BlockInput(raw, whole, whole, shape)).probability
    engine.close()
    p = reference_inference(raw, network, AFFINE, "float32")
    assert p.std() > 0.1
    assert abs(found - p * 255).max() < 0.5 + 255e-5
    assert library.calls == 2 * 3 * 3


def test_windows_inside_go_through_the_engine_without_masks(small, tmp_path):
    network, spec = small
    raw = voxels(window_shape(CORE))
    seen = []

    def compute(graph, inputs):
        seen.append(sorted(inputs))
        return by_onnxruntime(graph, inputs)

    backend = made(spec, tmp_path, FakeLibrary(compute=compute))
    z, y, x = (np.ones(n, np.float32) for n in raw.shape)
    known = RawWindow(raw[5:], (5, 0, 0), None)  # all inside, and not all known
    inputs = [
        RawWindow(raw, (0, 0, 0), None),
        known,
        RawWindow(raw, (0, 0, 0), (z, y, x)),
    ]
    found = [part.copy() for part in backend.stream(inputs)]
    assert [("bounds" in names) for names in seen] == [False, True, True]
    # Masks of ones change nothing; what is not known is 0 after normalisation.
    assert np.array_equal(found[0], found[2])
    image = np.clip((raw - np.float32(200)) / np.float32(300), -3, 6)
    image[:5] = 0
    with torch.inference_mode():
        p = network.core_logits(torch.from_numpy(image)[None, None]).sigmoid()[0, 0]
    assert abs(found[1] - p.numpy() * 255).max() < 0.5 + 255e-5
    assert not np.array_equal(found[0], found[1])


def test_engines_are_built_once_for_every_brain_and_loaded_the_second_time(
    small, tmp_path
):
    _, spec = small
    library = FakeLibrary()
    for affine in (AFFINE, Affine(0.0, 1000.0)):
        made(spec, tmp_path, library, affine).close()
    assert library.builds == ["sm90", "sm90"]  # interior and edge
    made(replace(spec, precision="float16"), tmp_path, library).close()
    assert len(library.builds) == 4


def test_the_normalisation_of_the_run_is_what_the_engine_is_given(small, tmp_path):
    _, spec = small
    given = []

    def compute(graph, inputs):
        del graph
        given.append(inputs["affine"].tolist())
        return 0

    window = RawWindow(voxels(window_shape(CORE)), (0, 0, 0), None)
    for precision in ("float32", "float16"):
        backend = made(
            replace(spec, precision=precision),
            tmp_path,
            FakeLibrary(compute=compute),
            Affine(1.0, 2.0, -1e6, 50.0),
        )
        assert [part.max() for part in backend.stream([window])] == [0]
    assert given == [[1, 2, -1e6, 50], [1, 2, -65504, 50]]


def test_another_version_of_the_library_has_engines_of_its_own(small, tmp_path):
    _, spec = small
    made(spec, tmp_path).close()
    newer = FakeLibrary(version="11.0.fake")
    made(spec, tmp_path, newer).close()
    assert len(newer.builds) == 2
    older = FakeLibrary()
    made(spec, tmp_path, older).close()
    assert older.builds == []


def test_an_engine_that_the_library_refuses_is_built_again_once(small, tmp_path):
    _, spec = small

    class Refusing(FakeLibrary):
        refusals = 1

        def load(self, engine):
            if self.refusals:
                self.refusals -= 1
                raise BackendError("no magic tag")
            return super().load(engine)

    library = Refusing()
    made(spec, tmp_path, library).close()
    assert len(library.builds) == 3
    library.refusals = 2
    with pytest.raises(BackendError, match="no magic tag"):
        made(spec, tmp_path, library)


def test_too_little_memory_is_told_apart_and_builds_nothing_again(small, tmp_path):
    _, spec = small
    library = FakeLibrary(memory=1000)
    with pytest.raises(DeviceMemoryError, match="too little memory"):
        made(spec, tmp_path, library)
    assert len(library.builds) == 1


def test_too_little_memory_for_buffers_is_too(small, tmp_path, monkeypatch):
    _, spec = small

    def full(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(
        "blockseg.inference.backends.tensorrt.backend._EngineNetwork", full
    )
    with pytest.raises(DeviceMemoryError, match="choose a smaller --window"):
        made(spec, tmp_path)


def test_a_window_that_fails_is_an_error_of_the_backend(small, tmp_path):
    _, spec = small

    def compute(*_):
        raise RuntimeError("CUDA error: an illegal memory access")

    backend = made(spec, tmp_path, FakeLibrary(compute=compute))
    window = RawWindow(voxels(window_shape(CORE)), (0, 0, 0), None)
    with pytest.raises(BackendError, match="illegal memory access"):
        list(backend.stream([window]))
    backend.close()
    with pytest.raises(BackendError, match="was closed"):
        backend.stream([window])


@pytest.mark.parametrize(
    ("change", "affine", "message"),
    [
        ({"precision": "float64"}, AFFINE, "float16 or float32, not in float64"),
        ({"core": (8, 8, 6)}, AFFINE, "no multiple of 4"),
    ],
)
def test_what_tensorrt_cannot_do_is_refused_before_anything_is_built(
    small, tmp_path, change, affine, message
):
    _, spec = small
    library = FakeLibrary()
    with pytest.raises(ConfigError, match=message):
        made(replace(spec, **change), tmp_path, library, affine)
    assert library.builds == []


def test_without_a_card_or_a_library_one_line_says_so(small, tmp_path, monkeypatch):
    _, spec = small
    with pytest.raises(BackendError, match="runs on NVIDIA GPUs"):
        made(spec, tmp_path, FakeLibrary(here=None))
    monkeypatch.setattr(
        "blockseg.inference.backends.tensorrt.compatibility.installed_libraries",
        lambda: (),
    )
    with pytest.raises(MissingExtraError, match=r"blockseg\[tensorrt\]"):
        TensorRtBackend(spec, AFFINE, cache=tmp_path)
    assert not (tmp_path / "engines").exists()


@pytest.mark.gpu
@pytest.mark.skipif(
    not (torch.cuda.is_available() and installed_libraries()),
    reason="needs a CUDA device and TensorRT",
)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_on_a_card_a_volume_is_what_torch_makes_of_it(
    weights_file, tmp_path, precision
):
    shape, core = (70, 90, 110), (64, 64, 64)
    spec = BackendSpec("tensorrt", str(weights_file), core, precision, device="cuda")
    raw, whole = voxels(shape), Roi.whole(shape)
    engine = ByteEngine(TensorRtBackend(spec, AFFINE, cache=tmp_path))
    found = engine.segment(BlockInput(raw, whole, whole, shape)).probability
    assert np.array_equal(
        engine.segment(BlockInput(raw, whole, whole, shape)).probability, found
    )
    engine.close()
    torch_spec = replace(spec, name="torch", precision="float32", device="cpu")
    reference = Engine(make_backend(torch_spec), AFFINE)
    p = reference.probability(BlockInput(raw, whole, whole, shape))
    tolerance = {"float32": 1e-3, "float16": 0.1}[precision]  # of an untrained network
    assert abs(found - p * 255).max() < 0.5 + 255 * tolerance
