"""Kernels of our own on the CPU, against torch."""

import hashlib
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from blockseg.core.errors import BackendError, MissingExtraError, WeightsError
from blockseg.core.specs import BackendSpec
from blockseg.inference.backends.llvm import amx_permission, compiler, planar
from blockseg.inference.backends.llvm import backend as llvm_backend
from blockseg.inference.backends.llvm.backend import LlvmBackend
from blockseg.inference.backends.llvm.bfloat16 import TiledBfloat16
from blockseg.inference.backends.llvm.compiler import ROW, Kernels
from blockseg.inference.backends.llvm.planar_form import PlanarForm
from blockseg.inference.backends.llvm.vectors import (
    AVX,
    AVX512,
    SHORT,
    Vectors,
    convolution_blocking,
    transposed_blocking,
)
from blockseg.inference.backends.llvm.words import Pair
from blockseg.inference.backends.protocol import AxisMasks, SlabBackend, window_shape
from blockseg.inference.backends.torch import TorchBackend
from blockseg.inference.processor import Processor, processor
from blockseg.inference.window_memory import window_memory
from blockseg.networks.bfloat16 import nearest, rounded_arrays
from blockseg.networks.registry import build
from blockseg.networks.sdasn_arrays import Arrays, folded_arrays
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo

pytest.importorskip("llvmlite")

CORE = (8, 12, 16)

needs_amx = pytest.mark.skipif(not processor().tiles, reason="the CPU has no AMX")
needs_vectors = pytest.mark.skipif(
    not processor().bfloat16, reason="the CPU has no AVX-512 for bfloat16"
)

_PAIRS = {
    "native": (AVX512, Pair(native=True)),
    "16": (AVX512, Pair(native=False)),
    "8": (AVX, Pair(native=False)),
    "4": (SHORT, Pair(native=False)),
}


def _marks(name: str) -> Any:
    return [needs_vectors] if name == "native" else []


PAIRS = [
    pytest.param(*pair, marks=_marks(name), id=name) for name, pair in _PAIRS.items()
]
"""Pairs of bfloat16 by the processor's own instructions, and without them anywhere."""


def window(core: Any = CORE, seed: int = 0) -> NDArray[Any]:
    shape = window_shape(core)
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def ending(core: Any, *ends: tuple[int, int]) -> tuple[NDArray[Any], AxisMasks]:
    """Return a window of which only start to stop along each axis is in the volume."""
    tile = window(core, 3)
    masks = [np.zeros(n, "f4") for n in tile.shape]
    for axis, (mask, (start, stop)) in enumerate(zip(masks, ends, strict=True)):
        mask[start : mask.size - stop] = 1
        tile *= np.expand_dims(mask, tuple({0, 1, 2} - {axis}))
    return tile, (masks[0], masks[1], masks[2])


def arrays_of(network: Any) -> Arrays:
    state = {k: v.detach().numpy() for k, v in network.state_dict().items()}
    return folded_arrays(state)


@pytest.fixture
def spec(weights_file):
    return BackendSpec("llvm", str(weights_file), CORE)


def saved(path: Any, network: Any) -> None:
    info = WeightsInfo("w", 1.0, architecture=network.architecture, width=network.width)
    save_weights(path, network, info)


def wide(width: int) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(width)
        network = build("sdasn", width)
        for module in network.modules():
            if isinstance(module, torch.nn.Conv3d | torch.nn.ConvTranspose3d):
                torch.nn.init.kaiming_normal_(module.weight, a=0.2)
    return network.eval()


@pytest.mark.parametrize("vectors", [AVX512, AVX, SHORT], ids=["16", "8", "4"])
@pytest.mark.parametrize("width", [2, 5, 8, 11])
def test_any_width_and_any_length_of_vectors_agree_with_torch(
    spec, tmp_path, width, vectors
):
    network = wide(width)
    path = tmp_path / "w.safetensors"
    saved(path, network)
    own = replace(spec, weights=str(path))
    form = PlanarForm(arrays_of(network), vectors)
    tile, masks = ending(CORE, (32, 0), (0, 0), (0, 28))
    wanted = TorchBackend(own, network).infer(tile, masks)
    backend = LlvmBackend(own, form)
    got = backend.infer(tile, masks)
    backend.close()
    assert wanted.std() > 0.05
    assert abs(got - wanted).max() < 1e-5


