import itertools
from dataclasses import replace

import numpy as np
import pytest

from blockseg.core.errors import (
    BackendError,
    ConfigError,
    DeviceMemoryError,
    MissingExtraError,
)
from blockseg.core.geometry import Roi, Zyx
from blockseg.core.specs import Affine, BackendSpec
from blockseg.inference.backends.device.engine import ByteEngine
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine_evaluation import (
    EngineEvaluation,
    evaluate_engine,
    fastest,
)
from blockseg.inference.parity import (
    TOLERANCES,
    Agreement,
    Tolerance,
    agreement,
    reference_probability,
    reference_spec,
)
from blockseg.inference.window_memory import halved
from blockseg.networks.receptive_field import ALIGNMENT
from blockseg.testing.backends import FakeBackend
from blockseg.testing.devices import FakeByteBackend, FakeDevice

SPEC = BackendSpec("fake", "", (64, 32, 32), "float16", device="cuda")
BY = Affine(100.0, 900.0)


def samples(count=2):
    shape = (64, 48, 32)
    roi = Roi.whole(shape)
    rng = np.random.default_rng(0)
    return [
        BlockInput(rng.integers(0, 900, shape).astype("u2"), roi, roi, shape)
        for _ in range(count)
    ]


class Maker:
    """Builds fakes that suffer, and remembers their windows."""

    def __init__(self, **suffers):
        self.device = FakeDevice(**suffers)
        self.built = []

    def __call__(self, spec):
        self.built.append(spec.core)
        return ByteEngine(FakeByteBackend(FakeBackend(spec.core), BY, self.device))


def wanted(some):
    return reference_probability(reference_spec(SPEC), BY, some)


def test_bytes_that_are_only_rounded_differ_by_nothing():
    p = np.linspace(0, 1, 9999, dtype=np.float32)
    found = np.rint(p * np.float32(255)).astype(np.uint8)
    assert agreement(found, p, 128) == Agreement(9999, 0.0, 0, 5000)


def test_a_difference_is_what_rounding_does_not_explain():
    p = np.full(8, 100 / 255, np.float32)
    found = np.full(8, 100, np.uint8)
    found[3] = 103
    got = agreement(found, p, 102)
    assert got.difference == pytest.approx(2.5 / 255, abs=1e-6)
    assert got.flips == 1
    low = agreement(np.zeros(8, np.uint8), p, 102)  # unsigned bytes do not wrap
    assert low.difference == pytest.approx(99.5 / 255, abs=1e-6)


def test_parts_add_up():
    total = Agreement(10, 0.2, 3) + Agreement(5, 0.1, 4)
    assert total == Agreement(15, 0.2, 7)


@pytest.mark.parametrize(
    ("found", "fails"),
    [
        (Agreement(10**6, 0.01, 99), ""),
        (Agreement(10**6, 0.0101, 0), "differ from torch float32 by up to 0.01"),
        (Agreement(10**6, float("nan"), 0), "differ from torch float32"),
        (Agreement(10**6, 0.0, 100), "in 100 of 1,000,000 sampled voxels"),
        (Agreement(1000, 0.0, 3), ""),  # three are never too many
        (Agreement(1000, 0.0, 4), "in 4 of 1,000 sampled voxels"),
    ],
)
def test_what_is_too_much_is_said_in_one_line(found, fails):
    problem = found.problem(Tolerance(0.01))
    assert fails in problem
    assert bool(problem) == bool(fails)


def test_half_precision_may_be_off_by_a_hundredth_and_float32_by_a_tenth_of_that():
    assert TOLERANCES["float16"] == Tolerance(0.01, 1e-4)
    assert TOLERANCES["float32"] == Tolerance(0.001, 1e-4)


def test_an_engine_that_agrees_is_timed_without_its_first_time():
    some = samples()
    ticks = itertools.count(step=2)
    make = Maker()
    got = evaluate_engine(
        SPEC, ALIGNMENT, make, some, wanted(some), 128, lambda: next(ticks)
    )
    voxels = 2 * 64 * 48 * 32
    assert got == EngineEvaluation(
        "fake", "float16", "cuda", (64, 32, 32), voxels_per_second=voxels / 2,
        difference=0.0, flips=0, voxels=voxels,
    )  # fmt: skip
    assert make.built == [(64, 32, 32)]


