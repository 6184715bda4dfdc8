import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from blockseg.core.errors import BackendError, ConfigError, DeviceMemoryError
from blockseg.core.geometry import Roi, Zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import Affine, BackendSpec
from blockseg.inference.backends.device.engine import ByteEngine
from blockseg.inference.backends.table import make_byte_backend, takes_bytes
from blockseg.inference.block_input import BlockInput, InferenceMask
from blockseg.inference.engine import Engine
from blockseg.inference.make_engine import make_engine
from blockseg.networks.receptive_field import ALIGNMENT, REACH
from blockseg.testing.backends import FakeBackend
from blockseg.testing.devices import FakeByteBackend, FakeDevice

HALO = (REACH, REACH, REACH)
BY = Affine(100.0, 900.0)
CORE = (16, 32, 12)


def noise(shape, dtype="u2"):
    return np.random.default_rng(0).integers(0, 250, shape).astype(dtype)


def fake(core: Zyx = CORE, **suffers: Any) -> Any:
    return FakeByteBackend(FakeBackend(core), BY, FakeDevice(**suffers))


def segmented(engine: Any, raw: Any, grid: Any, wanted: Any = None) -> Any:
    out = np.zeros(raw.shape, np.uint8)
    computed = 0
    for block in grid:
        part = None
        if wanted is not None:
            part = InferenceMask(wanted[block.write_roi.slices()])
        done = engine.segment(
            BlockInput(
                raw[block.read_roi.slices()],
                block.read_roi,
                block.write_roi,
                raw.shape,
                part,
            )
        )
        out[block.write_roi.slices()] = done.probability
        computed += done.computed
    return out, computed


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2"])
def test_bytes_are_those_of_the_engine_that_computes_probabilities(dtype):
    raw = noise((50, 41, 37), dtype)
    grid = BlockGrid(raw.shape, (32, 32, 48), HALO, alignment=ALIGNMENT)
    wanted, computed = segmented(Engine(FakeBackend(CORE), BY), raw, grid)
    engine = ByteEngine(fake())
    found = segmented(engine, raw, grid)
    engine.close()
    assert len(np.unique(wanted)) > 10
    assert np.array_equal(found[0], wanted)
    assert found[1] == computed


def test_only_windows_with_wanted_voxels_are_inferred():
    raw = noise((32, 32, 64))
    grid = BlockGrid(raw.shape, (32, 32, 64), HALO, alignment=ALIGNMENT)
    wanted = np.zeros(raw.shape, bool)
    wanted[3:9, 5, 40:50] = True
    expected = segmented(Engine(FakeBackend(CORE), BY), raw, grid, wanted)
    engine = ByteEngine(fake())
    found, computed = segmented(engine, raw, grid, wanted)
    nothing, none_computed = segmented(engine, raw, grid, np.zeros(raw.shape, bool))
    engine.close()
    assert np.array_equal(found, expected[0])
    assert computed == expected[1] == 2 * 16 * 32 * 12
    assert found[wanted].any()
    assert not found[~wanted].any()
    assert (nothing.any(), none_computed) == (False, 0)


def test_a_halo_that_is_too_short_is_background_like_in_the_other_engine():
    raw = noise((48, 48, 48))
    grid = BlockGrid(raw.shape, (16, 16, 16), (8, 8, 8), alignment=ALIGNMENT)
    engine = ByteEngine(fake((16, 16, 16)))
    found, _ = segmented(engine, raw, grid)
    engine.close()
    wanted, _ = segmented(Engine(FakeBackend((16, 16, 16)), BY), raw, grid)
    assert np.array_equal(found, wanted)


def test_blocks_of_several_threads_share_one_stream():
    raw = noise((64, 32, 48))
    blocks = list(BlockGrid(raw.shape, (16, 32, 48), HALO, alignment=ALIGNMENT))
    wanted, _ = segmented(Engine(FakeBackend(CORE), BY), raw, blocks)
    device = fake()
    calls: list[int] = []
    stream = device.stream
    entered, go = threading.Event(), threading.Event()

    def watched(windows):
        calls.append(len(calls))
        entered.set()
        go.wait(300)
        yield from stream(windows)

    device.stream = watched
    engine = ByteEngine(device)
    out = np.zeros(raw.shape, np.uint8)

    def work(block):
        done = engine.segment(
            BlockInput(
                raw[block.read_roi.slices()], block.read_roi, block.write_roi, raw.shape
            )
        )
        out[block.write_roi.slices()] = done.probability

    threads = [threading.Thread(target=work, args=(block,)) for block in blocks]
    for thread in threads:
        thread.start()
    entered.wait(300)
    while len(engine._jobs) < len(blocks):
        threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join()
    engine.close()
    assert np.array_equal(out, wanted)
    assert calls == [0]


