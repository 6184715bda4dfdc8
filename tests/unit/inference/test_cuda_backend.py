from dataclasses import replace

import numpy as np
import pytest
import torch

from blockseg.core.errors import (
    BackendError,
    ConfigError,
    DeviceMemoryError,
    MissingExtraError,
)
from blockseg.core.specs import Affine, BackendSpec
from blockseg.inference.backends.cuda import backend as module
from blockseg.inference.backends.cuda.backend import FusedCudaBackend, TorchCudaBackend
from blockseg.inference.backends.cuda.plan import ON_CHIP
from blockseg.inference.backends.cuda.torch_network import TorchNetwork
from blockseg.inference.backends.device.protocol import RawWindow
from blockseg.inference.backends.protocol import window_shape
from blockseg.inference.backends.torch import TorchBackend
from blockseg.networks.receptive_field import FIELDS
from blockseg.networks.registry import build
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo
from blockseg.normalization.affine import normalize

CORE = (4, 8, 4)
AFFINE = Affine(168.5, 500.0, -1.0, 3.0)
CPU = torch.device("cpu")

needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device"
)


@pytest.fixture
def soft_weights(make_network, tmp_path):
    """Weights with logits of a few units, as trained networks have them."""
    network = make_network()
    for head in (network.head00, network.head01, network.head02):
        torch.nn.init.normal_(head.weight, std=0.05)
    info = WeightsInfo("soft", gain=0.03, training_data="none", licence="MIT")
    save_weights(tmp_path / "soft.safetensors", network, info)
    return tmp_path / "soft.safetensors"


def spec(weights_file, precision="float32", device="cpu", core=CORE):
    return BackendSpec("torch", str(weights_file), core, precision, device=device)


def windows(core=CORE, reach=32):
    """Return one inside the volume, and one that reaches beyond on every axis."""
    shape = window_shape(core, reach)
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 3000, shape).astype(np.uint16)
    inside = [np.ones(n, np.float32) for n in shape]
    inside[0][:12] = inside[1][-8:] = inside[2][:8] = inside[2][-4:] = 0
    # The volume's last voxel but one is the last that is known.
    known = voxels[12:, : shape[1] - 9, 8 : shape[2] - 6]
    return [
        RawWindow(voxels, (0, 0, 0), None),
        RawWindow(known, (12, 0, 8), (inside[0], inside[1], inside[2])),
    ]


def expected(weights_file, window, core=CORE, network=None):
    """Return the bytes by way of the reference engine."""
    backend = TorchBackend(spec(weights_file, core=core), network)
    tile = np.zeros(window_shape(core, backend.field.reach), np.float32)
    place = tuple(
        slice(a, a + n) for a, n in zip(window.start, window.voxels.shape, strict=True)
    )
    normalize(window.voxels, AFFINE, tile[place])
    probability = backend.infer(tile, window.inside)
    assert probability.std() > 0.05  # not saturated: differences would show
    return np.rint(probability * np.float32(255)).astype(np.uint8)


def difference(a, b):
    return int(abs(a.astype(int) - b.astype(int)).max())


def test_torch_takes_grey_levels_and_gives_the_reference_engines_bytes(weights_file):
    backend = TorchCudaBackend(spec(weights_file), AFFINE)
    inside, edge = windows()
    found = [core.copy() for core in backend.stream([inside, edge])]
    backend.close()
    assert (backend.core, backend.field) == (CORE, FIELDS["sdasn"])
    for core, window in zip(found, (inside, edge), strict=True):
        assert (core.shape, core.dtype.name) == (CORE, "uint8")
        assert difference(core, expected(weights_file, window)) <= 1


def test_a_closed_engine_says_so(weights_file):
    backend = TorchCudaBackend(spec(weights_file), AFFINE)
    backend.close()
    with pytest.raises(BackendError, match="was closed"):
        backend.stream([])


