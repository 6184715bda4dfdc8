from collections import deque

import msgpack  # type: ignore[import-untyped,unused-ignore]
import numpy as np
import pytest

from blockseg.core.blocks import BlockReport
from blockseg.dhpr.block_metrics import SHOWN, block_metrics
from blockseg.dhpr.cubes import HISTOGRAMS, SUMS, CubeTable
from blockseg.dhpr.grey_scale import CODES, GreyScale
from blockseg.dhpr.metrics import dhpr_metrics
from blockseg.runtime.board import METRICS, Board, Shown
from blockseg.runtime.dask.pages.changes import changes_from, changes_to_plain
from blockseg.runtime.events import BlockDone, BlockFailed, BlockRetried, WorkerLost


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def board(counts=(2, 3, 4), earlier=(0, 1)):
    ids = np.arange(np.prod(counts))
    made = Board(clock=Clock())
    made.begin("segment", counts, ids, np.setdiff1d(ids, earlier))
    return made


def done(number, **facts):
    return BlockDone("segment", BlockReport(number, **facts))


def test_a_block_is_where_the_driver_says():
    made = board()
    made.handed_out([2, 3, 4, 5])
    made.take(
        done(2, written=64, foreground=16, seconds=(("read", 1.0), ("infer", 2.0)))
    )
    made.take(BlockRetried("segment", BlockReport(3, error="no"), 1))
    made.take(BlockFailed("segment", BlockReport(4, error="never"), 3))
    made.put_back([5])
    states = made.states.reshape(-1)
    assert states[:7].tolist() == [
        Shown.EARLIER, Shown.EARLIER, Shown.DONE, Shown.PENDING, Shown.FAILED,
        Shown.PENDING, Shown.PENDING,
    ]  # fmt: skip
    assert (made.done, made.left, made.total) == (3, 20, 24)
    assert made.metrics["foreground"][2] == 0.25
    assert made.metrics["seconds"][2] == 3
    (failed,) = made.failures
    assert (failed.block, failed.error) == ("segment z0000-y0001-x0000", "never")


def test_blocks_that_the_run_leaves_out_are_no_part_of_the_map():
    made = Board()
    made.begin("segment", (1, 2, 2), np.array([0, 3]), np.array([3]))
    assert made.plane(0, 128).tolist() == [
        [Shown.EARLIER, Shown.OUTSIDE], [Shown.OUTSIDE, Shown.PENDING],
    ]  # fmt: skip


