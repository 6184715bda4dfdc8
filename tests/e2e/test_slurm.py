"""Runs on a real SLURM of this machine's own: workers as jobs, and the driver as one.

``BLOCKSEG_TEST_SLURM=1 pytest tests/e2e/test_slurm.py``, as root, where it is installed
(Debian: ``apt-get install slurm-wlm munge``).
"""

import json
import re
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import content
from .slurm_here import slurm, why_not

pytestmark = [
    pytest.mark.skipif(
        find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed"
    ),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "SLURM is here"),
    pytest.mark.slow,
]

OPTIONS = ("--backend", "fake", "--block", "64", "--window", "64", "-q")
SLOW = json.dumps({"seconds": 1.0})
FILE = """
launcher: slurm
jobs: {jobs}
least-jobs: {least}
cores: 1
threads: 1
memory: 1500MB
walltime: "00:20:00"
driver-walltime: "00:20:00"
interface: lo
logs: {folder}/logs
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with slurm(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.fixture(scope="module")
def whole(brain, shared_blockseg):
    shared_blockseg("run", brain, "whole.zarr", *OPTIONS, "--scheduler", "serial")
    return content(shared_blockseg.folder / "whole.zarr")


@pytest.fixture
def site(blockseg, here, monkeypatch):
    """The command where SLURM's commands are, and a file that describes a cluster."""
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(blockseg.folder))
    write_file(blockseg, jobs=2, least=2)
    return blockseg


def write_file(blockseg, jobs, least):
    text = FILE.format(jobs=jobs, least=least, folder=blockseg.folder)
    (blockseg.folder / "site.yaml").write_text(text)


def queue():
    """Jobs by number, with their state, those that are at their end aside."""
    done = subprocess.run(
        ["squeue", "-h", "-o", "%i %t"], capture_output=True, text=True, check=True
    )
    lines = (line.split() for line in done.stdout.splitlines())
    return {number: state for number, state in lines if state != "CG"}


def wait(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.3)


def begun(out):
    """Blocks that are done by now."""
    log = next((out / ".blockseg" / "logs").glob("*.driver.jsonl"), None)
    return 0 if log is None else log.read_text().count('"event": "done"')


def certificates(blockseg):
    return list((blockseg.folder / ".cache/blockseg/certificates").glob("*"))


def test_two_jobs_make_what_one_process_makes_and_none_is_left(site, brain, whole):
    run = site.start("run", brain, "out.zarr", *OPTIONS, "--cluster", "site.yaml")
    assert run.wait(120) == 0, run.stdout.read()
    assert content(site.folder / "out.zarr") == whole
    wait(lambda: not queue(), 30)
    assert certificates(site) == []
    lines = (site.folder / "out.zarr/.blockseg/logs").glob("*.jsonl")
    workers = set(
        re.findall(r'"worker": "(tls://[^"]+)"', "".join(map(Path.read_text, lines)))
    )
    assert len(workers) == 2


def test_a_job_that_is_killed_is_replaced(site, brain, whole, monkeypatch):
    monkeypatch.setenv("BLOCKSEG_FAKE_TROUBLE", SLOW)
    run = site.start("run", brain, "out.zarr", *OPTIONS, "--cluster", "site.yaml")
    out = site.folder / "out.zarr"
    wait(lambda: begun(out) >= 2)
    first, second = queue()
    for job in (first, second):  # as at the end of their time
        subprocess.run(["scancel", "--signal=KILL", job], check=True)
    wait(lambda: len(queue().keys() - {first, second}) == 2)
    assert run.wait(120) == 0, run.stdout.read()
    assert content(out) == whole
    wait(lambda: not queue(), 30)


def test_a_driver_that_is_killed_leaves_no_job(site, brain, whole, monkeypatch):
    monkeypatch.setenv("BLOCKSEG_FAKE_TROUBLE", SLOW)
    run = site.start("run", brain, "out.zarr", *OPTIONS, "--cluster", "site.yaml")
    out = site.folder / "out.zarr"
    wait(lambda: begun(out) >= 2)
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait(lambda: not queue(), 60)
    monkeypatch.delenv("BLOCKSEG_FAKE_TROUBLE")
    again = site.start("run", brain, "out.zarr", *OPTIONS, "--cluster", "site.yaml")
    assert again.wait(120) == 0, again.stdout.read()
    assert content(out) == whole


def test_a_driver_whose_time_is_over_is_queued_again_and_goes_on(
    site, brain, whole, monkeypatch
):
    monkeypatch.setenv("BLOCKSEG_FAKE_TROUBLE", SLOW)
    out = site.folder / "out.zarr"
    words = ("run", brain, out, *OPTIONS)
    script = site("submit", "--cluster", "site.yaml", "--dry-run", *words).output
    # Its walltime less five minutes; here so short that it comes in the middle.
    script, changed = re.subn(r"--signal=TERM 900 ", "--signal=TERM 12 ", script)
    assert changed == 1
    (site.folder / "job.sh").write_text(script)
    (site.folder / "logs").mkdir()
    said = subprocess.run(
        ["sbatch", "job.sh"],
        cwd=site.folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    job = said.split()[-1]

    def restarts():
        shown = subprocess.run(
            ["scontrol", "show", "job", job],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        return sum(map(int, re.findall(r"Restarts=(\d+)", shown)))

    wait(lambda: restarts() >= 1)
    assert 0 < begun(out) < 24
    wait(lambda: job not in queue(), 180)
    assert content(out) == whole
    record = json.loads((out / ".blockseg" / "run.json").read_text())
    outcomes = [session["outcome"] for session in record["sessions"]]
    assert outcomes[0] == "interrupted"
    assert outcomes[-1] == "complete"
    wait(lambda: not queue(), 30)


def test_jobs_are_asked_for_as_there_are_blocks(site, brain, whole):
    write_file(site, jobs=3, least=1)
    run = site.start("run", brain, "out.zarr", *OPTIONS, "--cluster", "site.yaml")
    assert run.wait(150) == 0, run.stdout.read()
    assert content(site.folder / "out.zarr") == whole
    wait(lambda: not queue(), 30)


def test_inside_an_allocation_workers_are_steps_of_it(site, brain, whole):
    command = " ".join(site.words("run", brain, "out.zarr", *OPTIONS))
    done = subprocess.run(
        [
            "salloc",
            "-n",
            "2",
            "bash",
            "-c",
            f"{command} --cluster site.yaml && squeue -h",
        ],
        cwd=site.folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 1, done.stdout  # the allocation, and no job
    assert content(site.folder / "out.zarr") == whole
    wait(lambda: not queue(), 30)