@pytest.mark.parametrize("core", [(4, 4, 4), (40, 8, 64), (12, 100, 4)])
def test_windows_of_any_shape_agree_with_torch(spec, network, core):
    own = replace(spec, core=core)
    for tile, masks in (
        (window(core), None),
        ending(core, (32, 32), (32, 32), (32, 32)),
    ):
        wanted = TorchBackend(own, network).infer(tile, masks)
        got = LlvmBackend(own).infer(tile, masks)
        assert wanted.std() > 0.05
        assert abs(got - wanted).max() < 1e-4


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_change_no_bit(spec, threads):
    core = (8, 40, 12)
    one = LlvmBackend(replace(spec, core=core))
    several = LlvmBackend(replace(spec, core=core, threads=threads))
    for tile, masks in ((window(core), None), ending(core, (8, 0), (32, 4), (0, 40))):
        assert np.array_equal(one.infer(tile, masks), several.infer(tile, masks))
    several.close()


def test_slabs_are_a_window_plane_by_plane(spec):
    core = (40, 8, 8)
    backend = LlvmBackend(replace(spec, core=core))
    assert isinstance(backend, SlabBackend)
    tile, masks = ending(core, (32, 0), (0, 32), (0, 36))
    whole = backend.infer(tile, masks).copy()
    seen, found = np.zeros(tile.shape[0], int), np.full(core, np.nan, np.float32)
    for slab in backend.slabs(masks):
        assert len(slab.tile) <= 32
        rows = slice(slab.start, slab.start + len(slab.tile))
        slab.tile[...] = tile[rows]
        seen[rows] += 1
        slab.compute()
        z, y, x = slab.result_start
        d, h, w = slab.result.shape
        assert np.isnan(found[z : z + d, y : y + h, x : x + w]).all()
        found[z : z + d, y : y + h, x : x + w] = slab.result
    assert seen.max() == 1
    assert not seen[:32].any()  # beyond the volume
    assert np.array_equal(found[:, :, :4], whole[:, :, :4])
    assert np.isnan(found[:, :, 4:]).all()
    backend.close()


def test_a_window_beyond_the_volume_is_zero(spec):
    tile, masks = ending(CORE, (0, 0), (0, 44), (0, 0))
    backend = LlvmBackend(spec)
    assert list(backend.slabs(masks)) == []
    assert not backend.infer(tile, masks).any()


def test_weights_that_are_no_numbers_give_no_number(spec, network):
    arrays = dict(arrays_of(network))
    arrays["x10.1.weight"] = np.full_like(arrays["x10.1.weight"], np.nan)
    got = LlvmBackend(spec, PlanarForm(arrays)).infer(window(), None)
    assert np.isnan(got).all()


def test_weights_of_another_network_are_refused(spec, tmp_path):
    path = tmp_path / "w.safetensors"
    saved(path, build("voxresnet", 4))
    with pytest.raises(WeightsError, match="not of sdasn"):
        LlvmBackend(replace(spec, weights=str(path)))


# bfloat16.


