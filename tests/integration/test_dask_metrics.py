"""What the dashboard's fine performance metrics are made of."""

import sys
import time

import cloudpickle  # type: ignore[import-untyped]
import pytest

from blockseg.core.blocks import BlockQueue, BlockReport
from blockseg.runtime.dask.cluster import local_cluster
from blockseg.runtime.dask.executor import DaskExecutor
from blockseg.runtime.driver import drive
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.memory import Layout

pytestmark = pytest.mark.dask

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Actor:
    def __call__(self, block_id, meter):
        for activity in ("read", "infer", "write"):
            with meter(activity):
                time.sleep(0.01)
        return BlockReport(block_id)

    def close(self):
        pass


def test_time_spent_in_each_activity_reaches_the_scheduler(tmp_path):
    with (
        local_cluster(Layout(1, 2, 1, 2**30)) as cluster,
        Ledger.create(tmp_path / "ledger.sqlite", "print") as ledger,
    ):
        executor = DaskExecutor(cluster, "output")
        done = drive(
            executor, BlockQueue(range(4)), ledger, "segment", Actor, lambda _: None
        )
        assert done.done == 4

        def measured():
            return cluster.client.run_on_scheduler(
                lambda dask_scheduler: {
                    key[2]: seconds
                    for key, seconds in dask_scheduler.cumulative_worker_metrics.items()
                    if key[:2] == ("execute", "segment") and key[3] == "seconds"
                }
            )

        deadline = time.monotonic() + 300  # metrics come with the workers' heartbeat
        expected = dict.fromkeys(("read", "infer", "write"), 4 * 0.009)
        while any(measured().get(name, 0) < least for name, least in expected.items()):
            assert time.monotonic() < deadline, measured()
            time.sleep(0.1)
        summary = dict(ledger.summary("segment").seconds)
        assert summary.keys() == expected.keys()
