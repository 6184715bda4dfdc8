"""What a driver does not load, so that its memory stays small for days."""

import os
import subprocess
import sys

import pytest

from blockseg.reports import write
from blockseg.runtime.dask.template import FORKS, has_template, start_template

HEAVY = {
    "bokeh", "dask", "distributed", "h5py", "matplotlib", "numba", "openvino",
    "pandas", "PIL", "pyarrow", "scipy", "skimage", "torch", "zarr",
}  # fmt: skip


@pytest.mark.parametrize(
    "modules",
    [
        "blockseg_cli.run, blockseg.segmentation.run, blockseg.segmentation.workers",
        "blockseg_cli.plan, blockseg.segmentation.forecast",
    ],
)
def test_planning_loads_no_library_that_it_does_not_need(modules):
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.usefixtures("reports")
@pytest.mark.skipif(not FORKS, reason="there are no templates here")
def test_a_report_is_written_by_another_process_where_that_is_quickly_there(
    monkeypatch, tmp_path
):
    start_template()
    assert has_template()
    here = os.getpid()
    monkeypatch.setattr(write, "_written", _pid)
    written_by = write._written_apart(tmp_path, ["a note"])
    assert written_by.endswith("['a note']")
    assert not written_by.startswith(f"{here} ")


@pytest.mark.usefixtures("reports")
def test_what_goes_wrong_with_a_report_in_another_process_is_told(tmp_path):
    start_template()
    assert "is no output of blockseg run" in write._written_apart(tmp_path, [])


def _pid(_, notes):
    return f"{os.getpid()} {list(notes)}"
