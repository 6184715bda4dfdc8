"""Real workers that are killed, crash, raise, run out of disk, or cannot start."""

import gc
import os
import signal
import sys
import time
from collections import Counter
from functools import partial

import cloudpickle  # type: ignore[import-untyped]
import pytest
from distributed import Scheduler

from blockseg.core.blocks import BlockQueue, BlockReport, note_advance
from blockseg.core.errors import (
    BackendError,
    ClusterError,
    CorruptDataError,
    NoSpaceError,
)
from blockseg.runtime.dask.cluster import Cluster, local_cluster
from blockseg.runtime.dask.executor import DaskExecutor
from blockseg.runtime.dask.tasks import TasksInFlight
from blockseg.runtime.dask.watch import WorkerWatch
from blockseg.runtime.driver import drive
from blockseg.runtime.events import (
    BlockAdvanced,
    BlockDone,
    BlockRetried,
    Event,
    Message,
    PhaseDone,
    WorkerLost,
    WorkersChanged,
)
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.memory import Layout
from blockseg.runtime.pace import Pace

pytestmark = pytest.mark.dask

# Workers cannot import a test file: its classes travel as they are.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

LAYOUT = Layout(2, 2, 1, 2 * 2**30)
PATIENCE = 300  # seconds, against a test that never ends


class Actor:
    """Notes each block it begins in a file, then does what it is told to."""

    def __init__(self, folder, seconds=0.0, **tricks):
        self.folder = folder
        self.seconds = seconds
        self.tricks = tricks

    def __call__(self, block_id, meter):
        # One write of one line: it is whole, whatever happens next.
        with (self.folder / f"begun-{os.getpid()}").open("a") as file:
            file.write(f"{block_id}\n")
        with meter("infer"):
            time.sleep(self.seconds)
            deadline = time.monotonic() + PATIENCE
            while not self.tricks.get("until", self.folder).exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            if block_id in self.tricks.get("crash", ()):
                os.kill(os.getpid(), signal.SIGKILL)
            if block_id in self.tricks.get("fail", {}):
                raise self.tricks["fail"][block_id]
        return BlockReport(block_id, written=1)

    def close(self):
        (self.folder / f"closed-{os.getpid()}").touch()


def factory_of(actor):
    return partial(cloudpickle.loads, cloudpickle.dumps(actor))


class Build:
    """Calls a function where it is unpickled: in the worker."""

    def __init__(self, function):
        self.function = function

    def __reduce__(self):
        return self.function, ()


def begun(folder):
    files = folder.glob("begun-*")
    return Counter(int(line) for f in files for line in f.read_text().split())


def worker_pids(folder):
    return [int(f.name.split("-")[1]) for f in folder.glob("begun-*")]


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(LAYOUT) as cluster:
        yield cluster


@pytest.fixture
def run(cluster, tmp_path):
    """Drive blocks on the cluster; a watcher may act on events."""

    def run(factory, blocks, watch=lambda _: None, pace=None, **more):
        events = []

        def on_event(event):
            events.append(event)
            watch(event)

        executor = DaskExecutor(cluster, "output", pace=pace or Pace(), **more)
        with Ledger.create(tmp_path / "ledger.sqlite", "print") as ledger:
            pending = ledger.pending("segment", range(blocks))
            outcome = drive(
                executor,
                BlockQueue(pending),
                ledger,
                "segment",
                factory,
                on_event,
                name="z{:04d}".format,
            )
            return outcome, events, ledger.failures("segment")

    return run


def wait_for_workers(cluster):
    deadline = time.monotonic() + PATIENCE
    while cluster.workers < LAYOUT.workers:
        assert time.monotonic() < deadline
        cluster.mend()  # a nanny may have given up on a worker that died young
        time.sleep(0.5)


def test_every_block_runs_once_in_one_of_the_workers(run, tmp_path):
    outcome, _, failures = run(factory_of(Actor(tmp_path)), 300)
    assert (outcome.done, outcome.left, failures) == (300, 0, [])
    assert begun(tmp_path) == Counter(range(300))
    assert os.getpid() not in worker_pids(tmp_path)


class Advancing:
    """Says that it is half done, and waits until that has been heard."""

    def __init__(self, heard):
        self.heard = heard

    def __call__(self, block_id, meter):
        with meter("infer"):
            note_advance(0.5)
        deadline = time.monotonic() + PATIENCE
        while self.heard is not None and not self.heard.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return BlockReport(block_id, written=1)

    def close(self):
        pass


