"""Our own cluster: forked from a template, its dashboard loaded when it is looked at."""

import os
import signal
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest

from blockseg.runtime.dask.cluster import local_cluster
from blockseg.runtime.dask.template import FORKS, start_template
from blockseg.runtime.memory import Layout
from tests.faults.child import is_dead

pytestmark = pytest.mark.dask

LAYOUT = Layout(2, 2, 1, 2 * 2**30)


def test_the_dashboard_is_loaded_when_somebody_looks_at_it():
    script = (
        "import sys, urllib.request\n"
        "from blockseg.runtime.dask.cluster import local_cluster\n"
        "from blockseg.runtime.memory import Layout\n"
        "if __name__ == '__main__':\n"
        "    with local_cluster(Layout(1, 1, 1, 2**30)) as cluster:\n"
        "        print('bokeh' in sys.modules)\n"
        "        page = urllib.request.urlopen(cluster.dashboard).read()\n"
        "        print('bokeh' in sys.modules, b'bk-' in page or b'Bokeh' in page)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True", "True"]


@pytest.mark.skipif(not FORKS, reason="workers are spawned here")
def test_workers_are_forked_from_one_process_that_has_imported_for_them():
    with local_cluster(LAYOUT) as cluster:
        parents = cluster.client.run(os.getppid)
    assert len(parents) == LAYOUT.workers
    (template,) = set(parents.values())
    assert psutil.Process(template).ppid() == os.getpid()
    assert psutil.Process(template).num_threads() == 1


@pytest.mark.skipif(not FORKS, reason="workers are spawned here")
def test_what_is_set_after_the_template_began_reaches_workers(monkeypatch):
    start_template()
    monkeypatch.setenv("BLOCKSEG_TEST_OF_TEMPLATE", "late")
    with local_cluster(LAYOUT) as cluster:
        found = cluster.client.run(os.environ.get, "BLOCKSEG_TEST_OF_TEMPLATE")
    assert set(found.values()) == {"late"}


@pytest.mark.skipif(not FORKS, reason="workers are spawned here")
def test_a_process_from_the_template_ends_with_a_driver_that_is_killed():
    script = (
        "import os\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from blockseg.runtime.dask import template\n"
        "if __name__ == '__main__':\n"
        "    template.start_template()\n"
        "    context = template.child_context()\n"
        "    pool = ProcessPoolExecutor(1, context, template.end_with_parent)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout is not None
        child = psutil.Process(int(driver.stdout.readline()))
        template = child.parent()
        assert template is not None
        driver.kill()
    _, left = psutil.wait_procs([child, template], 60)
    for process in left:
        process.kill()
    assert not [process for process in left if not is_dead(process)]


@pytest.mark.skipif(not FORKS, reason="workers are spawned here")
def test_an_interrupt_while_the_template_starts_is_not_lost(monkeypatch):
    def interrupted():
        # To this thread, which blocks it: another one would take it at any time.
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(forkserver, "ensure_running", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start_template()


@pytest.mark.skipif(not FORKS, reason="workers are spawned here")
def test_the_template_ignores_what_reaches_all_of_a_terminal_or_a_job():
    with local_cluster(LAYOUT) as cluster:
        parents = cluster.client.run(os.getppid)
        masks = [signal_masks(pid) for pid in set(parents.values())]
    for ignored, blocked in masks:
        assert {signal.SIGINT, signal.SIGTERM} <= ignored
        assert not {signal.SIGINT, signal.SIGTERM} & blocked


def signal_masks(pid):
    lines = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return [
        {n for n in range(1, 65) if int(lines[name], 16) >> (n - 1) & 1}
        for name in ("SigIgn", "SigBlk")
    ]
