"""What comes back of tasks when one of their workers is gone."""

from typing import Any

from blockseg.runtime.dask.actor import BatchResult
from blockseg.runtime.dask.tasks import TasksInFlight


class Future:
    def __init__(self, key):
        self.key = key

    def add_done_callback(self, callback):
        callback(self)


class ClientOfWorkers:
    """Sends tasks nowhere; a result of the dead worker keeps a gather waiting."""

    status = "running"

    def __init__(self, dead):
        self.dead = dead
        self.worker_of = {}

    def map(self, *_, key, **__):
        return [Future(k) for k in key]

    def sync(self, method, futures, **_):
        return method(futures)

    def gather(self, futures):
        if any(self.worker_of[key] == self.dead for key in futures):
            raise TimeoutError
        return {key: BatchResult(self.worker_of[key]) for key in futures}


def test_a_dead_workers_result_takes_no_other_workers_results_with_it():
    client: Any = ClientOfWorkers(dead="two")
    tasks = TasksInFlight(client, {})
    tasks.open("plugin", "segment", str)
    tasks.send({"one": [[1], [2]], "two": [[3]], "three": [[4]]})
    client.worker_of = {key: task.worker for key, task in tasks.items()}
    ended = tasks.wait(1)
    assert len(ended) == 4
    found = tasks.results(ended)
    assert [result.worker for result in found.values()].count("one") == 2
    assert {result.worker for result in found.values()} == {"one", "three"}
    assert [task.blocks for _, task in tasks.items()] == [[3]]
    assert (tasks.of_worker("one"), tasks.of_worker("two")) == (0, 1)
