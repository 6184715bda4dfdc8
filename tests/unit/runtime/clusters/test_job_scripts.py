"""Scripts of jobs, of workers and of the driver, as files that a reader can compare.

After a change that is meant: ``BLOCKSEG_WRITE_GOLDEN=1 pytest`` writes them anew.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from blockseg.config.cluster_settings import BATCH, ClusterSettings
from blockseg.config.merging import read_settings
from blockseg.config.presets import cluster_names, cluster_text, load_cluster
from blockseg.config.settings import RunSettings
from blockseg.core.errors import ClusterError, ConfigError
from blockseg.runtime.board import Board
from blockseg.runtime.clusters.driver_job import driver_script
from blockseg.runtime.clusters.jobqueue import batch_cluster, job_script
from blockseg.runtime.clusters.launch import Work
from blockseg.segmentation.cluster_forecast import cluster_lines, idle_gpus, of_cluster

GOLDEN = Path(__file__).parent / "golden"


def same_as(name, text):
    path = GOLDEN / name
    if os.environ.get("BLOCKSEG_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def settings(**values):
    return read_settings(ClusterSettings, values).checked()


# Found, not imported: what Ctrl-C does in this process is to stay as it is.
needs_jobqueue = pytest.mark.skipif(
    find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed"
)


@needs_jobqueue
@pytest.mark.parametrize("name", BATCH)
def test_a_worker_s_job_is_what_its_golden_file_says(name):
    text = job_script(load_cluster(name))
    same_as(f"{name}-worker.sh", text.replace(sys.executable, "python"))


@pytest.mark.parametrize("name", BATCH)
def test_the_driver_s_job_is_what_its_golden_file_says(name):
    words = ["run", "my brain.zarr", "--cluster", f"{name}.yaml"]
    text = driver_script(load_cluster(name), words, Path("/home/me/submit.sh"))
    same_as(f"{name}-driver.sh", text.replace(sys.executable, "python"))


@pytest.mark.parametrize("name", BATCH)
def test_job_scripts_are_valid_shell(name):
    for kind in ("worker", "driver"):
        subprocess.run(["bash", "-n", GOLDEN / f"{name}-{kind}.sh"], check=True)


@needs_jobqueue
def test_memory_reaches_slurm_as_whole_gibibytes_that_hold_it():
    for size, gib in (("32GB", 30), ("32GiB", 32), ("1500MB", 2)):
        text = job_script(settings(launcher="slurm", walltime="1:00:00", memory=size))
        assert f"--mem={gib}G\n" in text


@needs_jobqueue
def test_to_import_the_launchers_leaves_ctrl_c_alone():
    script = (
        "import signal, sys\n"
        "from blockseg.config.presets import load_cluster\n"
        "from blockseg.runtime.clusters.jobqueue import job_script\n"
        "before = signal.getsignal(signal.SIGINT)\n"
        "job_script(load_cluster('slurm'))\n"
        "assert 'dask_jobqueue' in sys.modules\n"
        "assert signal.getsignal(signal.SIGINT) is before\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@needs_jobqueue
def test_the_launchers_can_be_imported_in_a_thread_as_by_napari():
    script = (
        "import signal\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from blockseg.config.presets import load_cluster\n"
        "from blockseg.runtime.clusters.jobqueue import job_script\n"
        "before = signal.getsignal(signal.SIGINT), signal.signal\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    texts = list(pool.map(job_script, [load_cluster('slurm')] * 2))\n"
        "assert texts[0] == texts[1] == job_script(load_cluster('slurm'))\n"
        "assert (signal.getsignal(signal.SIGINT), signal.signal) == before\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", cluster_names())
def test_every_preset_says_how_it_is_used_and_can_be_read(name):
    assert cluster_text(name).startswith("# blockseg run ")
    assert load_cluster(name).launcher == name


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"launcher": "slurm"}, "needs walltime"),
        ({"launcher": "slurm", "walltime": "1:00"}, ""),
        ({"launcher": "slurm", "walltime": "0:03:00"}, "below 4 minutes"),
        ({"launcher": "slurm", "walltime": "soon"}, "HH:MM:SS"),
        ({"launcher": "ssh"}, "needs hosts"),
        ({"launcher": "kubernetes"}, "needs image"),
        ({"launcher": "local", "jobs": 3}, "not jobs"),
        ({"launcher": "ssh", "hosts": ["a"], "gpus": 1, "workers": 2}, "one worker"),
        ({"launcher": "moab"}, "launcher"),
        ({"gpu": 1}, "did you mean 'gpus'"),
    ],
)
def test_what_does_not_go_together_is_said_before_any_job(values, said):
    if not said:
        assert settings(**values).walltime == 3600
        return
    with pytest.raises(ConfigError, match=said):
        settings(**values)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12:00:00", 43200), ("1-02:00:00", 93600), ("00:30", 1800), ("90:00:01", 324001)],
)
def test_times_are_read_as_batch_systems_read_them(text, seconds):
    assert settings(launcher="pbs", walltime=text).walltime == seconds


def test_workers_leave_before_the_end_of_their_job():
    some = settings(launcher="slurm", walltime="12:00:00", stagger="300")
    assert some.lifetime + some.stagger < some.walltime


def test_jobs_follow_the_blocks_between_their_bounds():
    some = settings(
        launcher="slurm", walltime="1:00:00", jobs=10, least_jobs=2, threads=2
    )
    work = Work(some)
    assert work.wanted == 2
    work.board = board = Board()
    assert work.wanted == 2
    board.total = 1000
    for left, wanted in ((1000, 10), (20, 10), (11, 6), (4, 2), (0, 2)):
        board.counts["", "done"] = 1000 - left
        assert work.wanted == wanted


def test_a_forecast_counts_jobs_hours_and_those_of_gpus():
    some = settings(
        launcher="slurm", walltime="1:00:00", jobs=4, gpus=1, cores=8, stagger=0
    )
    lines = cluster_lines(some, voxels=3.6e12, worker_rate=1e8)  # 2.5 hours on four
    assert lines[0].startswith("slurm: 4 jobs of 8 cores")
    assert "2.5 hours" in lines[1]
    assert "80 core hours, 10 GPU hours" in lines[1]
    assert lines[2].startswith("each place needs 3 jobs")


def test_a_pod_has_the_card_and_the_scheduler_has_none():
    pytest.importorskip("dask_kubernetes")
    from blockseg.runtime.clusters.pods import cluster_spec

    spec = cluster_spec(load_cluster("kubernetes"), "blockseg-demo")["spec"]
    worker, scheduler = (
        spec[role]["spec"]["containers"][0] for role in ("worker", "scheduler")
    )
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in str(scheduler["resources"])
    assert worker["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]
    assert "GPU=1" in worker["args"]


@pytest.mark.parametrize(
    ("name", "extra", "library"),
    [
        ("slurm", "hpc", "dask_jobqueue"),
        ("kubernetes", "kubernetes", "dask_kubernetes"),
        ("ssh", "hpc", "asyncssh"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(name, extra, library):
    code = f"""