def rounded_forward(arrays: Arrays, tile: NDArray[Any]) -> NDArray[Any]:
    """Return what maps and weights rounded to bfloat16 give; sums are float32."""

    def kernel(name):
        return torch.from_numpy(arrays[f"{name}.weight"].astype(np.float32))

    def active(x, name):
        bias = torch.from_numpy(arrays[f"{name}.bias"]).reshape(1, -1, 1, 1, 1)
        y = functional.leaky_relu(x + bias, 0.2)
        return torch.from_numpy(nearest(y.numpy()))

    def conv(x, name):
        return active(functional.conv3d(x, kernel(name), padding=1), name)

    def up(x, name):
        y = functional.conv_transpose3d(
            x, kernel(name), stride=2, padding=1, output_padding=1
        )
        return active(y, name)

    def node(x, name):
        place = 0
        while f"{name}.{place}.weight" in arrays:
            x = conv(x, f"{name}.{place}")
            place += 1
        return x

    x00 = node(torch.from_numpy(tile)[None, None], "x00")
    x10 = node(functional.max_pool3d(x00, 2), "x10")
    x20 = node(functional.max_pool3d(x10, 2), "x20")
    x11 = node(torch.cat([x10, up(x20, "up11")], 1), "x11")
    up01 = up(x10, "up01")
    x02 = node(torch.cat([x00, up01, up(x11, "up02")], 1), "x02")
    every = [
        functional.conv3d(x, kernel(name), torch.from_numpy(arrays[f"{name}.bias"]))
        for x, name in (
            (x00, "head00"),
            (torch.cat([x00, up01], 1), "head01"),
            (x02, "head02"),
        )
    ]
    logits = every[0] + every[1] + every[2]
    return logits.sigmoid()[0, 0].numpy()


FORMS = [
    pytest.param(TiledBfloat16, marks=needs_amx, id="tiles"),
    *(
        pytest.param(
            partial(PlanarForm, vectors=vectors, word=word), marks=_marks(name), id=name
        )
        for name, (vectors, word) in _PAIRS.items()
    ),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [4, 8])
def test_bfloat16_rounds_maps_and_weights_and_nothing_else(tmp_path, width, form):
    network = wide(width)
    path = tmp_path / "w.safetensors"
    saved(path, network)
    core = (16, 36, 40)
    arrays = arrays_of(network)
    first = {name: arrays[name] for name in ("x00.0.weight", "x00.0.bias")}
    # The volume ends on all sides, where the network pads.
    tile, masks = ending(core, (32, 32), (32, 32), (32, 32))
    inside = tuple(slice(32, -32) for _ in core)
    wanted = rounded_forward(rounded_arrays(arrays) | first, tile[inside].copy())
    own = BackendSpec("llvm", str(path), core, "bfloat16")
    got = LlvmBackend(own, form(arrays)).infer(tile, masks)
    exact = TorchBackend(replace(own, precision="float32"), network).infer(tile, masks)
    assert wanted.std() > 0.05
    # A sum that lies nearly halfway between two bfloat16 goes either way, and what
    # comes of it goes on from layer to layer.
    assert abs(got - wanted).mean() < 0.7 * abs(got - exact).mean()
    assert abs(got - exact).max() < 0.1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("core", [(4, 4, 4), (8, 12, 100), (40, 4, 8)])
def test_bfloat16_windows_of_any_shape_agree_with_float32(spec, network, core, form):
    own = replace(spec, core=core)
    half = LlvmBackend(replace(own, threads=2), form(arrays_of(network)))
    for tile, masks in (
        (window(core), None),
        ending(core, (32, 32), (32, 32), (32, 32)),
        ending(core, (0, 0), (32, 0), (4, 8)),
    ):
        wanted = LlvmBackend(own).infer(tile, masks)
        got = half.infer(tile, masks).copy()
        assert wanted.std() > 0.05
        assert abs(got - wanted).max() < 0.4
        assert abs(got - wanted).mean() < 0.01
        assert np.array_equal(got, half.infer(tile, masks))
    half.close()


@pytest.mark.parametrize(("vectors", "word"), PAIRS)
@pytest.mark.parametrize("width", [3, 5, 11])
def test_pairs_of_channels_serve_any_width(tmp_path, width, vectors, word):
    network = wide(width)
    path = tmp_path / "w.safetensors"
    saved(path, network)
    own = BackendSpec("llvm", str(path), CORE)
    arrays = arrays_of(network)
    tile, masks = ending(CORE, (32, 0), (0, 0), (0, 28))
    wanted = LlvmBackend(own).infer(tile, masks)
    got = LlvmBackend(own, PlanarForm(arrays, vectors, word)).infer(tile, masks)
    assert wanted.std() > 0.05
    assert 0 < abs(got - wanted).max() < 0.3
    assert abs(got - wanted).mean() < 0.01


