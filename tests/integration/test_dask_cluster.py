"""Our own cluster: forked from a template, its dashboard loaded when it is looked at."""

import os
import subprocess
import sys

import psutil
import pytest

from blockseg.runtime.dask.cluster import local_cluster
from blockseg.runtime.dask.template import FORKS, start_template
from blockseg.runtime.memory import Layout

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