import sys, importlib.util
sys.modules[{library!r}] = None
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == {library!r} else found(name, *a)
from blockseg.config.presets import load_cluster
from blockseg.core.errors import ClusterError
from blockseg.runtime.clusters.launch import launch
try:
    launch(load_cluster({name!r}), "blockseg-demo", 1)
except ClusterError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert f"pip install 'blockseg[{extra}]'" in done.stdout, done.stdout + done.stderr


def test_gpus_that_jobs_ask_for_and_nothing_uses_are_told(tmp_path):
    file = tmp_path / "site.yaml"
    text = "launcher: slurm\nwalltime: '1:00:00'\n"
    file.write_text(f"{text}gpus: 1\n")
    with_gpus = RunSettings(cluster=str(file))
    assert "--device cuda" in idle_gpus(with_gpus, "cpu")
    assert of_cluster(with_gpus, 1.0, 0.0, "cpu")[-1] == idle_gpus(with_gpus, "cpu")
    assert idle_gpus(with_gpus, "cuda") == ""
    assert idle_gpus(RunSettings(cluster=str(file), device="cpu"), "cpu") == ""
    assert idle_gpus(RunSettings(), "cpu") == ""
    file.write_text(text)
    assert idle_gpus(with_gpus, "cpu") == ""


@needs_jobqueue
def test_a_machine_without_the_commands_of_a_batch_system_is_named_at_once(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match="no qsub here"):
        batch_cluster(settings(launcher="pbs", walltime="1:00:00"), "name", None)
