"""SHA-256 of every file that a dozen small runs write, to hold a change against.

    record_bytes.py bytes.json             before the change
    record_bytes.py bytes.json --compare   after it: lists what differs, exit code 1 if any

No benchmark: whoever rearranges the code records the bytes first and compares after each
step. Everything goes through the command line, on sources that are the same on every
machine; files in ``.blockseg/`` hold times and places and are left out. Bytes of the same
backend on the same kind of CPU are equal; recorded elsewhere they are not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import z5py
import zarr

RUN = ("--scheduler", "serial", "--threads", "1", "-q")
PLAIN = ("--scheduler", "serial", "-q")
SIZE = ("--voxel-size", "1,0.5,0.5")
TIMES = ("report.html", "log.csv")
"""Files whose content depends on the clock."""


def blockseg(folder: Path, *words: str) -> None:
    command = [sys.executable, "-m", "blockseg_cli", *words]
    done = subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr}")


def make_sources(folder: Path) -> None:
    """One synthetic brain in five formats, a mask, and weights of another network."""
    blockseg(
        folder, "synth", "brain.zarr", "--shape", "96,128,160", "--preset", "clean", *PLAIN
    )  # fmt: skip
    image: Any = zarr.open_array(folder / "brain.zarr" / "0", mode="r")[:]
    v2 = zarr.create_array(
        folder / "v2.zarr", shape=image.shape, dtype=image.dtype, chunks=(32, 48, 64),
        zarr_format=2,
    )  # fmt: skip
    v2[:] = image
    n5 = z5py.File(str(folder / "brain.n5"), mode="a", use_zarr_format=False)
    n5.create_dataset("s0", data=image, chunks=(32, 32, 32), compression="gzip")
    tifffile.imwrite(folder / "brain.tif", image, compression="zlib")
    (folder / "slices").mkdir()
    for z, plane in enumerate(image):
        tifffile.imwrite(folder / "slices" / f"z{z:04d}.tif", plane)
    mask = np.zeros((24, 32, 40), np.uint8)
    mask[4:20, 4:, :30] = 1
    tifffile.imwrite(folder / "mask.tif", mask)
    blockseg(
        folder, "train", "synth:clean", "--network", "voxresnet", "--width", "2",
        "--steps", "1", "--batch", "1", "--patch", "16", "--workers", "0",
        "--threads", "1", "--validation-share", "0", "-o", "voxresnet", "-q",
    )  # fmt: skip


CASES: dict[str, tuple[str, ...]] = {
    "run-zarr3": ("run", "brain.zarr", "run-zarr3", *RUN),
    "run-zarr2": ("run", "v2.zarr", "run-zarr2", *SIZE, *RUN),
    "run-n5": ("run", "brain.n5", "run-n5", *SIZE, *RUN),
    "run-tiff": ("run", "brain.tif", "run-tiff", *SIZE, *RUN),
    "run-slices": ("run", "slices", "run-slices", *SIZE, *RUN),
    "run-roi": ("run", "brain.zarr", "run-roi", "--roi", "5:80,9:128,0:101", *RUN),
    "run-mask": ("run", "brain.zarr", "run-mask", "--mask", "mask.tif", *RUN),
    "run-sparse": ("run", "brain.zarr", "run-sparse", "--sparse", *RUN),
    "run-field": ("run", "brain.zarr", "run-field", "--normalization", "field", *RUN),
    "run-blocks": ("run", "brain.zarr", "run-blocks", "--block", "32,48,64", *RUN),
    "run-v2-out": ("run", "brain.zarr", "run-v2-out", "--zarr-format", "2", *RUN),
    "run-torch": (
        "run", "brain.zarr", "run-torch", "--backend", "torch",
        "--roi", "0:64,0:64,0:64", *RUN,
    ),
    "run-voxresnet": (
        "run", "brain.zarr", "run-voxresnet", "--weights",
        "voxresnet/last.safetensors", "--roi", "0:64,0:64,0:64", *RUN,
    ),
    "predict": (
        "predict", "brain.tif", "-o", "predict", *SIZE, "--threads", "1",
    ),
    "metrics": ("metrics", "brain.zarr", "metrics", *PLAIN),
    "convert": ("convert", "brain.tif", "convert", *SIZE, *PLAIN),
    "synth": (
        "synth", "synth", "--shape", "64,96,64", "--preset", "fmost", *PLAIN,
    ),
    "propose": (
        "propose-annotations", "run-zarr3", "-o", "propose", "--count", "3",
        "--pick-shape", "64", "-q",
    ),
}  # fmt: skip


_TIMES = re.compile(rb"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.+]+Z?")


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by name, places of this recording and times left out."""
    place = bytes(folder.parent)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            _TIMES.sub(b"", path.read_bytes().replace(place, b""))
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and ".blockseg" not in path.relative_to(folder).parts
        and path.name not in TIMES
    }


def recorded() -> dict[str, dict[str, str]]:
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_sources(folder)
        for case, words in CASES.items():
            blockseg(folder, *words)
            found[case] = hashes(folder / case)
            print(f"{case}: {len(found[case])} files", file=sys.stderr, flush=True)
    return found


def differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [
        f"{case}/{name}"
        for case in sorted(before.keys() | after.keys())
        for name in sorted(before.get(case, {}).keys() | after.get(case, {}).keys())
        if before.get(case, {}).get(name) != after.get(case, {}).get(name)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--compare", action="store_true")
    given = parser.parse_args()
    now = recorded()
    if not given.compare:
        given.file.write_text(json.dumps(now, indent=1) + "\n")
        return
    found = differing(json.loads(given.file.read_text()), now)
    for line in found:
        print(f"differs: {line}")
    print(f"{sum(map(len, now.values()))} files, {len(found)} differ")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