def test_windows_are_asked_for_before_the_results_of_those_before_them():
    raw = noise((16, 32, 60))
    roi = Roi.whole(raw.shape)
    device = fake()
    asked: list[int] = []
    given: list[Any] = []
    stream = device.stream

    def watched(windows):
        def counted():
            for window in windows:
                asked.append(len(given))
                yield window

        for part in stream(counted()):
            given.append(part)
            yield part

    device.stream = watched
    engine = ByteEngine(device)
    engine.segment(BlockInput(raw, roi, roi, raw.shape))
    engine.close()
    assert asked == [0, 0, 0, 1, 2]
    assert all(a is b for a, b in pairwise(given))  # results lie in one buffer


def test_what_a_device_fails_with_reaches_whoever_waits_and_later_blocks_go_on():
    raw = noise((16, 32, 24))
    roi = Roi.whole(raw.shape)
    device = fake(memory=1)
    engine = ByteEngine(device)
    for _ in range(2):
        with pytest.raises(DeviceMemoryError, match="smaller --window"):
            engine.segment(BlockInput(raw, roi, roi, raw.shape))
    device._device = FakeDevice()
    wanted = Engine(FakeBackend(CORE), BY).segment(BlockInput(raw, roi, roi, raw.shape))
    again = engine.segment(BlockInput(raw, roi, roi, raw.shape))
    engine.close()
    assert np.array_equal(again.probability, wanted.probability)


def test_a_backend_that_swallows_windows_is_told():
    raw = noise((16, 32, 24))
    roi = Roi.whole(raw.shape)
    device = fake()
    device.stream = lambda windows: iter(list(windows)[:0])
    engine = ByteEngine(device)
    with pytest.raises(BackendError, match="no result for 2 windows"):
        engine.segment(BlockInput(raw, roi, roi, raw.shape))
    engine.close()


def test_a_closed_engine_refuses_blocks():
    roi = Roi.whole((16, 32, 12))
    engine = ByteEngine(fake())
    engine.close()
    with pytest.raises(BackendError, match="was closed"):
        engine.segment(BlockInput(noise(roi.shape), roi, roi, roi.shape))


def test_engines_of_a_device_take_grey_levels_and_all_others_windows(monkeypatch):
    monkeypatch.setenv("BLOCKSEG_FAKE_DEVICE", "memory=7,error=0.5,seconds=0.25")
    spec = BackendSpec("fake", "", CORE, device="cuda")
    assert takes_bytes(spec)
    assert not takes_bytes(BackendSpec("fake", "", CORE))
    assert not takes_bytes(BackendSpec("torch", "", CORE, device="cuda"))
    assert takes_bytes(BackendSpec("torch", "", CORE, "float16", device="cuda"))
    engine = make_engine(spec, BY, np.uint16)
    assert isinstance(engine, ByteEngine)
    assert isinstance(engine.backend, FakeByteBackend)
    assert engine.backend._device == FakeDevice(memory=7, error=0.5, seconds=0.25)
    engine.close()
    plain = make_engine(BackendSpec("fake", "", CORE), BY, np.float32)
    assert isinstance(plain, Engine)


def test_what_a_device_cannot_take_is_refused_in_one_line(monkeypatch):
    spec = BackendSpec("fake", "", CORE, device="cuda")
    with pytest.raises(ConfigError, match="takes uint8 and uint16, not int16"):
        make_engine(spec, BY, np.int16)
    monkeypatch.setenv("BLOCKSEG_FAKE_DEVICE", "memory=much")
    with pytest.raises(ConfigError, match="'memory=much' cannot be read"):
        make_byte_backend(spec, BY)


def test_a_device_that_is_told_to_break_breaks_once(tmp_path):
    raw = noise((16, 32, 12))
    roi = Roi.whole(raw.shape)
    file = tmp_path / "breaks"
    file.touch()
    engine = ByteEngine(fake(breaks=str(file)))
    with pytest.raises(BackendError, match="broke"):
        engine.segment(BlockInput(raw, roi, roi, raw.shape))
    assert engine.segment(BlockInput(raw, roi, roi, raw.shape)).probability.any()
    engine.close()


def test_a_slow_device_waits_for_each_window():
    raw = noise((16, 32, 24))
    roi = Roi.whole(raw.shape)
    waited: list[float] = []
    device = FakeDevice(seconds=3.0)
    backend = FakeByteBackend(FakeBackend(CORE), BY, device, waited.append)
    engine = ByteEngine(backend)
    engine.segment(BlockInput(raw, roi, roi, raw.shape))
    engine.close()
    assert waited == [3.0, 3.0]
