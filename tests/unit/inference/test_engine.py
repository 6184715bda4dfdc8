import threading
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blockseg.core.blocks import noting_advance
from blockseg.core.errors import GeometryError, WeightsError
from blockseg.core.geometry import Roi, Zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import Affine, BackendSpec
from blockseg.inference.backends.protocol import window_shape
from blockseg.inference.backends.table import available_backends, make_backend
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.networks.receptive_field import ALIGNMENT, REACH
from blockseg.testing.backends import FakeBackend

HALO = (REACH, REACH, REACH)
PLAIN = Affine(0.0, 1.0)


class Recorder(FakeBackend):
    """Remembers what it was asked, and gives one probability for all."""

    def __init__(self, core, answer=0.5):
        super().__init__(core)
        self.answer = np.float32(answer)
        self.calls = []
        self.closed = False

    def infer(self, tile, inside):
        copy = None if inside is None else [vector.copy() for vector in inside]
        self.calls.append((tile.copy(), copy))
        return np.full(self.core, self.answer)

    def close(self):
        self.closed = True


def fake_oracle(raw: NDArray[Any]) -> NDArray[Any]:
    """Return the fake's answer on the whole volume."""
    padded = np.pad(raw.astype("f4"), REACH)
    steps = [REACH * np.eye(3, dtype=int)[axis] for axis in range(3)]
    shifts = [0 * steps[0], *steps, *(-step for step in steps)]
    rois = [Roi.whole(raw.shape).shifted(shift + REACH) for shift in shifts]
    mean: NDArray[Any] = np.mean([padded[roi.slices()] for roi in rois], axis=0)
    return mean.clip(0, 1)


def block(write: Roi, shape: Zyx) -> tuple[Roi, Roi]:
    read = write.aligned(ALIGNMENT).grown(HALO).intersection(Roi.whole(shape))
    return read, write


def test_blocks_put_together_are_the_whole_volume():
    shape = (70, 41, 83)
    raw = np.random.default_rng(0).integers(0, 2, shape).astype("u2")
    engine = Engine(FakeBackend((16, 32, 12)), PLAIN)
    out = np.full(shape, 9.0)
    for part in BlockGrid(shape, (32, 32, 48), HALO, alignment=ALIGNMENT):
        voxels = raw[part.read_roi.slices()]
        out[part.write_roi.slices()] = engine.probability(
            BlockInput(voxels, part.read_roi, part.write_roi, shape)
        )
    assert abs(out - fake_oracle(raw)).max() < 1e-6


def test_windows_start_at_multiples_of_4_of_the_volume_not_of_the_block():
    shape = (120, 120, 120)
    raw = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    backend = Recorder((8, 8, 8))
    read, write = block(Roi((50, 53, 47), (54, 58, 60)), shape)
    Engine(backend, PLAIN).probability(
        BlockInput(raw[read.slices()], read, write, shape)
    )
    starts = {
        tuple(int(i) for i in np.argwhere(raw == tile[0, 0, 0])[0])
        for tile, _ in backend.calls
    }
    assert starts == {(48 - 32, 52 - 32, 44 - 32), (48 - 32, 52 - 32, 52 - 32)}


def test_a_window_inside_the_volume_is_all_data_and_needs_no_mask():
    shape = (80, 80, 80)
    raw = np.random.default_rng(0).normal(size=shape).astype("f4")
    backend = Recorder((8, 8, 8))
    read, write = block(Roi((36, 36, 36), (44, 44, 44)), shape)
    Engine(backend, Affine(2.0, 4.0)).probability(
        BlockInput(raw[read.slices()], read, write, shape)
    )
    ((tile, inside),) = backend.calls
    assert inside is None
    assert np.allclose(tile, (raw[4:76, 4:76, 4:76] - 2) / 4)


