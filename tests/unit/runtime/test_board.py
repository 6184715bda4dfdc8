import numpy as np
import pytest

from blockseg.core.blocks import BlockReport
from blockseg.runtime.board import METRICS, Board, Shown
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
