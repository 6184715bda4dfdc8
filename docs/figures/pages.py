"""Take docs/annotate.png and docs/dashboard.png: the pages in headless Chromium.

python docs/figures/pages.py [FOLDER]

Makes a brain in FOLDER (a temporary one if not given), segments, labels, skeletonizes it
and picks from it with the `blockseg` command, paints a stroke on the page of `blockseg
annotate`, and looks at the dashboard of a second run. Needs Debian's packages chromium
and chromium-driver, and selenium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium import webdriver
from selenium.webdriver import ActionChains

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[1]
SHAPE = "128,192,192"
WORDS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,1000")
WAIT = 300


def command(*words: str) -> list[str]:
    """Return the command with its words."""
    return [sys.executable, "-m", "blockseg_cli", *words]


def prepared(folder: Path) -> None:
    """Make the brain, its result and picks."""
    if (folder / "picks").exists():
        return
    for words in (
        ("synth", "brain.zarr", "--shape", SHAPE, "--preset", "lightsheet", "--seed", "5",
         "--voxel-size", "2,1,1"),
        ("run", "brain.zarr", "out.zarr"),
        ("label", "out.zarr"),
        ("skeletonize", "out.zarr"),
        ("propose-annotations", "out.zarr", "-o", "picks", "--count", "4",
         "--pick-shape", "64"),
    ):  # fmt: skip
        subprocess.run(command(*words, "-q"), cwd=folder, check=True)


def served(folder: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """Start a command, and return it with the first address that it prints."""
    process = subprocess.Popen(
        command(*words), cwd=folder, stdout=subprocess.PIPE, text=True
    )
    if process.stdout is not None:
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                return process, found[0]
    raise SystemExit(process.wait())


def until(what: Callable[[], Any]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + WAIT
    while not what():
        if time.monotonic() > end:
            message = "the page does not come"
            raise TimeoutError(message)
        time.sleep(0.2)


def annotate(chrome: webdriver.Chrome, folder: Path) -> None:
    """Paint a stroke and take the picture."""
    process, address = served(
        folder, "annotate", "picks", "--traces", "out.zarr", "--no-browser"
    )
    chrome.get(address)
    until(lambda: chrome.execute_script("return document.body.dataset.open"))
    canvas = chrome.find_element("id", "view-z")
    chain = ActionChains(chrome).move_to_element_with_offset(canvas, -60, 30)
    chain.click_and_hold().move_by_offset(30, 40).move_by_offset(40, 10).release()
    chain.perform()
    until(lambda: chrome.execute_script("return !blockseg.saver.pending"))
    chrome.save_screenshot(str(DOCS / "annotate.png"))
    process.terminate()
    process.wait()


def dashboard(chrome: webdriver.Chrome, folder: Path) -> None:
    """Look at a run half way."""
    shutil.rmtree(folder / "second.zarr", ignore_errors=True)
    process, address = served(
        folder,
        "run",
        "brain.zarr",
        "second.zarr",
        "--block",
        "32,32,32",
        "--workers",
        "2",
    )
    chrome.get(address)
    half = re.compile(r"(\d+) of (\d+) blocks")

    def is_half() -> bool:
        text = chrome.execute_script(
            "return Bokeh.documents[0].roots()[0].children[0].text"
        )
        found = half.search(text or "")
        return bool(found) and int(found[1]) * 2 > int(found[2])

    until(lambda: chrome.execute_script("return window.Bokeh?.documents.length"))
    until(is_half)
    chrome.save_screenshot(str(DOCS / "dashboard.png"))
    process.terminate()
    process.wait()


def main() -> None:
    """Take both pictures."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for word in WORDS:
        options.add_argument(word)
    service = webdriver.ChromeService(shutil.which("chromedriver") or "chromedriver")
    chrome = webdriver.Chrome(options=options, service=service)
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else spare)
        prepared(folder)
        try:
            annotate(chrome, folder)
            dashboard(chrome, folder)
        finally:
            chrome.quit()


if __name__ == "__main__":
    main()