def test_a_window_at_the_edge_is_zero_beyond_and_masked_at_the_padded_shape():
    shape = (10, 80, 9)  # padded to 12, 80, 12
    raw = np.full(shape, 3, "u2")
    backend = Recorder((12, 8, 8))
    read, write = block(Roi((0, 32, 0), (10, 40, 8)), shape)
    Engine(backend, Affine(1.0, 1.0)).probability(
        BlockInput(raw[read.slices()], read, write, shape)
    )
    ((tile, inside),) = backend.calls
    assert tile.shape == window_shape((12, 8, 8))
    assert np.array_equal(np.argwhere(inside[0]).ravel(), np.arange(32, 44))
    assert inside[1].all()
    assert np.array_equal(np.argwhere(inside[2]).ravel(), np.arange(32, 44))
    # Padding up to a multiple of 4 is inside, but zero.
    assert np.all(tile[32:42, :, 32:41] == 2)
    assert tile.sum() == 2 * 10 * 72 * 9


def test_nothing_of_one_window_is_left_in_the_next():
    shape = (8, 8, 200)
    raw = np.full(shape, 7, "u2")
    backend = Recorder((8, 8, 8))
    engine = Engine(backend, PLAIN)
    for start in (96, 0, 192, 96):
        read, write = block(Roi((0, 0, start), (8, 8, start + 8)), shape)
        engine.probability(BlockInput(raw[read.slices()], read, write, shape))
        expected = np.pad(raw, REACH)[:, :, start : start + 72]
        assert np.array_equal(backend.calls[-1][0], expected)


@pytest.mark.parametrize(
    ("probability", "byte"),
    [
        (0.0, 0),
        (0.5 / 255, 0),  # half to even
        (1.5 / 255, 2),
        (0.49999, 127),
        (np.nextafter(np.float32(0.5), np.float32(0)), 127),
        (0.5, 128),
        (1.0, 255),
    ],
)
def test_bytes_are_rounded_half_to_even(probability, byte):
    engine = Engine(Recorder((4, 4, 4), probability), PLAIN)
    roi = Roi.whole((4, 4, 4))
    done = engine.segment(BlockInput(np.zeros((4, 4, 4), "u2"), roi, roi, (4, 4, 4)))
    assert done.probability.dtype == np.uint8
    assert np.unique(done.probability).tolist() == [byte]


def test_computed_voxels_include_windows_that_overhang():
    engine = Engine(Recorder((8, 8, 8)), PLAIN)
    roi = Roi.whole((9, 8, 3))
    done = engine.segment(BlockInput(np.zeros(roi.shape, "u2"), roi, roi, roi.shape))
    assert done.computed == 2 * 8**3
    assert done.probability.shape == (9, 8, 3)


def test_windows_of_a_block_are_told_as_shares_of_it():
    engine = Engine(Recorder((8, 8, 8)), PLAIN)
    roi = Roi.whole((32, 8, 8))
    told: list[float] = []
    given = BlockInput(np.zeros(roi.shape, "u2"), roi, roi, roi.shape)
    with noting_advance(told.append):
        engine.segment(given)
    engine.segment(given)
    assert sorted(told) == [0.25, 0.5, 0.75, 1.0]


def test_voxels_that_are_not_finite_are_counted_where_written_and_are_background():
    shape = (8, 8, 80)
    raw = np.ones(shape, "f4")
    raw[0, 0, 8], raw[0, 0, 9], raw[0, 0, 20] = np.nan, np.inf, -np.inf
    backend = Recorder((8, 8, 8))
    read, write = block(Roi((0, 0, 8), (8, 8, 16)), shape)
    done = Engine(backend, Affine(-1.0, 1.0)).segment(
        BlockInput(raw[read.slices()], read, write, shape)
    )
    assert done.nonfinite == 2
    tile = backend.calls[0][0]
    assert np.isfinite(tile).all()
    assert np.count_nonzero(tile) == 8 * 8 * 48 - 3


def test_integers_have_no_voxels_that_are_not_finite():
    roi = Roi.whole((4, 4, 4))
    engine = Engine(Recorder((4, 4, 4)), PLAIN)
    done = engine.segment(BlockInput(np.zeros((4, 4, 4), "u1"), roi, roi, roi.shape))
    assert done.nonfinite == 0


