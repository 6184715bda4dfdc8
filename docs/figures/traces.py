"""Draw docs/traces.png: skeletons over the image of a synthetic brain.

python docs/figures/traces.py [FOLDER]

Makes a brain of preset fmost in FOLDER (a temporary one if not given), segments, labels
and skeletonizes it with the `blockseg` command, and draws the traces of each object in a
colour of its own over the maximum of the image along z.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.morphology.swc import read_swc, swc_files

SHAPE = "96,384,384"
SCALE = 3
LINE = 2


def traced(folder: Path) -> tuple[Path, Path]:
    """Return a brain and its result, made by the command."""
    commands = (
        ("synth", "brain.zarr", "--shape", SHAPE, "--preset", "fmost", "--seed", "3"),
        ("run", "brain.zarr", "out.zarr"),
        ("label", "out.zarr"),
        ("skeletonize", "out.zarr"),
    )
    for words in commands:
        command = [sys.executable, "-m", "blockseg_cli", *words]
        subprocess.run([*command, "-q"], cwd=folder, check=True)
    return folder / "brain.zarr", folder / "out.zarr"


def main() -> None:
    """Draw the figure."""
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else spare)
        brain, out = traced(folder)
        volume = open_volume(find(str(brain)))
        light = volume.read(Roi.whole(volume.shape)).max(axis=0).astype(float)
        trees = [read_swc(path) for path in swc_files([out / "traces/swc"])]
    low, high = np.percentile(light, (2, 99.5))
    grey = (np.clip((light - low) / (high - low), 0, 1) ** 0.7 * 255).astype(np.uint8)
    size = (grey.shape[1] * SCALE, grey.shape[0] * SCALE)
    plain = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    lines = plain.point([int(0.6 * n) for n in range(256)] * 3)
    draw = ImageDraw.Draw(lines)
    space = volume.space
    corner, edge = np.array(space.translation[1:]), np.array(space.voxel_size[1:])
    rng = np.random.default_rng(5)
    for tree in trees:
        colour = tuple(rng.permutation([255, int(rng.integers(60, 256)), 40]).tolist())
        place = ((tree.position[:, 1:] - corner) / edge + 0.5)[:, ::-1] * SCALE
        for child in np.flatnonzero(tree.parent >= 0):
            ends = [tuple(place[tree.parent[child]]), tuple(place[child])]
            draw.line(ends, fill=colour, width=LINE)
    both = Image.new("RGB", (2 * size[0] + 6, size[1]), "white")
    both.paste(plain, (0, 0))
    both.paste(lines, (size[0] + 6, 0))
    half = (both.width // 2, both.height // 2)
    path = Path(__file__).parents[1] / "traces.png"
    both.resize(half, Image.Resampling.LANCZOS).save(path, optimize=True)


if __name__ == "__main__":
    main()
