"""A worker whose device fails again and again ends the run, and says why."""

import sys
from functools import partial

import cloudpickle  # type: ignore[import-untyped]
import pytest

from blockseg.core.blocks import BlockQueue
from blockseg.core.errors import ClusterError, DeviceLostError
from blockseg.runtime.dask.cluster import local_cluster
from blockseg.runtime.dask.executor import DaskExecutor
from blockseg.runtime.driver import drive
from blockseg.runtime.events import Event, WorkerLost
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.memory import Layout

pytestmark = pytest.mark.dask

# Workers cannot import a test file: its classes travel as they are.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Broken:
    """Loses its device in every block."""

    def __call__(self, *_):
        message = "the device of cuda failed: an illegal address"
        raise DeviceLostError(message)

    def close(self):
        pass


def test_devices_that_fail_in_every_block_end_the_run_with_the_reason(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("blockseg.runtime.dask.executor._STILLBORN_LIMIT", 2)
    events: list[Event] = []
    with (
        local_cluster(Layout(1, 1, 1, 2**30)) as cluster,
        Ledger.create(tmp_path / "ledger.sqlite", "print") as ledger,
        pytest.raises(ClusterError, match=r"2 workers ended .* an illegal address"),
    ):
        drive(
            DaskExecutor(cluster, "output"),
            BlockQueue(range(6)),
            ledger,
            "segment",
            partial(cloudpickle.loads, cloudpickle.dumps(Broken())),
            events.append,
        )
    lost = [event for event in events if isinstance(event, WorkerLost)]
    assert "an illegal address" in lost[0].why
