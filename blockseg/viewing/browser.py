"""Browsers: the user's own, and one without a window that draws a picture."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import webbrowser
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Commands of browsers that draw without a window; the first one found is used."""

_FLAGS = (
    "--headless=new",
    # WebGL by the processor: machines that hold brains often have no screen.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--mute-audio",
)


def find_browser() -> str | None:
    """Return the command of a browser that can draw without a window; None if none is."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def show(url: str) -> bool:
    """Open a page in the user's browser; return whether there is one."""
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False


@contextmanager
def hidden(url: str, width: int, height: int) -> Iterator[None]:
    """Have a page open in a browser without a window.

    Raises
    ------
    ConfigError
        If there is no such browser.
    """
    with _command(width, height) as words:
        process = subprocess.Popen(
            [*words, url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _command(width: int, height: int) -> Iterator[list[str]]:
    """Yield the command of a browser without a window, with a profile of its own."""
    command = find_browser()
    if command is None:
        message = (
            "--screenshot needs Chromium or Chrome, and none of "
            f"{', '.join(NAMES)} is installed; apt-get install chromium, or open the page "
            "yourself without --screenshot"
        )
        raise ConfigError(message)
    with tempfile.TemporaryDirectory(
        prefix="blockseg-view-", ignore_cleanup_errors=True
    ) as profile:
        words = [command, *_FLAGS, f"--user-data-dir={profile}"]
        words.append(f"--window-size={width},{height}")
        if os.geteuid() == 0:  # Chromium's sandbox is not for root
            words.append("--no-sandbox")
        yield words