def test_an_engine_that_is_off_is_not_timed():
    some = samples()
    got = evaluate_engine(
        SPEC, ALIGNMENT, Maker(error=0.05), some, wanted(some), 128, lambda: 1 / 0
    )
    assert "differ from torch float32 by up to 0.05" in got.why_not
    assert got.voxels_per_second == 0
    assert got.difference == pytest.approx(0.05, abs=0.002)


def test_an_engine_without_memory_gets_smaller_windows_and_says_so():
    some = samples()
    make = Maker(memory=96**3)
    got = evaluate_engine(SPEC, ALIGNMENT, make, some, wanted(some), 128)
    assert make.built == [(64, 32, 32), (32, 32, 32)]
    assert (got.why_not, got.window) == ("", (32, 32, 32))
    assert "too little memory for a window of (128, 96, 96)" in got.short


def test_an_engine_for_which_the_smallest_window_is_too_large_is_not_used():
    some = samples()
    got = evaluate_engine(SPEC, ALIGNMENT, Maker(memory=1), some, wanted(some), 128)
    assert "too little memory for a window of (96, 96, 96)" in got.why_not


@pytest.mark.parametrize(
    ("error", "unsuited"),
    [
        (MissingExtraError("TensorRT", "tensorrt"), True),
        (ConfigError("only SDASN"), True),
        (BackendError("no engine"), False),
        (RuntimeError("CUDA error:\n an illegal access"), False),
    ],
)
def test_why_an_engine_cannot_be_built_is_kept_in_one_line(error, unsuited):
    def make(_):
        raise error

    got = evaluate_engine(SPEC, ALIGNMENT, make, [], [], 128)
    assert got.why_not == " ".join(str(error).split())
    assert got.unsuited == unsuited


def test_the_fastest_that_may_be_used_is_taken_the_first_of_equals():
    slow = EngineEvaluation("a", "float16", "cuda", (32,) * 3, voxels_per_second=1.0)
    fast = replace(slow, backend="b", voxels_per_second=2.0)
    wrong = replace(slow, backend="c", voxels_per_second=9.0, why_not="wrong")
    assert fastest([slow, fast, wrong, replace(fast, backend="d")]) == fast
    assert fastest([wrong]) is None


def test_the_reference_is_torch_in_float32_on_the_same_device():
    spec = BackendSpec("tensorrt", "w", (256,) * 3, "float16", device="cuda")
    expected = BackendSpec("torch", "w", (96,) * 3, "float32", device="cuda")
    assert reference_spec(spec) == expected


def test_the_reference_takes_smaller_windows_where_memory_is_short():
    some = samples(1)
    cores = []

    def make(spec):
        cores.append(spec.core)
        if spec.core[0] > 32:
            message = "too little"
            raise DeviceMemoryError(message)
        return FakeBackend(spec.core)

    spec = BackendSpec("torch", "", (64, 32, 32))
    (p,) = reference_probability(spec, BY, some, make)
    assert cores == [(64, 32, 32), (32, 32, 32)]
    assert np.array_equal(p, wanted(some)[0])


def test_a_device_too_small_for_the_references_smallest_window_is_told():
    def never(_):
        message = "too little"
        raise DeviceMemoryError(message)

    with pytest.raises(DeviceMemoryError, match="too little"):
        reference_probability(BackendSpec("torch", "", (64,) * 3), BY, [], never)


@pytest.mark.parametrize(
    ("core", "alignment", "smaller"),
    [
        ((256, 128, 256), 4, (128, 128, 256)),
        ((76, 32, 32), 8, (40, 32, 32)),
        ((36, 36, 36), 4, (32, 36, 36)),
        ((32, 32, 32), 4, None),
        ((16, 8, 4), 4, None),
    ],
)
def test_the_longest_edge_is_halved_to_a_multiple_and_not_below_32(
    core, alignment, smaller
):
    assert halved(core, alignment) == smaller


def test_halving_ends():
    core: Zyx | None = (320, 256, 512)
    steps = 0
    while core is not None:
        core = halved(core, 8)
        steps += 1
        assert steps < 20