@pytest.mark.parametrize("architecture", ["sdasn", "voxresnet", "unet3d"])
def test_heads_stay_in_float32_where_the_rest_is_rounded(architecture):
    network = build(architecture, 2).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    on_device = TorchNetwork(network, AFFINE, CPU)
    ready = on_device._network
    heads = [
        (name, layer)
        for name, layer in ready.named_modules()
        if isinstance(layer, torch.nn.Conv3d)
    ]
    exact = {name for name, layer in heads if layer.weight.dtype == torch.float32}
    pointwise = {name for name, layer in heads if layer.kernel_size == (1, 1, 1)}
    assert exact == pointwise != set()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])  # the caller's network is left alone


def test_a_device_that_is_not_there(weights_file, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for backend in (TorchCudaBackend, FusedCudaBackend):
        with pytest.raises(BackendError, match="finds no CUDA device"):
            backend(spec(weights_file, "float16", "cuda"), AFFINE)


def test_our_kernels_are_for_sdasn_only(weights_file):
    network = build("unet3d", 2).eval()
    with pytest.raises(ConfigError, match="runs SDASN only, not unet3d"):
        FusedCudaBackend(spec(weights_file, core=(8, 8, 8)), AFFINE, network)


class StandIn:
    """A network that says what it was made for."""

    last: "StandIn"

    def __init__(self, network, core, affine, device, *, tiling):
        self.made_for = (network.architecture, core, affine, device.type, tiling)
        StandIn.last = self

    def run(self, raw, _, out, edge):
        out.fill_(7 if edge else int(raw[-1, -1, -1]) & 0xFF)


def test_our_kernels_get_what_the_engine_is_built_for(weights_file, monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed")
    from blockseg.inference.backends.cuda import fused as cuda_chain

    monkeypatch.setattr(cuda_chain, "FusedNetwork", StandIn)
    backend = FusedCudaBackend(spec(weights_file), AFFINE)
    assert StandIn.last.made_for == ("sdasn", CORE, AFFINE, "cpu", None)
    inside, edge = windows()
    found = [int(core.max()) for core in backend.stream([edge, inside])]
    assert found == [7, int(inside.voxels[-1, -1, -1]) & 0xFF]
    backend.close()


def test_a_core_that_the_network_cannot_write(weights_file):
    with pytest.raises(ConfigError, match="no multiple of 4"):
        TorchCudaBackend(spec(weights_file, core=(4, 4, 6)), AFFINE)


def test_a_card_that_is_too_old(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    with pytest.raises(BackendError, match=r"capability 8\.0, this one has 7\.5"):
        module._check_age(CPU)


def test_without_triton_the_extra_is_named(weights_file, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"Triton.*blockseg\[gpu\]"):
        FusedCudaBackend(spec(weights_file), AFFINE)


@needs_cuda
@pytest.mark.gpu
@pytest.mark.parametrize("on_chip", [None, frozenset(), ON_CHIP])
def test_on_a_card_every_window_of_a_stream_has_its_own_bytes(soft_weights, on_chip):
    core = (32, 48, 64)
    here = spec(soft_weights, "float16", "cuda", core)
    backend: TorchCudaBackend | FusedCudaBackend
    if on_chip is None:
        backend = TorchCudaBackend(here, AFFINE)
    else:
        from blockseg.inference.backends.cuda.tiling import tiling_for

        tiling = replace(tiling_for(torch.device("cuda")), on_chip=on_chip)
        backend = FusedCudaBackend(here, AFFINE, tiling=tiling)
    both = windows(core)
    # Each comes eagerly, captured and replayed, in every slot.
    found = [core.copy() for core in backend.stream(both * 8)]
    backend.close()
    for core_bytes, window in zip(found, both * 8, strict=True):
        wanted = expected(soft_weights, window, core)
        assert difference(core_bytes, wanted) <= 3  # 0.01 of probability
    for first, second in zip(found[:2], found[2:4], strict=True):
        assert np.array_equal(first, second)


@pytest.fixture
def small_card():
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.002)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@needs_cuda
@pytest.mark.gpu
@pytest.mark.usefixtures("small_card")
@pytest.mark.parametrize("backend", [TorchCudaBackend, FusedCudaBackend])
def test_on_a_card_a_window_too_large_is_too_little_memory(weights_file, backend):
    core = (128, 128, 128)
    here = spec(weights_file, "float16", "cuda", core)
    with pytest.raises(DeviceMemoryError, match="smaller --window"):
        list(backend(here, AFFINE).stream(windows(core)))
