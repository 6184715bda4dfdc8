"""Paint around holes of a synthetic brain: as it is stored, filled with b, or mirrored.

    python -m benchmarks.accuracy.bench_holes

False voxels are foreground farther than 2 voxels from the truth, within 32 voxels of the
hole and not in it; of a repeated plane those in the copies stand apart. The same places of
the intact brain are counted beside them. Results go to ``results/holes.json``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import zarr
from scipy.ndimage import distance_transform_edt

import blockseg
from benchmarks.infer.infer_machine import machine
from blockseg.blockwise.planning.decisions import Decisions
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes
from blockseg.normalization.background import estimate_background

RESULTS = Path(__file__).parent / "results"
SHAPE = "128,192,256"
PRESETS = ("fmost", "clean")
REACH, NEAR = 32, 2  # voxels

PLACES: dict[str, Any] = {
    "box of 40×60×60, 0": np.s_[40:80, 60:120, 80:140],
    "three planes, 0": np.s_[60:63],
    "plane stored five times": np.s_[61:65],
}


def brain(preset: str) -> tuple[np.ndarray, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "brain.zarr"
        words = ["synth", str(out), "--shape", SHAPE, "--preset", preset]
        words += ["--scheduler", "serial", "-q"]
        subprocess.run([sys.executable, "-m", "blockseg_cli", *words], check=True)
        image: Any = zarr.open_array(out / "0", mode="r")[:]
        truth: Any = zarr.open_array(out / "labels" / "branches" / "0", mode="r")[:]
    return image, truth > 0


def damaged(image: np.ndarray, name: str) -> np.ndarray:
    out = image.copy()
    out[PLACES[name]] = image[60] if name.startswith("plane") else 0
    return out


def painted(image: np.ndarray, *, told: bool) -> np.ndarray:
    """Segment; if holes are not ``told``, what is stored there is what is seen."""
    if told:
        return blockseg.predict(image) >= 128
    with mock.patch.object(Decisions, "hole_rule", None):
        return blockseg.predict(image) >= 128


def main() -> None:
    rows: list[dict[str, Any]] = []
    for preset in PRESETS:
        image, truth = brain(preset)
        sample = sample_planes(MemoryVolume(image))
        level = round(estimate_background(sample.patches, image.dtype).level)
        false = distance_transform_edt(~truth) > NEAR
        intact = painted(image, told=True)
        for name, place in PLACES.items():
            hole = np.zeros(image.shape, bool)
            hole[place] = True
            rim = (distance_transform_edt(~hole) <= REACH) & ~hole
            with_hole = damaged(image, name)
            constant = image.copy()
            constant[place] = level
            found = {
                "as stored": painted(with_hole, told=False),
                "filled with b": painted(constant, told=False),
                "mirrored": painted(with_hole, told=True),
            }
            row: dict[str, Any] = {"preset": preset, "hole": name}
            row["intact"] = int((intact & false & rim).sum())
            for how, mask in found.items():
                row[how] = int((mask & false & rim).sum())
                row[f"{how}, in the hole"] = int((mask & hole).sum())
            rows.append(row)
            print(json.dumps(row, ensure_ascii=False), flush=True)
    result = {"machine": machine(), "shape": SHAPE, "rows": rows}
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (RESULTS / "holes.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
