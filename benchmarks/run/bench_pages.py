"""Cost of the pages: the dashboard of a run, and the annotation of a large pick.

    python -m benchmarks.run.bench_pages [--json FILE]

*Board*: a million blocks go over it, as the driver has them; microseconds of the driver's
thread a block, looked at or not. *Page*: what a browser session of ``/blockseg`` costs the
scheduler, which is in the driver's process, while everything changes: milliseconds of CPU an
update, of which there is one a second, and bytes of it. *Annotation*: a pick of 300³
(uint16) in headless Chromium, which must be installed: seconds from the click until it is
drawn, milliseconds to draw a frame while a brush of 21 voxels paints, between two frames
while the mouse moves, and until a stroke is on the disk.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.infer.infer_machine import machine
from blockseg.core.blocks import BlockReport
from blockseg.core.space import Space
from blockseg.dhpr.block_metrics import block_metrics
from blockseg.dhpr.cubes import HISTOGRAMS, SUMS, CubeTable
from blockseg.dhpr.grey_scale import CODES, GreyScale
from blockseg.io.tiff.write import write_tiff
from blockseg.runtime.board import EXTENSION, Board
from blockseg.runtime.events import BlockDone

GRID = (10, 250, 400)
EDGE = 300
SECONDS = (("read", 0.1), ("infer", 1.0), ("write", 0.1))


def board_row() -> dict[str, float]:
    board = Board()
    ids = np.arange(np.prod(GRID))
    board.begin("segment", GRID, ids, ids)
    reports = [BlockReport(n, written=64**3, seconds=SECONDS) for n in range(100_000)]
    began = time.process_time()
    for report in reports:
        board.handed_out([report.block_id])
        board.worked("tcp://127.0.0.1:1", [report], 0.1)
        board.take(BlockDone("segment", report))
    each = (time.process_time() - began) / len(reports)
    measured = measured_us()
    row = {"us_a_block": round(1e6 * each, 2), "us_a_measured_block": measured}
    return {**row, **page_row(board)}


def measured_us() -> float:
    """Return the microseconds of a block of 8 cubes that were measured."""
    rng = np.random.default_rng(0)
    scale = GreyScale(200.0, 10.0, "uint16", 65535.0)
    index = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3)
    histograms = rng.poisson(0.2, (8, len(HISTOGRAMS), CODES))
    sums = rng.integers(1, 10**5, (8, len(SUMS)))
    table = CubeTable(
        scale, True, (64, 64, 64), (0, 0, 0), index, 64 * index, 64 * index + 64, sums,
        histograms,
    )  # fmt: skip
    board, ids = Board(measured=True), np.arange(2000)
    shown = block_metrics(table)
    board.begin("segment", (1, 1, 2000), ids, ids)
    reports = [BlockReport(n, written=1, shown=shown) for n in ids.tolist()]
    began = time.process_time()
    for report in reports:
        board.take(BlockDone("segment", report))
    return round(1e6 * (time.process_time() - began) / len(reports), 1)


def page_row(board: Board) -> dict[str, float]:
    from bokeh.document import Document
    from bokeh.models import ColumnDataSource

    from blockseg.runtime.dask.pages.page import run_page

    workers = {
        f"w{n}": SimpleNamespace(
            address=f"tcp://127.0.0.1:{n}", name=str(n), metrics={"memory": 1e9}
        )
        for n in range(64)
    }
    for worker in workers.values():
        board.worked(worker.address, [], 1.0)
    scheduler: Any = SimpleNamespace(extensions={EXTENSION: board}, workers=workers)
    doc: Any = Document()
    run_page(scheduler, {}, doc)
    (page,) = vars(doc)["components"]
    took = []
    for _ in range(50):
        board.changes += 1
        began = time.process_time()
        page.update()
        took.append(time.process_time() - began)
    return {
        "ms_an_update": round(1e3 * statistics.median(took), 2),
        "bytes_an_update": sum(map(size_of, doc.select({"type": ColumnDataSource}))),
    }


def size_of(source: Any) -> int:
    return sum(
        column[0].nbytes
        if len(column) and isinstance(column[0], np.ndarray)
        else len(json.dumps(list(column), default=str))
        for column in source.data.values()
    )


def picks(root: Path) -> None:
    rng = np.random.default_rng(0)
    shape = (EDGE, EDGE, EDGE)
    image = rng.normal(1000, 60, shape).astype(np.uint16)
    label = np.zeros(shape, np.uint8)
    for y, x in rng.integers(20, EDGE - 20, (40, 2)):
        image[:, y : y + 3, x : x + 3] += 500
        label[:, y : y + 3, x : x + 3] = 1
    rows = []
    for folder in ("image", "label", "probability"):
        (root / folder).mkdir(parents=True)
    for name in ("first", "second"):
        write_tiff(root / "image" / f"{name}.tif", image, Space())
        write_tiff(root / "label" / f"{name}.tif", label, Space())
        write_tiff(root / "probability" / f"{name}.tif", label * np.uint8(230), Space())
        place = {
            f"{w}_{a}": n for w, n in (("start", 0), ("size", EDGE)) for a in "zyx"
        }
        rows.append({"name": name, **place})
    (root / "manifest.json").write_text(json.dumps({"format": 1, "picks": rows}))


def annotation_row() -> dict[str, float] | None:
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if not (driver and browser):
        return None
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1600,1000",
    ):
        options.add_argument(word)
    with tempfile.TemporaryDirectory() as folder:
        picks(Path(folder) / "picks")
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "blockseg_cli",
                "annotate",
                f"{folder}/picks",
                "--no-browser",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        address = next(
            f[0] for line in process.stdout if (f := re.search(r"http\S+", line))
        )
        chrome = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(driver)
        )
        try:
            return drawn(chrome, address)
        finally:
            chrome.quit()
            process.terminate()
            process.wait()


def drawn(chrome: Any, address: str) -> dict[str, float]:
    from selenium.webdriver import ActionChains

    chrome.get(address)
    wait(chrome, "return document.body.dataset.open === 'first'")
    opened = [chrome.execute_script("return blockseg.frames.opened")]
    for name, key in (("second", "n"), ("first", "p")):
        ActionChains(chrome).send_keys(key).perform()
        wait(chrome, f"return document.body.dataset.open === '{name}'")
        opened.append(chrome.execute_script("return blockseg.frames.opened"))
    chrome.execute_script("blockseg.state.size = 10; blockseg.state.ball = true")
    saved = []
    canvas = chrome.find_element("id", "view-z")
    for stroke in range(3):
        chain = ActionChains(chrome, duration=8)
        chain.move_to_element_with_offset(
            canvas, -120, 40 * stroke - 40
        ).click_and_hold()
        for step in range(60):
            chain.move_by_offset(4, 2 if step % 2 else -2)
        chain.release().perform()
        began = time.perf_counter()
        wait(chrome, "return !blockseg.saver.pending")
        saved.append(time.perf_counter() - began)
    frames = chrome.execute_script("return blockseg.frames")
    return {
        "opened_s": round(statistics.median(opened) / 1e3, 2),
        "frame_ms": round(statistics.median(frames["draw"]), 1),
        "frame_ms_95": round(float(np.percentile(frames["draw"], 95)), 1),
        "between_ms": round(statistics.median(frames["between"]), 1),
        "between_ms_95": round(float(np.percentile(frames["between"], 95)), 1),
        "frames": len(frames["draw"]),
        "saved_s": round(statistics.median(saved), 2),
    }


def wait(chrome: Any, script: str) -> None:
    end = time.monotonic() + 120
    while not chrome.execute_script(script):
        assert time.monotonic() < end, script
        time.sleep(0.005)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {"machine": machine(), "board": board_row(), "annotation": annotation_row()}
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
