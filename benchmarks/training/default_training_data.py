"""Lay out the real volumes that the shipped weights are trained on, for `blockseg train`.

    python -m benchmarks.training.default_training_data OUT --annotated IMAGE.tif LABEL.tif
        --below 56 --unlabelled chunk=IMAGE.tif --unlabelled dlmbmap=IMAGE.tif:6
        --labelled bright=IMAGE.tif,LABEL.tif --halved dendrite=IMAGE.tif,MASK.tif
        --negative meninges=IMAGE.tif

Writes OUT/{annotated,unlabelled,labelled,negative}/{image,label}/. Of the annotated
volume (TRAILMAP's: 1 background, 2 axon, else unknown) only the planes below --below are
written, so that no training reads what lies above. Unlabelled volumes get labels of what
is beyond doubt (blockseg.training.annotations.pseudo); :N says that somata are thicker than N voxels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile

from blockseg.core.labels import IGNORE
from blockseg.training.annotations.pseudo import PseudoRules, pseudo_labels


def write(folder: Path, name: str, image: np.ndarray, label: np.ndarray) -> None:
    for part, data in (("image", image), ("label", label)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / part / f"{name}.tif", data)
    print(f"{folder / 'image' / name}.tif: {(label == 1).sum():,} neurite voxels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--annotated", nargs=2, metavar=("IMAGE", "LABEL"))
    parser.add_argument("--below", type=int, default=56)
    parser.add_argument("--unlabelled", action="append", default=[])
    for kind in ("labelled", "halved", "negative"):
        parser.add_argument(f"--{kind}", action="append", default=[])
    given = parser.parse_args()
    if given.annotated:
        image, known = (
            tifffile.imread(path)[: given.below] for path in given.annotated
        )
        label = np.full(known.shape, IGNORE, np.uint8)
        label[known == 1] = 0
        label[known == 2] = 1
        write(given.out / "annotated", "trailmap", image, label)
    for item in given.unlabelled:
        name, path = item.split("=", 1)
        path, _, soma = path.partition(":")
        image = tifffile.imread(path)
        label = pseudo_labels(image, PseudoRules(soma=int(soma or 0)))
        write(given.out / "unlabelled", name, image, label)
    for item in (*given.labelled, *given.halved):
        name, path = item.split("=", 1)
        image, label = (tifffile.imread(one) for one in path.split(","))
        if item in given.halved:
            share = halved((label > 0).astype(np.float32))
            label = np.where((share > 0) & (share < 1), IGNORE, share > 0)
            image = np.rint(halved(image)).astype(image.dtype)
        label = np.where(label > 1, IGNORE, label).astype(np.uint8)
        write(given.out / "labelled", name, image, label)
    for item in given.negative:
        name, path = item.split("=", 1)
        image = tifffile.imread(path)
        write(given.out / "negative", name, image, np.zeros(image.shape, np.uint8))


def halved(volume: np.ndarray) -> np.ndarray:
    """Return the means over 2×2×2 voxels; a remainder is left out."""
    z, y, x = (n // 2 for n in volume.shape)
    whole = volume[: 2 * z, : 2 * y, : 2 * x]
    means: np.ndarray = whole.reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5))
    return means


if __name__ == "__main__":
    main()
