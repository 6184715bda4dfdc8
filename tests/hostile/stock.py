"""Sound inputs, made by the real commands, that hostile ones are made from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import torch

from blockseg.networks.published import published_names
from blockseg.networks.sdasn import SDASN
from blockseg.networks.shipped import weights_path
from tests.hostile.readers import FAKE, SERIAL

if TYPE_CHECKING:
    from pathlib import Path

WORDS = (sys.executable, "-m", "blockseg_cli")


def make_stock(folder: Path) -> Path:
    """Make a brain, its result with labels and traces, picks, weights; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    brain, out = str(folder / "brain.zarr"), str(folder / "out.zarr")
    commands = (
        ("synth", brain, "--shape", "64,64,128", "--preset", "clean", *SERIAL, "-q"),
        ("run", brain, out, *FAKE, "-q"),
        ("label", out, "--min-size", "100", *SERIAL, "-q"),
        ("skeletonize", out, "--min-length", "25", *SERIAL, "-q"),
        ("propose-annotations", out, "-o", str(folder / "picks"), "--count", "2",
         "--pick-shape", "64", "-q"),
    )  # fmt: skip
    for words in commands:
        done = subprocess.run(
            [*WORDS, *words], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            message = f"blockseg {' '.join(words)}: {done.stdout}{done.stderr}"
            raise RuntimeError(message)
    shutil.copytree(folder / "out.zarr/labels/foreground", folder / "mask.zarr")
    shutil.copy(weights_path(None), folder / "weights.safetensors")
    network = SDASN(8)
    own = network.state_dict()
    state = {theirs: own[ours] for theirs, ours in published_names().items()}
    torch.save({"state_dict": state}, folder / "published.pt")
    return folder