def test_workers_tell_how_far_a_block_is_where_that_is_asked_for(run, tmp_path):
    heard = []

    def hear(event):
        if isinstance(event, BlockAdvanced):
            heard.append(event)
            (tmp_path / "heard").touch()

    actor = factory_of(Advancing(tmp_path / "heard"))
    outcome, _, _ = run(actor, 1, hear, within_blocks=True)
    assert outcome.done == 1
    assert heard == [BlockAdvanced(0, 0.5)]


def test_else_they_tell_nothing(run):
    outcome, events, _ = run(factory_of(Advancing(None)), 3)
    assert outcome.done == 3
    assert not [event for event in events if isinstance(event, BlockAdvanced)]


def test_actors_are_closed_in_the_process_that_had_them(run, tmp_path):
    run(factory_of(Actor(tmp_path, seconds=0.01)), 20)
    closed = {int(f.name.split("-")[1]) for f in tmp_path.glob("closed-*")}
    assert set(worker_pids(tmp_path)) <= closed


def test_a_killed_worker_costs_only_what_it_had_in_flight(run, tmp_path, cluster):
    done = []

    def kill_at_twenty(event):
        if isinstance(event, BlockDone):
            done.append(event.report.block_id)
            if len(done) == 20:
                os.kill(worker_pids(tmp_path)[0], signal.SIGKILL)

    pace = Pace(largest=1)
    actor = Actor(tmp_path, seconds=0.03)
    outcome, events, failures = run(factory_of(actor), 80, kill_at_twenty, pace)
    assert (outcome.done, outcome.left, failures) == (80, 0, [])
    assert sorted(done) == list(range(80))
    again = begun(tmp_path) - Counter(range(80))
    assert again.total() <= pace.window(LAYOUT.threads_per_worker)
    assert any(isinstance(e, WorkerLost) for e in events)
    wait_for_workers(cluster)


def test_a_restarted_worker_has_the_actor_again(run, tmp_path, cluster):
    counts = []
    killed = []

    def kill_both(event):
        if isinstance(event, BlockDone):
            counts.append(event)
            if len(counts) == 10:
                killed.extend(cluster.client.run(os.getpid).values())
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)

    outcome, events, _ = run(
        factory_of(Actor(tmp_path, seconds=0.03)), 60, kill_both, Pace(largest=1)
    )
    assert outcome.done == 60
    assert set(worker_pids(tmp_path)) - set(killed)
    assert any(isinstance(e, WorkersChanged) for e in events)
    wait_for_workers(cluster)


def twenty_are_done_once(run, folder):
    pace = Pace(largest=1)
    outcome, _, _ = run(factory_of(Actor(folder)), 20, pace=pace, audit_seconds=0.3)
    assert outcome.done == 20
    assert begun(folder) == Counter(range(20))


def test_a_task_whose_end_was_not_heard_of_is_not_waited_for(
    run, tmp_path, monkeypatch
):
    deaf = []

    def note_end(tasks, future, note=TasksInFlight._note_end):
        if "z0003" in future.key:
            deaf.append(future.key)
        else:
            note(tasks, future)

    monkeypatch.setattr(TasksInFlight, "_note_end", note_end)
    twenty_are_done_once(run, tmp_path)
    assert len(deaf) == 1


def test_a_task_that_never_reached_its_worker_is_sent_again(run, tmp_path, monkeypatch):
    dropped: list[object] = []

    def send(scheduler, client_msgs, worker_msgs, send=Scheduler.send_all):
        kept = {}
        for worker, messages in worker_msgs.items():
            of_it = [m for m in messages if "z0003" in m.get("key", "")]
            dropped.extend(() if dropped else of_it)
            kept[worker] = [m for m in messages if not any(m is d for d in dropped)]
        send(scheduler, client_msgs, kept)

    monkeypatch.setattr(Scheduler, "send_all", send)
    twenty_are_done_once(run, tmp_path)
    assert len(dropped) == 1


def test_a_block_that_kills_its_worker_is_quarantined_alone(run, tmp_path, cluster):
    actor = Actor(tmp_path, seconds=0.005, crash={33})
    outcome, _, failures = run(factory_of(actor), 100)
    assert (outcome.done, outcome.failed, outcome.left) == (99, 1, 0)
    assert [(f.block_id, f.attempts) for f in failures] == [(33, 3)]
    assert "died while it ran this block alone" in failures[0].error
    wait_for_workers(cluster)


def test_a_block_that_raises_is_tried_again_and_then_quarantined(run, tmp_path):
    fail = {5: ValueError("odd"), 7: CorruptDataError("chunk c/0/1/2 is corrupt")}
    outcome, events, failures = run(factory_of(Actor(tmp_path, fail=fail)), 20)
    assert (outcome.done, outcome.failed) == (18, 2)
    assert [(f.block_id, f.attempts) for f in failures] == [(5, 3), (7, 1)]
    assert failures[0].error == "ValueError: odd"
    assert "in __call__" in failures[0].traceback
    assert begun(tmp_path)[5] == 3
    assert len([e for e in events if isinstance(e, BlockRetried)]) == 2