def test_regions_that_do_not_fit_each_other_are_refused():
    raw = np.zeros((4, 4, 4), "u2")
    small, large = Roi.whole((4, 4, 4)), Roi.whole((8, 4, 4))
    with pytest.raises(GeometryError, match=r"shape \(4, 4, 4\) cannot be those"):
        BlockInput(raw, large, small, (8, 8, 8))
    with pytest.raises(GeometryError, match="must lie inside"):
        BlockInput(raw, small, large, (8, 8, 8))
    with pytest.raises(GeometryError, match="must lie inside"):
        BlockInput(raw, small.shifted((4, 4, 5)), small, (8, 8, 8))


def test_closing_the_engine_closes_its_backend():
    backend = Recorder((4, 4, 4))
    Engine(backend, PLAIN).close()
    assert backend.closed


def test_threads_that_share_an_engine_do_not_disturb_each_other():
    shape = (40, 40, 40)
    rng = np.random.default_rng(0)
    volumes = [rng.integers(0, 2, shape).astype("u2") for _ in range(4)]
    engine = Engine(FakeBackend((8, 20, 40)), PLAIN)
    roi = Roi.whole(shape)
    results = [None] * 4

    def work(number):
        for _ in range(5):
            results[number] = engine.probability(
                BlockInput(volumes[number], roi, roi, shape)
            )

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for volume, result in zip(volumes, results, strict=True):
        assert abs(result - fake_oracle(volume)).max() < 1e-6


@pytest.mark.parametrize("name", ["torch", "openvino", "llvm"])
def test_windows_of_one_shape_agree_bit_for_bit_wherever_they_start(weights_file, name):
    if name not in available_backends():
        pytest.skip(f"{name} is not installed")
    shape = (88, 88, 88)
    raw = np.random.default_rng(0).integers(100, 300, shape).astype("u2")
    backend = make_backend(BackendSpec(name, str(weights_file), (12, 12, 12)))
    engine = Engine(backend, Affine(200.0, 50.0))
    results = []
    for start in (36, 40):
        read, write = block(Roi((36, start, 36), (48, start + 12, 48)), shape)
        results.append(
            engine.probability(BlockInput(raw[read.slices()], read, write, shape))
        )
    engine.close()
    low, high = results
    assert low.std() > 0.05
    assert np.array_equal(low[:, 4:], high[:, :-4])


def test_a_window_of_which_whole_slabs_lie_beyond_its_block_counts_once(weights_file):
    shape = (160, 40, 40)
    raw = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    read, write = block(Roi((32, 0, 0), (48, 40, 40)), shape)
    found = {}
    for name in set(available_backends()) - {"fake"}:
        spec = BackendSpec(name, str(weights_file), core=(96, 40, 40))
        with closing(Engine(make_backend(spec), PLAIN)) as engine:
            done = engine.segment(BlockInput(raw[read.slices()], read, write, shape))
        assert done.computed == 96 * 40 * 40, name
        found[name] = done.probability
    assert found["torch"].any()
    for name, probability in found.items():
        assert np.abs(probability.astype(int) - found["torch"]).max() <= 1, name


def test_windows_inside_of_the_volume_come_before_those_at_its_edge():
    recorder = Recorder((8, 8, 8))
    raw = np.zeros((96, 96, 96), np.uint16)
    block = Roi((24, 24, 24), (40, 40, 40))
    Engine(recorder, PLAIN).segment(
        BlockInput(raw, Roi.whole(raw.shape), block, raw.shape)
    )
    edges = [inside is not None for _, inside in recorder.calls]
    assert edges == [False] + [True] * 7


@pytest.mark.parametrize("way", ["probability", "segment"])
def test_an_answer_that_is_no_number_is_not_taken_for_nothing(way):
    class Broken(Recorder):
        def infer(self, tile, inside):
            answer = super().infer(tile, inside)
            answer[3, 2, 1] = np.nan
            return answer

    engine = Engine(Broken((8, 8, 8)), PLAIN)
    roi = Roi.whole((16, 8, 8))
    with pytest.raises(WeightsError, match=r"NaN for 1 of 512 voxels at 0:8,0:8,0:8"):
        getattr(engine, way)(BlockInput(np.zeros(roi.shape, "u2"), roi, roi, roi.shape))
