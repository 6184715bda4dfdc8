"""What inference is compared on: a volume, its normalisation, one pass over the whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from blockseg.core.geometry import Roi
from blockseg.core.specs import Normalization
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.inference.reference import reference_inference
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes
from blockseg.networks.weights_info import load_info
from blockseg.normalization.affine import affine
from blockseg.normalization.background import estimate_background
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import preset

if TYPE_CHECKING:
    from blockseg.core.specs import Affine, AffineField
    from blockseg.inference.backends.protocol import Backend
    from blockseg.io.protocol import Volume
    from blockseg.networks.base import Network

SEED = 40_000  # of no training and no other benchmark


def volume(name: str, edge: int) -> np.ndarray:
    """Return a TIFF stack, or a synthetic brain of a preset, at most ``edge`` long."""
    if Path(name).suffix in (".tif", ".tiff"):
        return np.ascontiguousarray(tifffile.imread(name)[:edge, :edge, :edge])
    shape = (edge, edge, edge)
    return SyntheticBrain(shape, preset(name), SEED).image(Roi.whole(shape))


def of_volume(opened: Volume, weights: str) -> Affine:
    """Return the normalisation that ``blockseg run`` would find."""
    info = load_info(weights)
    background = estimate_background(sample_planes(opened).patches, opened.dtype)
    return affine(Normalization("robust"), background, info.gain, info.clip)


def normalisation(image: np.ndarray, weights: str) -> Affine:
    """Return the same for an array."""
    return of_volume(MemoryVolume(image), weights)


def reference(image: np.ndarray, network: Network, by: Affine) -> np.ndarray:
    """Return the probability by torch in float32, one pass over the whole volume."""
    return reference_inference(image, network, by, "float32")


def segmented(
    image: np.ndarray, backend: Backend, by: Affine | AffineField
) -> np.ndarray:
    """Return the probability by windows of a backend."""
    whole = Roi.whole(image.shape)
    engine = Engine(backend, by)
    found = engine.probability(BlockInput(image, whole, whole, whole.shape))
    engine.close()
    return found


def parity(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return how far two probabilities are apart, and what that does to the mask."""
    flips = (found >= 0.5) != (true >= 0.5)
    return {
        "largest_difference": float(np.abs(found - true).max()),
        "flips": float(flips.mean()),
        "flips_of_foreground": float(flips.sum() / max(1, (true >= 0.5).sum())),
        "foreground": float((true >= 0.5).mean()),
    }
