"""``make demo``: make a small brain, segment it, score it, and draw the result."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.morphology.scores import tolerant_agreement, voxel_agreement

if TYPE_CHECKING:
    import numpy as np

FOLDER = Path("demo")
BRAIN = FOLDER / "brain.zarr"
RESULT = FOLDER / "brain.blockseg.zarr"
PICTURE = FOLDER / "brain.png"


def blockseg(*arguments: str) -> None:
    """Run the command as a user would, and show what was typed."""
    print(f"\n$ blockseg {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "blockseg_cli", *arguments], check=True)


def read(path: Path) -> np.ndarray:
    """Read the finest level of an image."""
    volume = open_volume(find(str(path)))
    return volume.read(Roi.whole(volume.shape))


def neurites() -> str:
    """Return how many objects of the clean mask there are, and how long."""
    with (RESULT / "tables" / "objects.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["clean"] == "1"]
    length = sum(float(row["length_um"]) for row in rows) / 1000
    return f"{len(rows)}, about {length:.1f} mm long together"


def main() -> None:
    """Do it all."""
    start = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    blockseg("synth", str(BRAIN), "--shape", "384,512,512", "--preset", "fmost")
    blockseg("run", str(BRAIN), str(RESULT))
    blockseg("label", str(RESULT), "-q")
    blockseg("preview", str(RESULT), "-o", str(PICTURE))

    found = read(RESULT / "labels" / "foreground") > 0
    truth = read(BRAIN / "labels" / "truth") > 0
    exact, near = voxel_agreement(found, truth), tolerant_agreement(found, truth, 2)
    print(
        f"""
Score against the truth of the synthetic brain, {time.monotonic() - start:.0f} s after the start:
  voxels            precision {exact.precision:.3f}  recall {exact.recall:.3f}  F1 {exact.f1:.3f}
  within 2 voxels   precision {near.precision:.3f}  recall {near.recall:.3f}  F1 {near.f1:.3f}

Neurites {neurites()}
Result   {RESULT}  (OME-Zarr: probability; labels/foreground: mask;
         labels/components: objects; tables/objects.csv: what is known of each)
Picture  {PICTURE}  (the objects, a colour each)
Look further:
  pip install 'napari[all]' napari-ome-zarr
  napari --plugin napari-ome-zarr {BRAIN} {RESULT}"""
    )


if __name__ == "__main__":
    main()