def test_a_full_disk_stops_the_run_and_a_second_one_goes_on(run, tmp_path):
    full = Actor(tmp_path, seconds=0.02, fail={10: NoSpaceError("disk full")})
    outcome, _, failures = run(factory_of(full), 200, pace=Pace(largest=2))
    assert outcome.stopped == "disk full"
    assert 0 < outcome.done < 100
    assert outcome.done + outcome.left == 200
    assert failures == []
    resumed, _, _ = run(factory_of(Actor(tmp_path)), 200)
    assert resumed.done == outcome.left


def broken():
    message = "no engine for this machine"
    raise BackendError(message)


def test_an_actor_that_cannot_be_built_is_one_error_of_the_run(run):
    with pytest.raises(BackendError, match="no engine for this machine"):
        run(factory_of(Build(broken)), 10)


def test_a_worker_without_an_engine_is_left_out(run, cluster, tmp_path):
    first, told_of = tmp_path / "first", tmp_path / "told"
    wait_for_workers(cluster)

    def build_once(folder=tmp_path, first=first, told_of=told_of):
        try:
            first.touch(exist_ok=False)
        except FileExistsError:
            broken()
        # The one that works must not be done before the other was heard of.
        return Actor(folder, until=told_of)

    def watch(event):
        if isinstance(event, Message):
            told_of.touch()

    outcome, events, _ = run(factory_of(Build(build_once)), 40, watch)
    assert outcome.done == 40
    assert begun(tmp_path) == Counter(range(40))
    assert len(worker_pids(tmp_path)) == 1
    (told,) = (e.text for e in events if isinstance(e, Message))
    assert "is left out: no engine for this machine" in told


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_engine_that_crashes_when_built_blames_no_block(tmp_path):
    # A cluster of its own: its nannies may give up on workers that die so young.
    with (
        local_cluster(LAYOUT) as cluster,
        Ledger.create(tmp_path / "ledger.sqlite", "print") as ledger,
    ):
        events: list[Event] = []
        with pytest.raises(ClusterError, match="died while they built their engine"):
            drive(
                DaskExecutor(cluster, "output"),
                BlockQueue(range(10)),
                ledger,
                "segment",
                factory_of(Build(die)),
                events.append,
            )
        assert ledger.failures("segment") == []
        assert not any(isinstance(e, BlockDone) for e in events)


def test_cheap_blocks_share_tasks_and_keep_readable_names(run, tmp_path, cluster):
    run(factory_of(Actor(tmp_path)), 2000)
    log = cluster.client.run_on_scheduler(
        lambda dask_scheduler: (
            dask_scheduler.task_prefixes["segment"].state_counts["memory"],
            [str(entry[0]) for entry in dask_scheduler.transition_log],
        )
    )
    tasks, keys = log
    assert tasks < 2000
    assert any(k.startswith("segment-z") and "-more-" in k for k in keys)


def test_the_dashboard_is_bound_to_loopback_only(cluster):
    assert cluster.dashboard.startswith("http://127.0.0.1:")
    assert cluster.address.startswith("tls://127.0.0.1:")


def test_inference_threads_reach_the_workers_environment(cluster):
    found = cluster.client.run(lambda: os.environ["OMP_NUM_THREADS"])
    assert set(found.values()) == {str(LAYOUT.inference_threads)}


def test_workers_keep_the_memory_of_small_arrays(cluster):
    found = cluster.client.run(
        lambda: (
            int(os.environ["MALLOC_MMAP_THRESHOLD_"]),
            int(os.environ["MALLOC_TRIM_THRESHOLD_"]),
        )
    )
    # A cell's largest temporary is 2 MiB.
    assert all(2**22 <= mapped <= trimmed for mapped, trimmed in found.values())


def test_workers_ignore_an_interrupt_that_the_terminal_sends_to_all(
    run, tmp_path, cluster
):
    before = set(cluster.client.run(os.getpid).values())

    def interrupt(event):
        if isinstance(event, BlockDone) and event.report.block_id == 5:
            for pid in before:
                os.kill(pid, signal.SIGINT)

    outcome, events, _ = run(factory_of(Actor(tmp_path, seconds=0.02)), 40, interrupt)
    assert outcome.done == 40
    assert not any(isinstance(e, WorkerLost) for e in events)
    assert set(cluster.client.run(os.getpid).values()) == before


