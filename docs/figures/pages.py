"""Take the pictures of pages in docs/: each page in headless Chromium.

python docs/figures/pages.py [FOLDER] [--only NAME …]

Makes a brain in FOLDER (a temporary one if not given), segments, labels, skeletonizes it,
picks from it and trains on it with the `blockseg` command, opens what these wrote or
serve, and paints on the page of `blockseg annotate`. Needs Debian's packages chromium and
chromium-driver, and selenium.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver import ActionChains

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[1]
WINDOW = (1280, 660)
WAIT = 900
WORDS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--disable-dev-shm-usage")  # fmt: skip
MADE = (
    ("synth", "brain.zarr", "--shape", "96,160,224", "--preset", "lightsheet",
     "--seed", "5", "--voxel-size", "2,1,1"),
    ("run", "brain.zarr", "out.zarr"),
    ("label", "out.zarr", "--somata"),
    ("skeletonize", "out.zarr"),
    ("run", "brain.zarr", "lower.zarr", "--threshold", "0.3"),
    ("compare", "out.zarr", "lower.zarr", "--truth", "brain.zarr"),
    ("propose-annotations", "out.zarr", "-o", "picks", "--count", "4",
     "--pick-shape", "64"),
)  # fmt: skip


def command(*words: str) -> list[str]:
    """Return the command with its words."""
    return [sys.executable, "-m", "blockseg_cli", *words]


def prepared(folder: Path) -> None:
    """Make the brain and all that is looked at, as far as it is not there."""
    for number, words in enumerate(MADE):
        mark = folder / f".made-{number}"
        if not mark.exists():
            subprocess.run(command(*words, "-q"), cwd=folder, check=True)
            mark.touch()


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


def ended(process: subprocess.Popen[str]) -> None:
    """Stop a command that serves a page."""
    process.terminate()
    process.communicate()


def until(what: Callable[[], Any]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + WAIT
    while not what():
        if time.monotonic() > end:
            message = "the page does not come"
            raise TimeoutError(message)
        time.sleep(0.2)


class Camera:
    """A browser that takes pictures for the documents."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for word in (*WORDS, f"--window-size={WINDOW[0]},{WINDOW[1]}"):
            options.add_argument(word)
        driver = shutil.which("chromedriver") or "chromedriver"
        self.chrome = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(driver)
        )

    def look(
        self, address: str, width: int, height: int, *, dark: bool = False
    ) -> None:
        """Open a page in a window of that size."""
        self.chrome.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.chrome.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [scheme]}
        )
        self.chrome.get(address)

    def run(self, script: str, *values: object) -> Any:
        """Run a script of the page."""
        return self.chrome.execute_script(script, *values)

    def take(self, name: str, first: float = 0, last: float | None = None) -> None:
        """Write what the window shows, or the page between two heights, to docs/."""
        words: dict[str, Any] = {"format": "png"}
        if last is not None:
            width = self.run("return innerWidth")
            clip = {"x": 0, "y": first, "width": width, "height": last - first}
            words |= {"clip": clip | {"scale": 1}, "captureBeyondViewport": True}
        made = self.chrome.execute_cdp_cmd("Page.captureScreenshot", words)
        with Image.open(io.BytesIO(base64.b64decode(made["data"]))) as opened:
            opened.convert("RGB").save(DOCS / name, optimize=True)

    def top(self, heading: str) -> float:
        """Return where a section of a report begins, a little above its heading."""
        return float(
            self.run(
                "return [...document.querySelectorAll('h2, h3')].find("
                "h => h.textContent.startsWith(arguments[0])).getBoundingClientRect().top"
                " + scrollY - 18",
                heading,
            )
        )


def viewer(_: Camera, folder: Path) -> None:
    """Have the command draw its own page."""
    words = ("view", "out.zarr", "--picks", "picks", "--screenshot", "view.png")
    subprocess.run(command(*words, "--size", "1280,720"), cwd=folder, check=True)
    shutil.copy(folder / "view.png", DOCS)


def reports(camera: Camera, folder: Path) -> None:
    """Take the pages that commands leave behind, each as far as it says something new."""
    run = (folder / "out.zarr" / "report.html").as_uri()
    camera.look(run, 1100, 800)
    camera.take("report.png", 0, camera.top("Dimmest"))
    camera.look(run, 1100, 800, dark=True)
    camera.take("report-objects.png", camera.top("Metrics"), camera.top("Time"))
    camera.look((folder / "compare.html").as_uri(), 1100, 800)
    camera.take("compare.png", 0, 1000)
    camera.look((folder / "picks" / "report.html").as_uri(), 1280, 800)
    camera.take("picks.png", 0, camera.top("To pick the same again"))


