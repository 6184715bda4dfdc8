"""``blockseg status --watch``: looks at runs that go on, stand still, end, or are elsewhere."""

import io
import json
import os
import signal
from importlib import import_module

import pytest
from rich.console import Console

from blockseg.blockwise.watching import Watch
from blockseg.core.errors import VolumeError

RUN = ("--backend", "fake", "--block", "64", "--window", "64")
SERIAL = ("--scheduler", "serial")


status_watch = import_module("blockseg_cli.status_watch")


def pass_of(look):
    assert look.phase is not None
    return look.phase


class Clock:
    """Seconds that pass where a test says so."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def begun(blockseg, brain):
    """A run of 24 blocks in a process of its own, stopped after three of them."""
    return blockseg.start_and_stop(3, "run", brain, "out.zarr", *RUN, *SERIAL)


def test_a_run_is_looked_at_until_it_ends(blockseg, begun):
    clock = Clock()
    watch = Watch(str(blockseg.folder / "out.zarr"), clock)
    first = watch.look()
    assert first.running
    assert pass_of(first).name == "segment"
    assert pass_of(first).blocks == 24
    assert pass_of(first).done == 3
    assert first.voxels == pass_of(first).done * 64**3
    assert first.voxels_per_second == pytest.approx(
        64**3 * first.blocks_per_second, rel=1e-6
    )
    left = 24 - pass_of(first).done
    assert first.remaining == pytest.approx(left / first.blocks_per_second)
    assert first.worker_count == 1
    for clock.now in (30.0, 1000.0):
        later = watch.look()
        assert pass_of(later).done == pass_of(first).done
    assert later.quiet == 1000.0
    assert later.remaining is None, "a run that stands still promises nothing"
    begun.send_signal(signal.SIGCONT)
    begun.communicate()
    last = watch.look()
    assert not last.running
    assert (last.phases[0].done, last.phases[0].failed) == (24, 0)
    assert last.workers == ()


def test_a_terminal_shows_bars_rate_and_workers_and_a_pipe_lines(
    blockseg, begun, monkeypatch
):
    out = blockseg.folder / "out.zarr"
    look = Watch(str(out)).look()
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(status_watch.picture(look))
    said = console.export_text()
    assert f"{pass_of(look).done}/24" in said
    for word in ("segment", "running", "voxel/s", "1 worker", " left"):
        assert word in said, said
    assert status_watch.line_of(look).startswith(
        f"segment {pass_of(look).done}/24 blocks, "
    )

    def going_on(*words, **named):
        def sleep(_):
            begun.send_signal(signal.SIGCONT)
            begun.communicate()

        watch(*words, sleep=sleep, **named)

    watch = status_watch.watch
    monkeypatch.setattr(status_watch, "watch", going_on)
    lines = blockseg("status", "--watch", out).stdout.splitlines()
    assert f"{out}: complete" in lines
    assert lines[0].startswith("segment ")


def test_ctrl_c_ends_the_watch_and_not_the_run(blockseg, begun, monkeypatch):
    def interrupted(*words, **named):
        def sleep(seconds):
            assert seconds >= 2
            raise KeyboardInterrupt

        watch(*words, sleep=sleep, **named)

    watch = status_watch.watch
    monkeypatch.setattr(status_watch, "watch", interrupted)
    said = blockseg("status", "out.zarr", "--watch", "2", code=130)
    assert "segment" in said.output
    assert begun.poll() is None


def test_a_run_at_rest_is_told_once_and_failures_with_it(blockseg, brain):
    blockseg("run", brain, "out.zarr", *RUN, *SERIAL, "-q")
    said = blockseg("status", "out.zarr", "--watch")
    assert (
        said.stdout.splitlines() == blockseg("status", "out.zarr").stdout.splitlines()
    )
    look = json.loads(blockseg("status", "out.zarr", "--watch", "--json").stdout)
    assert look["running"] is False
    assert look["phases"][0]["done"] == 24
    for wrong in ("0", "1e9", "nan"):
        failed = blockseg("status", "out.zarr", f"--watch={wrong}", code=1)
        assert "--watch takes seconds" in failed.output
    with pytest.raises(VolumeError, match="no output of blockseg"):
        Watch(str(blockseg.folder)).look()


def test_a_run_of_another_machine_is_told_by_its_note_and_its_files(blockseg, brain):
    blockseg("run", brain, "out.zarr", *RUN, *SERIAL, "-q")
    out = blockseg.folder / "out.zarr"
    note = out / ".blockseg/lock.json"
    note.write_text(json.dumps({"pid": 1, "host": "node7"}))
    look = Watch(str(out)).look()
    assert (look.running, look.host) == (True, "node7")
    for path in (out / ".blockseg").rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert not Watch(str(out)).look().running, "nothing was written for long"


def test_a_derived_job_is_watched_while_it_works(blockseg, brain):
    blockseg("run", brain, "out.zarr", *RUN, *SERIAL, "--threshold", "0.7", "-q")
    blockseg.start_and_stop(1, "label", "out.zarr", *SERIAL)
    look = Watch(str(blockseg.folder / "out.zarr")).look()
    assert (look.running, look.job) == (True, "label")
    assert look.phases[0].name == "pieces"
    assert look.phases[0].done == 1


def test_parts_of_a_run_are_watched_together(blockseg, brain):
    blockseg("run", brain, "out.zarr", *RUN, *SERIAL, "--part", "1/2", "-q")
    look = Watch(str(blockseg.folder / "out.zarr")).look()
    assert not look.running
    assert (pass_of(look).blocks, pass_of(look).done) == (24, 12)
