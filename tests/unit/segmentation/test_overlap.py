"""Of two threads of a worker one reads or writes while the other infers."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock

import numpy as np
import pytest
import zarr

from blockseg.blockwise.sources.block_reading import BlockReading
from blockseg.blockwise.task import Phase
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import Affine, BackendSpec
from blockseg.io.find import find
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.networks.receptive_field import FIELDS
from blockseg.runtime.attempt import Stopwatch
from blockseg.segmentation.engines.trial import EngineCriteria
from blockseg.segmentation.task import Segmentation

SHAPE = (16, 16, 32)
PATIENCE = 300  # seconds, against a test that never ends


class Trace:
    """A meter that notes what each block does, and holds it until something happened."""

    def __init__(self, holds):
        self.happened = {}
        self.lock = Lock()
        self.holds = holds

    def event(self, *what):
        with self.lock:
            return self.happened.setdefault(what, Event())

    def meter(self, block):
        @contextmanager
        def meter(activity):
            self.event(block, activity, "begins").set()
            awaited = self.holds.get((block, activity))
            if awaited:
                assert self.event(*awaited).wait(PATIENCE), f"no {awaited} meanwhile"
            yield
            self.event(block, activity, "ends").set()

        return meter


@pytest.fixture
def actor(tmp_path):
    source = zarr.create_array(
        tmp_path / "a", shape=SHAPE, dtype="u2", chunks=(16,) * 3
    )
    source[:] = np.random.default_rng(0).integers(0, 2, SHAPE)
    grid = BlockGrid(SHAPE, (16, 16, 16), (4, 4, 4), None, 4)
    spec = PyramidSpec(str(tmp_path / "o"), SHAPE, (16, 16, 16))
    mask = PyramidSpec(str(tmp_path / "o" / "labels" / "m"), SHAPE, (16, 16, 16))
    create_output(spec, mask)
    task = Segmentation(
        BlockReading(grid, find(tmp_path / "a")),
        engines=(BackendSpec("fake", "", (16, 16, 16)),),
        trial=EngineCriteria((), FIELDS["sdasn"], Affine(0, 1), 128),
        threshold=128,
        probability=spec,
        foreground=mask,
    )
    actor = Phase(task, cache_bytes=2**20)()
    yield actor
    actor.close()


@pytest.mark.parametrize(
    "holds",
    [
        {(0, "infer"): (1, "read", "ends")},
        {(0, "write"): (1, "infer", "begins")},
    ],
    ids=["the next block is read", "the next block is inferred"],
)
def test_meanwhile(actor, holds):
    trace = Trace(holds)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(actor, 0, trace.meter(0))
        # The second thread comes when the first has the engine, as in a worker.
        assert trace.event(0, "infer", "begins").wait(PATIENCE)
        second = pool.submit(actor, 1, trace.meter(1))
        assert [first.result().block_id, second.result().block_id] == [0, 1]


def test_two_blocks_never_infer_at_once_and_waiting_counts_by_itself(actor):
    inside, most, lock = [0], [0], Lock()

    class Watch(Stopwatch):
        @contextmanager
        def __call__(self, activity):  # type: ignore[override]
            with super().__call__(activity):
                with lock:
                    inside[0] += activity == "infer"
                    most[0] = max(most[0], inside[0])
                yield
                with lock:
                    inside[0] -= activity == "infer"

    with ThreadPoolExecutor(4) as pool:
        watches = [Watch() for _ in range(8)]
        for future in [pool.submit(actor, n % 2, w) for n, w in enumerate(watches)]:
            future.result()
    assert most == [1]
    assert all(
        {"read", "wait", "infer", "write"} <= set(dict(w.seconds)) for w in watches
    )


def test_a_block_says_what_was_decoded_for_it(actor):
    reports = [actor(block, Stopwatch()) for block in (0, 1, 0)]
    chunk = 16**3 * 2
    # Both blocks touch both chunks: the first decodes them, the others find them.
    assert [r.decoded_bytes for r in reports] == [2 * chunk, 0, 0]
    assert [r.read_bytes for r in reports] == [16 * 16 * 20 * 2] * 3
