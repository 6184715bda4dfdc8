import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from blockseg.config.settings import BackendName
from blockseg.core.errors import BackendError, ConfigError, MissingExtraError
from blockseg.core.specs import BackendSpec
from blockseg.inference.backends import table
from blockseg.inference.backends.openvino.backend import OpenVinoBackend
from blockseg.inference.backends.protocol import AxisMasks, window_shape
from blockseg.inference.backends.table import (
    available_backends,
    default_backend,
    make_backend,
)
from blockseg.inference.backends.torch import TorchBackend
from blockseg.inference.boundary_padding import BoundaryPadding
from blockseg.networks.receptive_field import FIELDS

CORE = (8, 12, 16)

_BITS = list(product((0, 1), repeat=4))

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="OpenVINO is not installed"
)


def test_every_backend_of_the_table_can_be_named_by_a_user():
    rows = {row.name for row in table._ROWS}
    assert set(get_args(BackendName)) == rows | {"auto", "fake"}


def tile(seed: int = 0, dtype: str = "f4") -> NDArray[Any]:
    return np.random.default_rng(seed).normal(0, 1, window_shape(CORE)).astype(dtype)


def at_edge(dtype: str = "f4") -> tuple[NDArray[Any], AxisMasks]:
    window = tile(dtype=dtype)
    masks = [np.ones(n, dtype) for n in window.shape]
    masks[0][:32] = masks[1][40:] = masks[2][:36] = 0
    for axis, mask in enumerate(masks):
        window *= np.expand_dims(mask, tuple({0, 1, 2} - {axis}))
    return window, (masks[0], masks[1], masks[2])


@pytest.fixture
def spec(weights_file):
    return BackendSpec("torch", str(weights_file), CORE)


@needs_openvino
def test_kernels_of_our_own_are_preferred_on_cpus_for_the_network_they_are_made_for():
    pytest.importorskip("llvmlite")
    assert available_backends() == ("llvm", "openvino", "torch", "fake")
    assert default_backend() == default_backend("cpu", "sdasn") == "llvm"
    assert default_backend("cpu", "voxresnet") == "openvino"
    assert default_backend("cuda") == "torch"


@pytest.mark.parametrize("name", ["torch", "openvino", "llvm"])
@pytest.mark.parametrize("edge", [False, True])
def test_every_backend_agrees_with_the_network_in_torch_float32(
    spec, network, name, edge
):
    if name not in available_backends():
        pytest.skip(f"{name} is not installed")
    window, masks = at_edge() if edge else (tile(), None)
    with torch.inference_mode():
        inside = None
        if masks is not None:
            z, y, x = (torch.from_numpy(m)[None] for m in masks)
            inside = (z, y, x)
        logits = network.core_logits(torch.from_numpy(window)[None, None], inside)
        wanted = logits.sigmoid()[0, 0].numpy()
    backend = make_backend(BackendSpec(name, spec.weights, CORE))
    got = backend.infer(window, masks)
    backend.close()
    assert (backend.core, backend.dtype.name) == (CORE, "float32")
    assert backend.field == FIELDS["sdasn"]
    assert (got.shape, got.dtype.name) == (CORE, "float32")
    assert wanted.std() > 0.1  # not saturated: differences would show
    part = (slice(None), slice(0, 8), slice(4, None)) if edge else ...
    assert abs(got - wanted)[part].max() < 1e-4  # where the volume is


def ending(*ends: tuple[int, int]) -> tuple[NDArray[Any], AxisMasks]:
    """Return a window of which only start to stop along each axis is in the volume."""
    window = tile(3)
    masks = [np.zeros(n, "f4") for n in window.shape]
    for axis, (mask, (start, stop)) in enumerate(zip(masks, ends, strict=True)):
        mask[start : mask.size - stop] = 1
        window *= np.expand_dims(mask, tuple({0, 1, 2} - {axis}))
    return window, (masks[0], masks[1], masks[2])