@pytest.mark.parametrize("most", [1, 3, 4, 7, 300])
def test_a_cell_of_several_blocks_says_what_is_in_it(most):
    rng = np.random.default_rng(most)
    made = Board()
    shape = (1, 23, 31)
    ids = np.arange(np.prod(shape))
    made.begin("segment", shape, ids, ids)
    few = [Shown.OUTSIDE, Shown.PENDING, Shown.EARLIER, Shown.DONE]
    made.states[:] = rng.choice([*few * 12, Shown.RUNNING, Shown.FAILED], shape)
    for name in METRICS:
        made.metrics[name][:] = rng.random(ids.shape)
        made.metrics[name][rng.random(ids.shape) < 0.5] = np.nan
    shown, mean = made.plane(0, most), made.metric_plane(0, "seconds", most)
    assert max(shown.shape) <= most
    y, x = (-(-n // min(most, n)) for n in shape[1:])
    y, x = -(-shape[1] // most), -(-shape[2] // most)
    values = made.metrics["seconds"].reshape(shape)[0]
    for row, column in np.ndindex(*shown.shape):
        at = np.s_[row * y : (row + 1) * y, column * x : (column + 1) * x]
        inside, waits = (
            set(made.states[0][at].flat),
            Shown.PENDING in made.states[0][at],
        )
        written = inside & {Shown.DONE, Shown.EARLIER}
        for state in (Shown.FAILED, Shown.RUNNING):
            if state in inside:
                expected = state
                break
        else:
            expected = Shown.OUTSIDE
            if waits:
                expected = Shown.PARTLY if written else Shown.PENDING
            elif written:
                expected = Shown.DONE if Shown.DONE in inside else Shown.EARLIER
        assert shown[row, column] == expected
        known = values[at][np.isfinite(values[at])]
        if known.size:
            np.testing.assert_allclose(mean[row, column], known.mean(), rtol=1e-5)
        else:
            assert np.isnan(mean[row, column])


def test_the_map_of_a_million_blocks_is_small():
    counts = (10, 250, 400)
    made = board(counts, earlier=())
    assert made.states.size == 10**6
    assert made.plane(5, 128).nbytes <= 128 * 128
    assert made.metric_plane(5, "seconds", 128).nbytes <= 4 * 128 * 128


def test_pace_and_time_left_are_those_of_the_last_minute():
    made = board(earlier=())
    for number in range(12):
        made.clock.now += 10
        made.take(done(number, written=1000))
    blocks, voxels = made.rates()
    assert blocks == pytest.approx(0.1)
    assert voxels == pytest.approx(100)
    assert made.remaining() == pytest.approx(120)


def test_what_workers_did_and_which_died_is_kept():
    made = board()
    reports = [BlockReport(2, seconds=(("read", 1.0), ("infer", 3.0))), BlockReport(3)]
    made.worked("tcp://a", reports, queued=0.5)
    made.worked("tcp://a", reports[:1])
    made.take(WorkerLost("tcp://b", 1))
    sums = made.workers["tcp://a"]
    assert sums.blocks == 3
    assert dict(sums.seconds) == {"queue": 0.5, "read": 2.0, "infer": 6.0}
    assert made.workers["tcp://b"].lost
    assert made.seconds["segment", "infer"] == 6


def test_the_history_of_a_phase_reaches_from_its_begin_to_now_and_stays_small():
    made = board((1, 1, 5000), earlier=())
    for number in range(5000):
        made.clock.now += 20
        made.take(done(number, written=10))
    times = [mark[0] for mark in made.history]
    assert times[0] == 0
    assert times[-1] >= 0.99 * made.clock.now
    assert 300 < len(times) <= 1201
    assert made.history[-1][2] == 10 * made.history[-1][1]


def counted_block(rng):
    """Return the counts of a block of two cubes, and its metrics."""
    scale = GreyScale(200.0, 10.0, "uint16", 65535.0)
    table = CubeTable(
        scale=scale,
        predicted=True,
        edge=(64, 64, 64),
        origin=(0, 0, 0),
        index=np.array([[0, 0, 0], [0, 0, 1]]),
        start=np.array([[0, 0, 0], [0, 0, 64]]),
        stop=np.array([[64, 64, 64], [64, 64, 128]]),
        sums=rng.integers(1, 1000, (2, len(SUMS))),
        histograms=rng.integers(0, 50, (2, len(HISTOGRAMS), CODES)),
    )
    return table, block_metrics(table)


def test_metrics_of_a_block_are_those_of_the_box_of_its_cubes():
    table, shown = counted_block(np.random.default_rng(0))
    made = Board(clock=Clock(), measured=True)
    ids = np.arange(3)
    made.begin("segment", (1, 1, 3), ids, ids)
    made.take(done(1, written=8, shown=shown))
    made.take(done(2, written=8))
    expected = dhpr_metrics(table.boxes((1, 1, 2)))
    for name in SHOWN:
        seen = made.metrics[name]
        np.testing.assert_allclose(seen[1], expected[name][0], rtol=1e-6)
        assert np.isnan(seen[[0, 2]]).all(), name
    assert SHOWN[0] not in board().metrics


@pytest.mark.parametrize("seed", range(4))
def test_a_copy_that_is_told_what_changed_shows_the_same(seed):
    rng = np.random.default_rng(seed)
    _, shown = counted_block(rng)
    clock = Clock()
    made = Board(clock=clock, measured=True)
    made.touched = deque()
    copy, whole, now = Board(), True, Clock()
    ids = np.arange(60)
    made.begin("segment", (3, 4, 5), ids, ids[7:])
    for number in rng.permutation(ids[7:]).tolist():
        clock.now += 2
        made.handed_out([number])
        if rng.random() < 0.2:
            made.take(BlockFailed("segment", BlockReport(number, error="no"), 3))
        else:
            made.take(done(number, written=9, foreground=2, shown=shown))
        made.worked("tcp://a", [BlockReport(number, seconds=(("read", 1.0),))], 0.5)
        if rng.random() < 0.3:
            told = msgpack.unpackb(msgpack.packb(changes_to_plain(made, whole=whole)))
            changes_from(told, copy, now)
            whole = False
    changes_from(changes_to_plain(made, whole=False), copy, now)
    np.testing.assert_array_equal(copy.states, made.states)
    for name, values in made.metrics.items():
        np.testing.assert_array_equal(copy.metrics[name], values)
    assert (copy.counts, copy.voxels) == (made.counts, made.voxels)
    assert copy.seconds == made.seconds
    assert copy.workers == made.workers
    assert copy.failures == made.failures
    assert copy.rates() == pytest.approx(made.rates())
    assert (copy.left, copy.phase) == (made.left, "segment")