@pytest.mark.parametrize(("vectors", "word"), PAIRS)
def test_pairs_are_the_same_bits_wherever_a_window_begins(spec, network, vectors, word):
    arrays = arrays_of(network)
    large, small = (16, 24, 40), (8, 8, 16)
    tile = window(large)

    def made(core):
        form = PlanarForm(arrays, vectors, word)
        return LlvmBackend(replace(spec, core=core), form)

    whole = made(large).infer(tile, None).copy()
    part = made(small)
    for z, y, x in ((0, 0, 0), (8, 4, 12), (4, 16, 24)):
        reach = window_shape(small)
        inner = tile[z : z + reach[0], y : y + reach[1], x : x + reach[2]]
        got = part.infer(np.ascontiguousarray(inner), None)
        assert np.array_equal(got, whole[z : z + 8, y : y + 8, x : x + 16])


@pytest.mark.parametrize(("vectors", "word"), PAIRS)
def test_pairs_keep_what_is_no_number(spec, network, vectors, word):
    arrays = dict(arrays_of(network))
    arrays["x10.1.weight"] = np.full_like(arrays["x10.1.weight"], np.nan)
    got = LlvmBackend(spec, PlanarForm(arrays, vectors, word)).infer(window(), None)
    assert np.isnan(got).all()


def test_words_of_two_channels_hold_the_nearest_bfloat16():
    numbers = np.random.default_rng(0).normal(0, 1, (3, 5)).astype(np.float32)
    words = Pair(native=False).stored(numbers)
    assert words.shape == (2, 5)
    bits = words.view(np.uint32)
    lower, upper = (bits << 16).view(np.float32), (bits & 0xFFFF0000).view(np.float32)
    assert np.array_equal(lower, nearest(numbers[0::2]))
    assert np.array_equal(upper, np.stack([nearest(numbers[1]), np.zeros(5)]))


@pytest.mark.parametrize(
    ("unit", "kind"), [("avx512", PlanarForm), ("", TiledBfloat16)]
)
def test_the_instructions_of_the_cpu_choose_the_kernels(spec, monkeypatch, unit, kind):
    asked: list[Any] = []
    monkeypatch.setattr(llvm_backend, "processor", lambda: Processor("some", unit))
    monkeypatch.setattr(kind, "__init__", lambda *given: asked.append(given))
    llvm_backend._form(replace(spec, precision="bfloat16"))
    (given,) = asked
    assert given[2:] == ((AVX512, Pair(native=True)) if unit else ())


def test_bfloat16_is_for_cpus_that_have_it(spec, monkeypatch):
    class Without:
        @staticmethod
        def get_host_cpu_features():
            return {"avx512f": True}

    amx_permission.ask_for_tiles.cache_clear()
    monkeypatch.setattr(amx_permission, "library", Without)
    monkeypatch.setattr(llvm_backend, "processor", lambda: Processor("plain"))
    with pytest.raises(BackendError, match="no AMX for bfloat16; compute in float32"):
        LlvmBackend(replace(spec, precision="bfloat16"))
    amx_permission.ask_for_tiles.cache_clear()


def test_bfloat16_is_for_networks_that_fit_the_tiles():
    with pytest.raises(BackendError, match="width 8 or less, not 9"):
        TiledBfloat16(arrays_of(build("sdasn", 9)))


# Kernels.