def interrupted(run, folder):
    """Interrupt a run after ten blocks, and go on with it."""
    done = []

    def interrupt(event):
        if isinstance(event, BlockDone):
            done.append(event.report.block_id)
            if len(done) == 10:
                os.kill(os.getpid(), signal.SIGINT)

    actor = Actor(folder, seconds=0.05)
    with pytest.raises(KeyboardInterrupt):
        run(factory_of(actor), 100, interrupt, Pace(largest=1))
    assert sorted(begun(folder)) == sorted(done)
    with Ledger.read(folder / "ledger.sqlite") as ledger:
        assert ledger.summary("segment").done == len(done)
    resumed, _, _ = run(factory_of(actor), 100, pace=Pace(target=0.2))
    assert resumed.done == 100 - len(done)
    assert begun(folder) == Counter(range(100))


def test_an_interrupt_keeps_what_was_in_flight(run, tmp_path):
    interrupted(run, tmp_path)


def test_an_interrupt_keeps_what_began_in_workers_not_known_to_be_ready(
    run, tmp_path, monkeypatch
):
    def note(watch, message, note=WorkerWatch._note):
        return "ready" not in message and note(watch, message)

    monkeypatch.setattr(WorkerWatch, "_note", note)
    interrupted(run, tmp_path)


def test_a_ledger_can_be_read_while_blocks_run(run, tmp_path):
    seen: list[int] = []

    def look(_):
        with Ledger.read(tmp_path / "ledger.sqlite") as ledger:
            seen.append(ledger.summary("segment").done)

    run(factory_of(Actor(tmp_path)), 60, watch=look, pace=Pace(largest=1))
    assert seen == sorted(seen)
    assert seen[-1] == 60
    assert len(set(seen)) > 2


def test_each_gpu_worker_sees_one_gpu():
    with local_cluster(Layout(2, 1, 1, 2**30), gpus=("5", "7")) as cluster:
        seen = cluster.client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
        assert sorted(seen.values()) == ["5", "7"]
        workers = cluster.client.scheduler_info(n_workers=-1)["workers"].values()
        assert [worker["resources"] for worker in workers] == [{"GPU": 1}] * 2


def test_no_workers_for_long_is_a_lost_cluster(tmp_path, monkeypatch):
    # A cluster of our own would replace its workers, sooner or later.
    monkeypatch.setattr(Cluster, "mend", lambda _: None)
    with local_cluster(Layout(1, 1, 1, 2**30)) as small:

        def drop_all(event):
            if isinstance(event, BlockDone) and event.report.block_id == 3:
                scale_to_nothing(small)

        executor = DaskExecutor(small, "output", worker_timeout=1.0)
        with Ledger.create(tmp_path / "l.sqlite", "print") as ledger:
            with pytest.raises(ClusterError, match="no Dask worker for 1 s"):
                drive(
                    executor,
                    BlockQueue(range(1000)),
                    ledger,
                    "segment",
                    factory_of(Actor(tmp_path, seconds=0.01)),
                    drop_all,
                )
            assert ledger.summary("segment").done >= 3


def scale_to_nothing(cluster):
    cluster._ours.scale(0)  # ends the nannies too, which would restart their workers


def test_phases_follow_each_other_on_one_cluster(cluster, tmp_path):
    executor = DaskExecutor(cluster, "output")
    with Ledger.create(tmp_path / "l.sqlite", "print") as ledger:
        for phase in ("segment", "pyramid"):
            folder = tmp_path / phase
            folder.mkdir()
            outcome = drive(
                executor,
                BlockQueue(range(30)),
                ledger,
                phase,
                factory_of(Actor(folder)),
                lambda _: None,
            )
            assert isinstance(outcome, PhaseDone)
            assert begun(folder) == Counter(range(30))
    left = cluster.client.run(
        lambda dask_worker: [n for n in dask_worker.plugins if "blockseg" in n]
    )
    assert all(not names for names in left.values())


def test_nothing_of_a_finished_phase_stays_on_the_scheduler(run, tmp_path, cluster):
    def tasks():
        return cluster.client.run_on_scheduler(
            lambda dask_scheduler: {
                str(key): f"{task.state}, wanted by {task.who_wants}"
                for key, task in dask_scheduler.tasks.items()
            }
        )

    before = tasks().keys()  # of a test that failed
    run(factory_of(Actor(tmp_path)), 200)
    deadline = time.monotonic() + PATIENCE
    while left := {key: said for key, said in tasks().items() if key not in before}:
        assert time.monotonic() < deadline, left
        gc.collect()  # futures that a traceback holds
        time.sleep(0.05)
