"""bfloat16 on CPUs: the processor that has it, weights that fit it, engines beside float32."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from blockseg.core.errors import BackendError, ConfigError
from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, BackendSpec, array_type
from blockseg.inference.backends import table
from blockseg.inference.backends.openvino.vector_width import prefers_avx2
from blockseg.inference.backends.table import (
    BackendRow,
    available_backends,
    default_backend,
    make_backend,
    missing_backends,
)
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.inference.engine_evaluation import evaluate_beside
from blockseg.inference.parity import TOLERANCES, Agreement, agreement
from blockseg.inference.processor import processor
from blockseg.networks.bfloat16 import nearest, rounded_arrays, rounded_weights
from blockseg.networks.registry import build
from blockseg.networks.sdasn_arrays import folded_arrays, load_arrays
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo, load_info
from blockseg.testing.backends import FakeBackend

PLAIN = BackendSpec("fake", "", (32, 32, 32))
QUICK = replace(PLAIN, precision="bfloat16")


def described(folder, flags):
    info = folder / f"cpuinfo-{len(flags)}"
    lines = (
        "cpu family\t: 6",
        "model\t\t: 207",
        "model name\t: A Xeon",
        "stepping\t: 2",
    )
    said = "\n".join((*lines, f"flags\t\t: {flags}"))
    info.write_text(f"{said}\n\nprocessor\t: 1\nmodel name\t: Another\n")
    return info


@pytest.mark.parametrize(
    ("flags", "unit"),
    [
        ("fpu avx512f avx512_bf16 amx_tile amx_bf16", "amx"),
        ("fpu avx512f avx512_bf16 amx_tile", "avx512"),
        ("fpu avx512f amx_int8", ""),
    ],
)
def test_a_processor_says_what_multiplies_bfloat16(tmp_path, flags, unit):
    found = processor(described(tmp_path, flags))
    assert found.bfloat16 == unit
    assert found.tiles == (unit == "amx")
    assert found.kind == f"A Xeon (6.207.2.{unit or 'no bfloat16'})"


def test_a_system_that_says_nothing_of_its_processors_has_no_bfloat16(tmp_path):
    assert processor(tmp_path / "none").bfloat16 == ""


def test_rounding_to_the_nearest_is_that_of_torch():
    numbers = np.random.default_rng(0).standard_normal(9999).astype(np.float32)
    expected = torch.from_numpy(numbers).bfloat16().float().numpy()
    assert np.array_equal(nearest(numbers), expected)
    odd = np.array([np.nan, np.inf, -np.inf, 0.0], np.float32)
    assert np.array_equal(nearest(odd), odd, equal_nan=True)


@pytest.mark.parametrize("transposed", [False, True])
def test_each_weight_goes_to_one_of_the_two_numbers_around_it(transposed):
    weights = np.random.default_rng(1).standard_normal((4, 3, 3, 3, 3))
    found = rounded_weights(weights, transposed=transposed)
    assert found.shape == weights.shape
    assert np.array_equal(nearest(found), found)
    assert (np.abs(found - weights) < np.abs(weights) * 2**-7).all()
    assert not np.array_equal(found, nearest(weights))


def test_what_fits_already_stays_and_what_is_no_number_too():
    weights = nearest(np.random.default_rng(2).standard_normal((2, 2, 3, 3, 3)))
    assert np.array_equal(rounded_weights(weights), weights)
    weights[0, 0, 0, 0, 0] = np.nan
    assert np.isnan(rounded_weights(weights)[0, 0, 0, 0, 0])


def test_errors_of_a_kernel_cancel_where_a_map_is_smooth():
    weights = folded_arrays(load_arrays(default_weights()))["x00.1.weight"]
    axes = (2, 3, 4)
    plain = np.abs((nearest(weights) - weights).sum(axes)).mean()
    chosen = np.abs((rounded_weights(weights) - weights).sum(axes)).mean()
    assert chosen < plain / 4


def test_heads_and_biases_of_sdasn_keep_all_their_digits():
    arrays = folded_arrays(load_arrays(default_weights()))
    found = rounded_arrays(arrays)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        kernel = name.endswith("weight") and not name.startswith("head")
        assert np.array_equal(found[name], array) != kernel


def test_arrays_of_an_engine_in_bfloat16_are_float32():
    assert array_type("bfloat16") == "float32"
    assert array_type("float64") == "float64"


@pytest.mark.parametrize(
    ("found", "accepted"),
    [
        (Agreement(10**6, 0.1, 99, 0), True),
        (Agreement(10**6, 0.1, 100, 0), False),
        (Agreement(10**6, 0.1, 499, 10**5), True),
        (Agreement(10**6, 0.1, 500, 10**5), False),
        (Agreement(10**6, 0.3, 0, 10**5), False),
        (Agreement(1000, 0.1, 3, 0), True),
    ],
)
def test_masks_may_differ_in_a_ten_thousandth_or_half_a_percent_of_the_foreground(
    found, accepted
):
    problem = found.problem(TOLERANCES["bfloat16"], "openvino float32")
    assert (problem == "") == accepted
    assert accepted or "openvino float32" in problem


def test_foreground_of_the_reference_is_counted():
    p = np.array([0.1, 0.6, 0.9], np.float32)
    assert agreement(np.array([30, 30, 230], np.uint8), p, 128).foreground == 2


def samples():
    shape = (48, 48, 48)
    roi = Roi.whole(shape)
    raw = np.random.default_rng(0).integers(0, 900, shape).astype("u2")
    return [BlockInput(raw, roi, roi, shape)]


class Off(FakeBackend):
    """A fake whose probabilities are too high by a given amount."""

    def __init__(self, core, by):
        super().__init__(core)
        self._by = by

    def infer(self, tile, inside):
        return np.clip(super().infer(tile, inside) + np.float32(self._by), 0, 1)


def maker(by):
    def make(spec):
        off = by if spec.precision == "bfloat16" else 0.0
        return Engine(Off(spec.core, off), Affine(0.0, 900.0))

    return make


def test_an_engine_that_agrees_with_another_is_timed_as_that_one():
    ticks = iter([0.0, 4.0, 10.0, 12.0])
    base, judged = evaluate_beside(
        QUICK, PLAIN, maker(0.0), samples(), 128, lambda: next(ticks)
    )
    assert (base.precision, base.voxels_per_second) == ("float32", 48**3 / 4)
    assert (judged.precision, judged.voxels_per_second) == ("bfloat16", 48**3 / 2)
    assert (judged.why_not, judged.flips, judged.voxels) == ("", 0, 48**3)


def test_an_engine_that_is_off_is_refused_untimed_and_says_from_what_it_differs():
    ticks = itertools.count()
    _, judged = evaluate_beside(
        QUICK, PLAIN, maker(0.02), samples(), 128, lambda: next(ticks)
    )
    assert "the foreground differs from fake float32" in judged.why_not
    assert judged.voxels_per_second == 0
    assert next(ticks) == 2  # the reference was timed, and nothing else


def test_an_engine_that_cannot_be_built_is_a_row_like_any_other():
    def make(spec):
        if spec.precision == "bfloat16":
            message = "no\n such kernel"
            raise BackendError(message)
        return maker(0.0)(spec)

    base, judged = evaluate_beside(QUICK, PLAIN, make, samples(), 128)
    assert base.voxels_per_second > 0
    assert judged.why_not == "no such kernel"


def only_sdasn(monkeypatch, **given):
    row = BackendRow(
        "narrow",
        windows="blockseg.testing.backends:made",
        precisions=("float32", "bfloat16"),
        architectures=("sdasn",),
        **given,
    )
    monkeypatch.setattr(table, "_ROWS", (row, *table._ROWS))


def test_a_backend_of_one_network_is_no_choice_for_others(monkeypatch):
    only_sdasn(monkeypatch)
    assert default_backend("cpu", "sdasn") == "narrow"
    assert default_backend("cpu", "voxresnet") != "narrow"
    assert available_backends("sdasn", "bfloat16")[0] == "narrow"
    assert "narrow" not in available_backends("unet3d")


def test_what_is_missing_is_told_for_the_networks_that_it_runs(monkeypatch):
    only_sdasn(monkeypatch, library="no_such_library", extra="cpu")
    assert "narrow" in [row.name for row in missing_backends("sdasn")]
    assert "narrow" not in [row.name for row in missing_backends("voxresnet")]


def test_a_backend_refuses_weights_of_a_network_that_it_does_not_run(
    monkeypatch, tmp_path
):
    only_sdasn(monkeypatch)
    info = WeightsInfo("w", 1.0, width=2, architecture="unet3d")
    save_weights(tmp_path / "w.safetensors", build("unet3d", 2), info)
    spec = BackendSpec("narrow", str(tmp_path / "w.safetensors"), (32, 32, 32))
    with pytest.raises(ConfigError, match="backend narrow runs sdasn only, not unet3d"):
        make_backend(spec)


def test_bfloat16_is_refused_on_devices():
    spec = replace(QUICK, name="torch", device="cuda")
    with pytest.raises(ConfigError, match="--precision bfloat16 is for CPUs"):
        make_backend(spec)


needs_tiles = pytest.mark.skipif(
    not processor().bfloat16, reason="this CPU has no instructions for bfloat16"
)


@needs_tiles
@pytest.mark.parametrize("backend", ["openvino", "torch"])
@pytest.mark.parametrize("architecture", ["sdasn", "voxresnet", "unet3d"])
@pytest.mark.parametrize("edge", [False, True], ids=["inside", "at the edge"])
def test_every_network_in_bfloat16_is_near_float32(
    tmp_path, backend, architecture, edge
):
    if backend not in available_backends():
        pytest.skip("needs the extra cpu")
    weights = str(default_weights())
    if architecture != "sdasn":
        weights = str(tmp_path / "w.safetensors")
        torch.manual_seed(3)
        info = WeightsInfo("w", 1.0, width=4, architecture=architecture)
        save_weights(weights, build(architecture, 4).eval(), info)
    if backend == "openvino" and prefers_avx2(load_info(weights).width):
        spec = BackendSpec(backend, weights, (16, 16, 16), "bfloat16")
        with pytest.raises(BackendError, match="AVX2 has no bfloat16"):
            make_backend(spec)
        return
    found = {}
    for precision in ("float32", "bfloat16"):
        spec = BackendSpec(backend, weights, (16, 16, 16), precision)
        made = make_backend(spec)
        shape = tuple(n + 2 * made.field.reach for n in spec.core)
        tile = np.random.default_rng(4).standard_normal(shape).astype(np.float32)
        inside = None
        if edge:
            start = made.field.reach
            vector = (np.arange(shape[0]) >= start).astype(np.float32)
            inside = (vector, vector, vector)
            tile[:start] = tile[:, :start] = tile[:, :, :start] = 0
        found[precision] = made.infer(tile, inside).copy()
        made.close()
    assert found["bfloat16"].dtype == np.float32
    off = np.abs(found["bfloat16"] - found["float32"])
    assert 0 < off.max() < 0.2
    assert off.mean() < 0.01
