"""The page of a run on a scheduler that somebody else runs."""

import urllib.request

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from distributed import LocalCluster

from blockseg.runtime.board import EXTENSION
from blockseg.runtime.dask.pages.plugin import dask_setup

pytestmark = pytest.mark.dask


@pytest.fixture
def theirs():
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as cluster:  # fmt: skip
        yield cluster


def run(blockseg_command, folder, *more):
    image = np.random.default_rng(0).normal(200, 10, (32, 64, 64)).astype(np.uint16)
    tifffile.imwrite(folder / "brain.tif", image, imagej=True)
    words = (
        "run", folder / "brain.tif", folder / "out.zarr", "--voxel-size", "1,1,1",
        "--block", "32,32,32", "--normalization", "200,40", "--backend", "fake", *more,
    )  # fmt: skip
    done = CliRunner().invoke(blockseg_command, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


def test_another_scheduler_gets_the_page_and_what_the_driver_knows(
    theirs, blockseg_command, tmp_path
):
    said = run(blockseg_command, tmp_path, "--scheduler", theirs.scheduler_address)
    page = theirs.dashboard_link.replace("/status", f"/{EXTENSION}")
    assert f"dashboard {page}" in said
    text = urllib.request.urlopen(page).read().decode()
    assert 'href="blockseg"' in text
    board = theirs.scheduler.extensions[EXTENSION]
    assert board.counts["segment", "done"] == 4
    assert board.out == str(tmp_path / "out.zarr")
    groups = {name for name in theirs.scheduler.task_prefixes if "segment" in name}
    assert groups == {"segment"}, "Dask's own pages name tasks by their phase"


def test_a_scheduler_that_cannot_take_the_page_is_said_in_a_line(
    theirs, blockseg_command, tmp_path, monkeypatch
):
    async def refused(*_, **__):
        message = "No module named 'blockseg'"
        raise ModuleNotFoundError(message)

    monkeypatch.setitem(theirs.scheduler.handlers, "register_scheduler_plugin", refused)
    said = run(blockseg_command, tmp_path, "--scheduler", theirs.scheduler_address)
    (line,) = [one for one in said.splitlines() if "shows no blocks" in one]
    assert "No module named 'blockseg'" in line
    assert "--preload blockseg.runtime.dask.pages.plugin" in line
    assert f"dashboard {theirs.dashboard_link}" in said


def test_a_scheduler_that_loads_the_page_at_its_start_needs_nothing_sent(
    theirs, blockseg_command, tmp_path, monkeypatch
):
    async def refused(*_, **__):
        message = "pickle is off"
        raise TypeError(message)

    async def preload():
        dask_setup(theirs.scheduler)

    theirs.sync(preload)
    monkeypatch.setitem(theirs.scheduler.handlers, "register_scheduler_plugin", refused)
    said = run(blockseg_command, tmp_path, "--scheduler", theirs.scheduler_address)
    assert "shows no blocks" not in said
    assert f"dashboard {theirs.dashboard_link.replace('status', EXTENSION)}" in said
    assert theirs.scheduler.extensions[EXTENSION].counts["segment", "done"] == 4
