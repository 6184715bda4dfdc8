"""Draw docs/labels.png: a synthetic brain, its mask, and its objects in colours.

python docs/figures/labels.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

SHAPE = "128,320,320"


def blockseg(folder: str, *arguments: str) -> None:
    """Run a command as a user would."""
    words = [sys.executable, "-m", "blockseg_cli", *arguments]
    subprocess.run(words, cwd=folder, check=True)


def main() -> None:
    """Make the brain and draw it."""
    with tempfile.TemporaryDirectory() as folder:
        blockseg(folder, "synth", "brain.zarr", "--shape", SHAPE, "--seed", "4", "-q")
        # One level of the background is enough here, and is not drawn.
        robust = ("--normalization", "robust")
        blockseg(folder, "run", "brain.zarr", "out.zarr", "--label", "-q", *robust)
        blockseg(folder, "preview", "out.zarr", "-o", "labels.png")
        target = Path(__file__).parents[1] / "labels.png"
        with Image.open(Path(folder, "labels.png")) as picture:
            picture.convert("P", palette=Image.Palette.ADAPTIVE).save(
                target, optimize=True
            )


if __name__ == "__main__":
    main()
