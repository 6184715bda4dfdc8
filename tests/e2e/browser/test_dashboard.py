"""The page of a run on the dashboard, in a browser while the run goes on."""

import contextlib
import re
import subprocess
import sys
import time
import urllib.request

import numpy as np
import psutil
import pytest
import tifffile

pytestmark = [pytest.mark.slow, pytest.mark.dask]

WAIT = 300


def until(what):
    end = time.monotonic() + WAIT
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def text_of(chrome):
    """Return all words of the page; Bokeh keeps its own in shadow roots."""
    return chrome.execute_script(
        "const all = (n) => (n.textContent ?? '') + ' ' + [...n.querySelectorAll('*')]"
        ".filter(e => e.shadowRoot).map(e => all(e.shadowRoot)).join(' ');"
        "return all(document.body)"
    )


def test_the_page_shows_blocks_and_workers_while_a_run_goes_on(chrome, blockseg):
    rng = np.random.default_rng(0)
    image = rng.normal(200, 10, (32, 512, 512)).astype(np.uint16)
    tifffile.imwrite(blockseg.folder / "brain.tif", image, imagej=True)
    process = blockseg.start(
        "run", "brain.tif", "out.zarr", "--voxel-size", "1,1,1", "--block", "32,32,32",
        "--normalization", "200,40", "--workers", "1",
    )  # fmt: skip
    address = next(
        found[1]
        for line in process.stdout
        if (found := re.search(r"dashboard (http://\S+)", line))
    )
    assert address.endswith("/blockseg")
    chrome.get(address)
    until(lambda: (found := COUNT.search(text_of(chrome))) and int(found[1]))
    with held(process):
        before = int(until(lambda: COUNT.search(text_of(chrome)))[1])
        assert before < 256
        shown = text_of(chrome)
        for words in ("out.zarr", "Mvoxel/s", "at a worker", "failed", "infer, s"):
            assert words in shown, words
        colours = until(lambda: chrome.execute_script(MAP))
        assert len(colours) == 256
        assert len(set(colours)) >= 2, "some wait, and some are at the worker"
        metrics = urllib.request.urlopen(
            address.replace("/blockseg", "/metrics")
        ).read()
        if b"not available" not in metrics:
            assert b'blockseg_blocks{phase="segment",state="left"}' in metrics
            assert b"dask_scheduler_workers" in metrics
        for path in ("/status", "/tasks"):
            opened = urllib.request.urlopen(address.replace("/blockseg", path)).read()
            assert b'href="blockseg"' in opened
    until(lambda: (found := COUNT.search(text_of(chrome))) and int(found[1]) > before)
    process.terminate()
    process.wait(300)


COUNT = re.compile(r"segment: (\d+) of 256 blocks")
MAP = """
for (const model of Bokeh.documents[0]._all_models.values()) {
  const data = model.data instanceof Map ? Object.fromEntries(model.data) : model.data;
  if (data?.image?.length) return Array.from(data.image[0]);
}
return null;
"""


@contextlib.contextmanager
def held(process):
    """Let the workers of a run stand still."""
    workers = psutil.Process(process.pid).children(recursive=True)
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.resume()


def test_without_a_look_no_part_of_bokeh_is_loaded(blockseg):
    tifffile.imwrite(
        blockseg.folder / "brain.tif",
        np.random.default_rng(0).normal(200, 10, (32, 32, 64)).astype(np.uint16),
        imagej=True,
    )
    (blockseg.folder / "script.py").write_text(
        "import sys, blockseg\n"
        "if __name__ == '__main__':\n"
        "    done = blockseg.run('brain.tif', 'out.zarr', voxel_size='1,1,1',\n"
        "        block='32,32,32', normalization='200,40', workers=1, backend='fake')\n"
        "    assert done.complete\n"
        "    assert not any(name.startswith('bokeh') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "script.py"], cwd=blockseg.folder, check=True)
