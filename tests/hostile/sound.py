"""What each command takes for a sound input: what a hostile one is measured by."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.hostile.child import run
from tests.hostile.judge import Limits
from tests.hostile.readers import FAKE, SERIAL

if TYPE_CHECKING:
    from pathlib import Path


def baselines(sound: Path, folder: Path) -> dict[str, Limits]:
    """Return time and peak memory of every command for a sound input, by its name."""
    folder.mkdir()
    brain, mask = str(sound / "brain.zarr"), str(sound / "mask.zarr")
    out = str(shutil.copytree(sound / "out.zarr", folder / "derived.zarr"))
    at = str(folder)
    commands: dict[str, tuple[str, ...]] = {
        "run": ("run", brain, f"{at}/out.zarr", *FAKE),
        "info": ("info", brain),
        "plan": ("plan", brain, "--backend", "fake"),
        "convert": ("convert", brain, f"{at}/converted.zarr", *SERIAL),
        "metrics": ("metrics", brain, f"{at}/metrics.zarr", *SERIAL),
        "predict": ("predict", brain, "-o", f"{at}/predicted", "--backend", "fake"),
        "evaluate": ("evaluate", mask, mask),
        "export": ("export", brain, "--voxel-size", "25", "-o", f"{at}/one.tif", *SERIAL),
        "propose-annotations": ("propose-annotations", out, "-o", f"{at}/picks",
                                "--count", "2", "--pick-shape", "64"),
        "regions": ("regions", out, "--atlas", mask, *SERIAL),
        "density": ("density", out, "--voxel-size", "25", *SERIAL),
        "train": ("train", str(sound / "picks"), "-o", f"{at}/trained", "--steps", "1", "--accept-drafts"),
        "weights": ("weights", "import", str(sound / "published.pt"),
                    f"{at}/w.safetensors"),
        "synth": ("synth", f"{at}/brain.zarr", "--shape", "64", *SERIAL),
        "preview": ("preview", out, "-o", f"{at}/seen.png"),
        "label": ("label", out, "--min-size", "100", *SERIAL),
        "skeletonize": ("skeletonize", out, "--min-length", "25", *SERIAL),
        "status": ("status", out),
    }  # fmt: skip
    found = {}
    for name, words in commands.items():
        answer = run(words, folder, 120.0)
        if answer.code:
            print(f"blockseg {' '.join(words)}: {answer.out}{answer.err}", flush=True)
        found[name] = Limits(answer.seconds, answer.peak)
    return found