@pytest.mark.parametrize("name", ["openvino", "llvm"])
@pytest.mark.parametrize("z", [(0, 0), (32, 0), (0, 32), (32, 32)])
@pytest.mark.parametrize("y", [(0, 0), (32, 0), (0, 32), (32, 36)])
@pytest.mark.parametrize("x", [(0, 40), (0, 4), (12, 0), (32, 28)])
def test_backends_agree_with_torch_wherever_the_volume_ends(
    spec, network, name, z, y, x
):
    if name not in available_backends():
        pytest.skip(f"{name} is not installed")
    window, masks = ending(z, y, x)
    wanted = TorchBackend(spec, network).infer(window, masks)
    backend = make_backend(replace(spec, name=name))
    got = backend.infer(window, masks)
    backend.close()
    inside = tuple(slice(32, 32 + n) for n in CORE)
    part = np.einsum("z,y,x->zyx", *masks)[inside] > 0
    assert got.shape == CORE
    assert part.any()
    assert wanted[part].std() > 0.1
    assert abs(got - wanted)[part].max() < 1e-4


@pytest.mark.parametrize("name", ["openvino", "llvm"])
def test_a_backend_goes_from_one_kind_of_window_to_another_and_back(spec, name):
    if name not in available_backends():
        pytest.skip(f"{name} is not installed")
    backend = make_backend(replace(spec, name=name))
    kinds = [ending((32 * a, 32 * b), (32 * c, 0), (0, 32 * d)) for a, b, c, d in _BITS]
    first = [backend.infer(*kind).copy() for kind in kinds]
    again = [backend.infer(*kind).copy() for kind in reversed(kinds)]
    backend.close()
    for one, other in zip(first, reversed(again), strict=True):
        assert np.array_equal(one, other)
    assert len({one.tobytes() for one in first}) == len(kinds)


@needs_openvino
def test_openvino_compiles_once_for_a_row_and_does_not_collect_graphs(
    spec, monkeypatch
):
    backend = OpenVinoBackend(replace(spec, name="openvino"))
    built: list[BoundaryPadding | None] = []
    build = backend._build

    def counted(padding: BoundaryPadding | None) -> Any:
        built.append(padding)
        return build(padding)

    monkeypatch.setattr(backend, "_build", counted)
    row = [ending((32, 0), (0, 0), x) for x in ((32, 0), (0, 0), (0, 0), (0, 32))]
    for kind in row * 2:
        backend.infer(*kind)
    assert len(built) == 3
    for a, b, c, d in _BITS:
        backend.infer(*ending((32 * a, 32 * b), (32 * c, 0), (0, 32 * d)))
        assert len(backend._compiled) <= 3  # each holds on to some memory
    backend.close()


@needs_openvino
def test_sdasn_runs_on_openvino_without_torch(spec):
    script = (
        "import sys, numpy as np\n"
        "from blockseg.core.specs import BackendSpec\n"
        "from blockseg.inference.backends.table import make_backend\n"
        f"spec = BackendSpec('openvino', {spec.weights!r}, (8, 8, 8))\n"
        "backend = make_backend(spec)\n"
        "backend.infer(np.zeros((72, 72, 72), 'f4'), None)\n"
        "backend.close()\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("name", ["torch", "openvino", "llvm", "fake"])
def test_a_backend_repeats_itself_bit_for_bit(spec, name):
    if name not in available_backends():
        pytest.skip(f"{name} is not installed")
    backend = make_backend(BackendSpec(name, spec.weights, CORE))
    window, masks = at_edge()
    first = backend.infer(window, masks).copy()
    other = backend.infer(tile(1), None).copy()
    again = backend.infer(window, masks).copy()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(backend.infer(tile(1), None), other)
    backend.close()


def test_a_backend_leaves_its_window_as_it_was(spec):
    for name in available_backends():
        backend = make_backend(BackendSpec(name, spec.weights, CORE))
        window, masks = at_edge()
        before = window.copy()
        backend.infer(window, masks)
        backend.infer(window, None)
        assert np.array_equal(window, before)
        backend.close()


def test_torch_computes_in_float64_too(network):
    backend = TorchBackend(BackendSpec("torch", "", CORE, "float64"), network)
    window = tile(dtype="f8")
    with torch.inference_mode():
        tensor = torch.from_numpy(window)[None, None]
        wanted = network.double().core_logits(tensor).sigmoid()[0, 0].numpy()
    got = backend.infer(window, None)
    assert got.dtype == np.float64
    assert abs(got - wanted).max() < 1e-12


def test_a_backend_does_not_change_the_network_it_is_given(network):
    before = {k: v.clone() for k, v in network.state_dict().items()}
    TorchBackend(BackendSpec("torch", "", CORE, "float64"), network)
    after = network.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[k], after[k]) for k in before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("edge", [False, True])