def test_the_sigmoid_is_that_of_float64_within_float32():
    kernels = Kernels({"heads": planar.heads("heads", 4)})
    special = [0, -0.0, np.inf, -np.inf, np.nan, 1e-30, 88.7, -88.7]
    x = np.concatenate([np.linspace(-110, 110, 4001), special]).astype(np.float32)
    padded, out = np.zeros(x.size + 64, np.float32), np.zeros(x.size, np.float32)
    padded[: x.size] = x
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    inputs, rows = np.array([padded.ctypes.data]), np.zeros(1, np.int64)
    row = np.zeros(ROW, np.int64)
    row[:10] = (
        *(kernels.address["heads"], out.ctypes.data, 0, 1, x.size, 1),
        *(array.ctypes.data for array in (inputs, rows, one, zero)),
    )
    kernels.run(row.ctypes.data, 1)
    with np.errstate(over="ignore"):
        wanted = 1 / (1 + np.exp(-x.astype(np.float64)))
    numbers = ~np.isnan(x)
    assert np.isnan(out[~numbers]).all()
    assert abs(out - wanted)[numbers].max() < 3e-7
    assert ((out >= 0) & (out <= 1))[numbers].all()


def test_code_is_kept_for_the_next_process_and_a_damaged_file_made_anew(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("BLOCKSEG_CACHE", str(tmp_path))
    compiled: list[int] = []
    own = compiler._compiled

    def counted(texts: Any, machine: Any) -> bytes:
        compiled.append(len(texts))
        return own(texts, machine)

    monkeypatch.setattr(compiler, "_compiled", counted)
    texts = {"copy": planar.copying("copy", 4)}
    Kernels(texts)
    Kernels(texts)
    assert len(compiled) == 1
    (path,) = (tmp_path / "kernels").iterdir()
    content = path.read_bytes()
    assert hashlib.sha256(content[32:]).digest() == content[:32]
    path.write_bytes(content[:-1])
    Kernels(texts)
    assert len(compiled) == 2
    assert path.read_bytes() == content
    Kernels(texts | {"other": planar.copying("other", 4)})
    assert len(compiled) == 3


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BLOCKSEG_CACHE", str(tmp_path / "file"))
    assert Kernels({"copy": planar.copying("copy", 4)}).address["copy"]


def test_what_llvm_cannot_compile_is_told_in_one_line():
    with pytest.raises(BackendError, match="LLVM cannot compile the kernels"):
        Kernels({"broken": "define void @broken("})


def test_without_llvmlite_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    compiler.library.cache_clear()
    with pytest.raises(MissingExtraError, match=r"blockseg\[cpu\]"):
        compiler.library()
    compiler.library.cache_clear()


@pytest.mark.parametrize("word", [1, 2])
@pytest.mark.parametrize("vectors", [AVX512, AVX, SHORT, Vectors(4, 32)])
@pytest.mark.parametrize("channels", range(1, 40))
def test_sums_fit_the_registers_and_cover_the_channels(channels, vectors, word):
    found = convolution_blocking(channels, vectors, word)
    inputs_and_weight = found.vectors + 1
    assert found.channels * found.vectors + inputs_and_weight <= vectors.registers
    assert 0 <= found.channels * found.blocks - channels < found.channels
    assert found.channels % word == 0
    found = transposed_blocking(channels, vectors, word)
    assert 2 * found.channels + 3 <= vectors.registers
    assert 0 <= found.channels * found.blocks - channels < found.channels + word - 1
    assert found.channels % word == 0


@pytest.mark.parametrize("core", [(64, 64, 64), (256, 96, 128), (32, 200, 200)])
def test_the_memory_of_a_window_is_foreseen(spec, core):
    backend = LlvmBackend(replace(spec, core=core))
    next(backend.slabs(None))
    (part,) = backend._parts
    taken = part._arena.size + backend._tile.nbytes + backend._out.nbytes
    bytes_each = [window_memory(one, "llvm") for one in (core, (4, 4, 4))]
    foreseen = bytes_each[0] - bytes_each[1] + 68**2 * 2664
    assert 0.8 * foreseen < taken < 1.25 * foreseen