def training(camera: Camera, folder: Path) -> None:
    """Look at the report of a training that goes on, and stop it."""
    shutil.rmtree(folder / "training", ignore_errors=True)
    words = (
        "train", "brain.zarr", "-o", "training", "--label-name", "truth", "--init",
        "axons", "--config", "train-finetune", "--steps", "120", "--batch", "4",
        "--patch", "24", "--validate-every", "12", "-q",
    )  # fmt: skip
    report = folder / "training" / "report.html"
    process = subprocess.Popen(command(*words), cwd=folder)
    until(lambda: report.exists() and "Running; step 72" in report.read_text())
    camera.look(report.as_uri(), 1100, 800)
    camera.take("training.png", 0, camera.top("Scores of the last validation"))
    process.terminate()
    process.wait()


def annotate(camera: Camera, folder: Path) -> None:
    """Mark a pick as done, paint where the draft has a gap, and take the picture."""
    shutil.rmtree(folder / "painted", ignore_errors=True)
    shutil.copytree(folder / "picks", folder / "painted")
    process, address = served(
        folder, "annotate", "painted", "--traces", "out.zarr", "--no-browser"
    )
    camera.look(address, 1440, 860)
    opened = "return document.body.dataset.open"
    until(lambda: camera.run(opened))
    first = camera.run(opened)
    second = "document.querySelectorAll('#picks li')[1]"
    for script in (f"{second}.click()", "document.getElementById('done').click()"):
        shown = camera.run(opened)
        camera.run(script)
        until(lambda shown=shown: camera.run(opened) != shown)
    camera.run("document.querySelector('#picks li').click()")
    until(lambda: camera.run(opened) == first)
    canvas = camera.chrome.find_element("id", "view-z")
    chain = ActionChains(camera.chrome).send_keys("[")
    chain.move_to_element_with_offset(canvas, -95, -5).click_and_hold()
    chain.move_by_offset(40, 35).move_by_offset(35, 30).release()
    chain.perform()
    until(lambda: camera.run("return !blockseg.saver.pending"))
    camera.take("annotate.png")
    ended(process)


def learning(camera: Camera, folder: Path) -> None:
    """Mark the picks as done, and look at the training that the page began."""
    shutil.rmtree(folder / "learnt", ignore_errors=True)
    (folder / "learn.yaml").write_text(
        "steps: 60\nbatch: 2\npatch: 24\nvalidate-every: 6\naccept-drafts: true\n"
    )
    process, address = served(
        folder, "annotate", "picks", "--train", "learnt", "--init", "axons",
        "--train-config", "learn.yaml", "--no-browser",
    )  # fmt: skip
    camera.look(address, 1440, 860)
    until(lambda: camera.run("return document.body.dataset.open"))
    camera.run("document.getElementById('training-start').click()")
    until(lambda: camera.run("return blockseg.training.last?.scores.length > 7"))
    camera.run("document.getElementById('training').scrollIntoView({block: 'center'})")
    camera.take("annotate-train.png")
    camera.run("document.getElementById('training-stop').click()")
    until(lambda: camera.run("return blockseg.training.last.state !== 'running'"))
    ended(process)


def dashboard(camera: Camera, folder: Path) -> None:
    """Look at a run half way."""
    shutil.rmtree(folder / "second.zarr", ignore_errors=True)
    process, address = served(
        folder, "run", "brain.zarr", "second.zarr", "--block", "32,32,32",
        "--workers", "2",
    )  # fmt: skip
    camera.look(address, *WINDOW)
    half = re.compile(r"(\d+) of (\d+) blocks")

    def is_half() -> bool:
        text = camera.run(
            "return Bokeh.documents[0].roots()[0].children[0].text"
        )  # its own elements are in shadow roots
        found = half.search(text or "")
        return bool(found) and int(found[1]) * 2 > int(found[2])

    until(lambda: camera.run("return window.Bokeh?.documents.length"))
    until(is_half)
    camera.take("dashboard.png")
    ended(process)


PAGES = {
    "viewer": viewer,
    "reports": reports,
    "training": training,
    "annotate": annotate,
    "learning": learning,
    "dashboard": dashboard,
}


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", help="where the brain is made and kept")
    parser.add_argument("--only", nargs="+", choices=PAGES, default=list(PAGES))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(asked.folder or spare)
        folder.mkdir(exist_ok=True)
        prepared(folder)
        camera = Camera()
        try:
            for name in asked.only:
                PAGES[name](camera, folder)
        finally:
            camera.chrome.quit()


if __name__ == "__main__":
    main()
