import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from blockseg.core.errors import (
    BackendError,
    DeviceLostError,
    GeometryError,
    MissingExtraError,
)
from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, BackendSpec
from blockseg.inference.backends.device.engine import ByteEngine
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.inference.fallback import FallbackEngine
from blockseg.networks.receptive_field import ALIGNMENT
from blockseg.testing.backends import FakeBackend
from blockseg.testing.devices import FakeByteBackend, FakeDevice

BY = Affine(100.0, 900.0)
SHAPE = (64, 32, 32)
ROI = Roi.whole(SHAPE)
RAW = np.random.default_rng(0).integers(0, 900, SHAPE).astype("u2")
FIRST = BackendSpec("tensorrt", "", SHAPE, "float16", device="cuda")
SECOND = BackendSpec("torch", "", SHAPE, "float16", device="cuda")


class Maker:
    """Builds fakes, and knows what it built."""

    def __init__(self, **devices):
        self.devices = devices
        self.built = []
        self.open = 0

    def __call__(self, spec):
        self.built.append((spec.name, spec.core))
        device = self.devices.get(spec.name, FakeDevice())
        if isinstance(device, Exception):
            raise device
        engine = ByteEngine(FakeByteBackend(FakeBackend(spec.core), BY, device))
        self.open += 1
        close = engine.close

        def closed():
            self.open -= 1
            close()

        engine.close = closed  # type: ignore[method-assign]
        return engine


def segmented(engine):
    return engine.segment(BlockInput(RAW, ROI, ROI, SHAPE))


@pytest.fixture(scope="module")
def expected():
    return (
        Engine(FakeBackend(SHAPE), BY)
        .segment(BlockInput(RAW, ROI, ROI, SHAPE))
        .probability
    )


def test_an_engine_that_works_leaves_no_note(expected):
    make = Maker()
    engine = FallbackEngine([FIRST, SECOND], ALIGNMENT, make)
    done = segmented(engine)
    engine.close()
    assert np.array_equal(done.probability, expected)
    assert (done.note, engine.depth) == ("", 2)
    assert make.built == [("tensorrt", SHAPE)]
    assert make.open == 0


def test_a_window_that_does_not_fit_is_halved_and_the_block_says_so(expected):
    make = Maker(tensorrt=FakeDevice(memory=96**3))
    engine = FallbackEngine([FIRST, SECOND], ALIGNMENT, make)
    done = segmented(engine)
    assert np.array_equal(done.probability, expected)
    assert done.note == (
        "computed by tensorrt float16 with windows of 32×32×32: the fake device has too "
        "little memory for a window of (128, 96, 96) voxels; choose a smaller --window"
    )
    assert segmented(engine).note == done.note
    assert make.built == [("tensorrt", SHAPE), ("tensorrt", (32, 32, 32))]
    engine.close()
    assert make.open == 0


def test_threads_that_run_out_of_memory_together_halve_it_once(expected):
    make = Maker(tensorrt=FakeDevice(memory=96**3))
    engine = FallbackEngine([FIRST], ALIGNMENT, make)
    start = threading.Barrier(4)

    def work(_):
        start.wait(300)
        return segmented(engine)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(work, range(4)))
    engine.close()
    assert all(np.array_equal(one.probability, expected) for one in done)
    assert len({one.note for one in done}) == 1
    assert make.built == [("tensorrt", SHAPE), ("tensorrt", (32, 32, 32))]
    assert make.open == 0


def test_an_engine_without_memory_for_the_smallest_window_gives_way_to_the_next(
    expected,
):
    make = Maker(tensorrt=FakeDevice(memory=1))
    engine = FallbackEngine([FIRST, SECOND], ALIGNMENT, make)
    done = segmented(engine)
    engine.close()
    assert np.array_equal(done.probability, expected)
    assert "computed by torch float16 with windows of 64×32×32" in done.note
    assert [name for name, _ in make.built] == ["tensorrt", "tensorrt", "torch"]


def test_a_device_without_memory_for_any_engine_is_lost():
    small = FakeDevice(memory=1)
    engine = FallbackEngine(
        [FIRST, SECOND], ALIGNMENT, Maker(tensorrt=small, torch=small)
    )
    for _ in range(2):
        with pytest.raises(DeviceLostError, match="tensorrt float16: the fake device"):
            segmented(engine)


def test_an_engine_that_is_not_accepted_gives_way_to_the_next(expected):
    asked = []

    def accepts(_, spec):
        asked.append(spec.name)
        return "it is off by 0.3" if spec.name == "tensorrt" else ""

    make = Maker()
    engine = FallbackEngine([FIRST, SECOND], ALIGNMENT, make, accepts)
    done = segmented(engine)
    engine.close()
    assert asked == ["tensorrt", "torch"]
    assert done.note == (
        "computed by torch float16 with windows of 64×32×32: it is off by 0.3"
    )
    assert np.array_equal(done.probability, expected)
    assert make.open == 0


def test_an_engine_that_runs_out_of_memory_while_it_is_judged_gets_smaller_windows():
    def accepts(engine, _):
        segmented(engine)
        return ""

    make = Maker(tensorrt=FakeDevice(memory=96**3))
    engine = FallbackEngine([FIRST], ALIGNMENT, make, accepts)
    assert engine.spec.core == (32, 32, 32)
    engine.close()
    assert make.open == 0


def test_what_is_not_installed_gives_way_to_the_next_and_alone_is_told():
    missing = MissingExtraError("TensorRT", "tensorrt")
    engine = FallbackEngine([FIRST, SECOND], ALIGNMENT, Maker(tensorrt=missing))
    assert "TensorRT is not installed" in segmented(engine).note
    engine.close()
    with pytest.raises(BackendError, match=r"pip install 'blockseg\[tensorrt\]'"):
        FallbackEngine([FIRST], ALIGNMENT, Maker(tensorrt=missing))


def test_a_device_that_fails_is_never_used_again(tmp_path):
    (tmp_path / "breaks").touch()
    device = FakeDevice(breaks=str(tmp_path / "breaks"))
    make = Maker(tensorrt=device)
    engine = FallbackEngine([FIRST, SECOND], ALIGNMENT, make)
    for _ in range(2):
        with pytest.raises(
            DeviceLostError, match=r"the device of tensorrt failed: the"
        ):
            segmented(engine)
    assert len(make.built) == 1
    engine.close()


def test_an_error_of_some_library_counts_as_the_devices_and_ours_do_not():
    engine = FallbackEngine([FIRST], ALIGNMENT, Maker())
    segment = engine._engine.segment

    def ours(_):
        message = "ROI must lie inside"
        raise GeometryError(message)

    engine._engine.segment = ours  # type: ignore[method-assign]
    with pytest.raises(GeometryError):
        segmented(engine)

    def fails(_):
        message = "CUDA error: an illegal memory access\nwas encountered"
        raise RuntimeError(message)

    engine._engine.segment = fails  # type: ignore[method-assign]
    with pytest.raises(DeviceLostError, match="illegal memory access was encountered"):
        segmented(engine)
    engine._engine.segment = segment  # type: ignore[method-assign]
    engine.close()
