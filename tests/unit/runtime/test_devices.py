import sys
from types import ModuleType
from typing import Any

import pytest

from blockseg.runtime.dask.cluster import cuda_cluster
from blockseg.runtime.dask.watch import devices_used
from blockseg.runtime.events import DevicesUsed
from blockseg.runtime.memory import Layout

GPUS = ("GPU-5ebe43", "MIG-a1/3/0")


@pytest.fixture
def asked(monkeypatch):
    """What a stand-in for dask-cuda was asked for."""
    found: dict[str, Any] = {}

    def started(**given: Any) -> str:
        found.update(given)
        return "cluster"

    module = ModuleType("dask_cuda")
    module.LocalCUDACluster = started  # type: ignore[attr-defined]
    module.__spec__ = sys.__spec__
    monkeypatch.setitem(sys.modules, "dask_cuda", module)
    return found


def test_dask_cuda_gets_one_worker_for_each_device_and_the_layouts_threads(asked):
    layout = Layout(2, 8, 1, 5 * 2**30)
    assert cuda_cluster(layout, GPUS, host="127.0.0.1") == "cluster"
    assert asked == {
        "CUDA_VISIBLE_DEVICES": list(GPUS),
        "n_workers": 2,
        "threads_per_worker": 8,
        "memory_limit": 5 * 2**30,
        "data": dict,
        "resources": {"GPU": 1},
        "host": "127.0.0.1",
    }


def test_where_workers_share_a_device_we_pin_them_ourselves(asked):
    assert cuda_cluster(Layout(3, 1, 1, 2**30), GPUS) is None
    assert asked == {}


def test_without_dask_cuda_we_pin_them_ourselves(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    monkeypatch.setattr("blockseg.runtime.dask.cluster.find_spec", lambda _: None)
    assert cuda_cluster(Layout(2, 1, 1, 2**30), GPUS) is None


def worker(utilization, used, total=None):
    card = {} if total is None else {"gpu": {"memory-total": total, "name": "a card"}}
    return {
        "metrics": {"gpu": {"utilization": utilization, "memory-used": used}},
        **card,
    }


def test_devices_of_all_workers_are_added_up():
    found = devices_used([worker(90, 3 * 10**9, 8 * 10**9), worker(50, 10**9, 10**9)])
    assert found == DevicesUsed(2, 0.7, 4 * 10**9, 9 * 10**9)


def test_what_a_driver_does_not_tell_counts_as_nothing():
    assert devices_used([worker("N/A", None)]) == DevicesUsed(1, 0.0, 0, 0)
    assert devices_used([{"metrics": {"cpu": 3}}, {}]) is None