def test_cuda_agrees_with_the_cpu(spec, edge):
    window, masks = at_edge() if edge else (tile(), None)
    results = []
    for device in ("cpu", "cuda"):
        made = make_backend(BackendSpec("torch", spec.weights, CORE, device=device))
        results.append(made.infer(window, masks).copy())
        assert np.array_equal(made.infer(window, masks), results[-1])
        made.close()
    assert abs(results[0] - results[1]).max() < 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "tensorflow"}, "no backend 'tensorflow'; choose from"),
        ({"core": (8, 8, 6)}, r"window \(8, 8, 6\) is no multiple of 4"),
        ({"core": (0, 8, 8)}, "no multiple of 4"),
        ({"name": "openvino", "precision": "float64"}, "float64 needs backend torch"),
        ({"name": "openvino", "device": "cuda"}, "runs on the CPU only"),
        ({"precision": "float16"}, "needs a GPU; there is none"),
        ({"name": "tensorrt"}, "needs a GPU; there is none"),
        ({"name": "cuda", "device": "cuda"}, "takes grey levels, not windows"),
        ({"threads": 0}, "at least one thread"),
    ],
)
def test_what_no_engine_can_do_is_refused_before_anything_is_read(change, message):
    fields = {"name": "torch", "weights": "nowhere", "core": CORE} | change
    with pytest.raises(ConfigError, match=message):
        make_backend(BackendSpec(**fields))


def test_a_device_that_is_not_there_is_refused(spec, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="finds no CUDA device"):
        make_backend(BackendSpec("torch", spec.weights, CORE, device="cuda"))
    with pytest.raises(BackendError, match="no device 'tpu9'"):
        make_backend(BackendSpec("torch", spec.weights, CORE, device="tpu9"))


def test_a_window_that_does_not_fit_the_device_is_one_line(network, monkeypatch):
    backend = TorchBackend(BackendSpec("torch", "", CORE), network)

    def out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(backend, "_probability", out_of_memory)
    with pytest.raises(BackendError, match="choose a smaller --window"):
        backend.infer(tile(), None)


def test_a_missing_openvino_names_its_extra(spec, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'blockseg\[cpu\]'"):
        make_backend(BackendSpec("openvino", spec.weights, CORE))


@needs_openvino
def test_openvino_neither_warns_nor_reports_its_use(spec):
    # In a fresh process: what is imported already has no telemetry left to load.
    code = f"""
import sys, warnings
warnings.simplefilter("error")
from blockseg.core.specs import BackendSpec
from blockseg.inference.backends.table import make_backend
make_backend(BackendSpec("openvino", {spec.weights!r}, {CORE})).close()
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__)
print("openvino_telemetry" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "False"]


def test_the_fake_backend_sees_as_far_as_the_network():
    backend = make_backend(BackendSpec("fake", "", CORE))
    window = np.zeros(window_shape(CORE), np.float32)
    for position in ((0, 32, 32), (32, 0, 32), (32, 75, 32), (32, 32, 64), (32,) * 3):
        window[position] = 1
        assert backend.infer(window, None).any()
        window[position] = 0
        assert not backend.infer(window, None).any()


def test_importing_the_package_and_running_the_fake_need_no_torch():
    code = f"""
import sys
from blockseg.core.specs import BackendSpec
from blockseg.inference.backends.table import make_backend
make_backend(BackendSpec("fake", "", {CORE})).close()
print("torch" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_building_a_backend_leaves_the_warning_filters_alone(spec):
    before = list(warnings.filters)
    for name in available_backends():
        make_backend(BackendSpec(name, spec.weights, CORE)).close()
    assert list(warnings.filters) == before


@needs_openvino
def test_an_interrupt_after_engines_came_and_went_is_no_crash(tmp_path, spec):
    code = (
        "import os, signal, pickle, sys\n"
        "import numpy as np\n"
        "from blockseg.inference.backends.table import make_backend\n"
        "spec = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "tile = np.zeros([n + 64 for n in spec.core], np.float32)\n"
        "inside = tuple(np.ones(n, np.float32) for n in tile.shape)\n"
        "for _ in range(2):\n"
        "    engine = make_backend(spec)\n"
        "    engine.infer(tile, inside)\n"
        "    engine.close()\n"
        "del engine\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    signal.pause()\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            pickle.dumps(replace(spec, name="openvino")).hex(),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "interrupted\n"
