"""Draw docs/view.png, docs/report.png and docs/compare.png: a small brain, looked at.

python docs/figures/view.py     (needs Chromium)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from blockseg.viewing.browser import picture_of

DOCS = Path(__file__).parents[1]
SHAPE = "128,320,448"
COLOURS = 128


def blockseg(folder: str, *arguments: str) -> None:
    """Run a command as a user would."""
    words = [sys.executable, "-m", "blockseg_cli", *arguments]
    subprocess.run(words, cwd=folder, check=True)


def keep(made: Path, name: str, height: int | None = None) -> None:
    """Write a picture to the documents, small, and its top only if a height is given."""
    with Image.open(made) as opened:
        picture = opened.convert("RGB")
    if height is not None:
        picture = picture.crop((0, 0, picture.width, height))
    small = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(DOCS / name, optimize=True)


def main() -> None:
    """Make the brain and draw it."""
    with tempfile.TemporaryDirectory() as folder:
        blockseg(folder, "synth", "brain.zarr", "--shape", SHAPE, "--seed", "4", "-q")
        blockseg(folder, "run", "brain.zarr", "out.zarr", "--label", "-q")
        blockseg(folder, "skeletonize", "out.zarr", "-q")
        blockseg(
            folder, "view", "out.zarr", "--screenshot", "view.png", "--size", "1280,720"
        )
        keep(Path(folder, "view.png"), "view.png")
        blockseg(folder, "run", "brain.zarr", "b.zarr", "--threshold", "0.3", "-q")
        blockseg(folder, "compare", "out.zarr", "b.zarr", "--truth", "brain.zarr", "-q")
        for page, name, height in (
            ("out.zarr/report.html", "report.png", 1500),
            ("compare.html", "compare.png", 1000),
        ):
            made = Path(folder, name)
            made.write_bytes(
                picture_of(Path(folder, page).as_uri(), width=1100, height=height)
            )
            keep(made, name)


if __name__ == "__main__":
    main()
