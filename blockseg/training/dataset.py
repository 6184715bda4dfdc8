"""A stream of training patches from brains that are made on the way and forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import IterableDataset

from blockseg.core.geometry import Roi, Zyx
from blockseg.model.normalization import estimate_background
from blockseg.training.augment import misjudged, turned_crop
from blockseg.training.data import CLIP, GAIN
from blockseg.training.labels import IGNORE, RING
from blockseg.training.randomised import cluttered, random_params
from blockseg.training.synth.brain import SyntheticBrain
from blockseg.training.synth.fields import stream
from blockseg.training.truth import truth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.training.synth.params import SynthParams

__all__ = [
    "CLIP",
    "GAIN",
    "IGNORE",
    "RING",
    "Patch",
    "SynthPatches",
    "brain_patches",
    "truth",
]

_MADE = 64  # edge of the patches that are made, a tile; the network sees crops of them


@dataclass(frozen=True, slots=True)
class Patch:
    """One normalised image with its truth."""

    image: NDArray[np.float32]
    """Normalised as a run does it, shape (z, y, x)."""

    target: NDArray[np.uint8]
    """0 background, 1 neurite, ``RING`` or ``IGNORE``, shape (z, y, x)."""


def brain_patches(
    params: SynthParams, seed: int, patch: int, counts: Zyx, rng: np.random.Generator
) -> list[Patch]:
    """Make a brain and cut it into patches, normalised as ``blockseg run`` would.

    Parameters
    ----------
    params, seed
        Of the brain.
    patch
        Edge length of a patch, in voxels.
    counts
        Patches along (z, y, x).
    rng
        Draws by how much level and SD of the background are misjudged.
    """
    z, y, x = (n * patch for n in counts)
    brain = SyntheticBrain((z, y, x), params, seed)
    whole = Roi.whole(brain.shape)
    image, target = brain.image(whole), truth(brain, whole)
    background = estimate_background(image[:: max(1, z // 16)], image.dtype)
    level, sd = background.level, background.sd
    normal = (image.astype(np.float32) - np.float32(level)) / np.float32(sd)
    patches = []
    for i, j, k in product(*(range(n) for n in counts)):
        box = tuple(slice(n * patch, (n + 1) * patch) for n in (i, j, k))
        seen = np.clip(misjudged(normal[box], rng) * np.float32(GAIN), *CLIP)
        patches.append(Patch(seen, target[box]))
    return patches


def blank_patch(patch: int, rng: np.random.Generator) -> Patch:
    """Return an image of one value, as outside of a brain: all background."""
    value = rng.choice([0.0, rng.uniform(-60, 5), rng.normal(0, 3)])
    shape = (patch, patch, patch)
    return Patch(
        np.full(shape, np.clip(value, *CLIP), np.float32), np.zeros(shape, np.uint8)
    )


class SynthPatches(IterableDataset[tuple["NDArray[np.float32]", "NDArray[np.uint8]"]]):
    """Endless patches, shuffled in a buffer; a pure function of the seed.

    Parameters
    ----------
    seed
        Of the stream. Brain ``i`` has the seed ``(seed << 32) + i``.
    patch
        Edge length of a patch, in voxels; a multiple of 4, at most 64.
    first
        Number of the first brain: a resumed training goes on with fresh ones.
    buffer
        Patches in the shuffle buffer.
    clutter
        Share of the brains that are full of spots and round cells, 0 to 1.
    repeats
        How often each patch is used, turned and mirrored anew each time.
    """

    def __init__(
        self,
        seed: int,
        patch: int = 48,
        *,
        first: int = 0,
        buffer: int = 96,
        clutter: float = 0.0,
        repeats: int = 1,
    ) -> None:
        self._seed = seed
        self._patch = patch
        self._first = first
        self._buffer = buffer
        self._clutter = clutter
        self._repeats = repeats

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
        """Yield normalised images and targets, each (1, z, y, x)."""
        shuffle = stream(self._seed, 21, self._first)
        waiting: list[Patch] = []
        for patch in self._patches():
            waiting.append(patch)
            # Every second patch is handed out at once: the buffer fills while training runs.
            if len(waiting) < self._buffer and len(waiting) % 2:
                continue
            chosen = waiting.pop(int(shuffle.integers(len(waiting))))
            image, target = turned_crop(
                chosen.image, chosen.target, self._patch, shuffle
            )
            yield image[None], target[None]

    def _patches(self) -> Iterator[Patch]:
        number = self._first
        while True:
            rng = stream(self._seed, 22, number)
            counts = ((1, 2, 2), (2, 1, 2), (1, 1, 2))[int(rng.integers(3))]
            params = random_params(rng)
            # A generator of its own: without clutter the stream is what it always was.
            own = stream(self._seed, 23, number)
            full = own.uniform() < self._clutter
            if full:
                params = cluttered(params, own)
            patches = brain_patches(
                params, (self._seed << 32) + number, _MADE, counts, rng
            )
            # Empty patches teach little; a few of them suffice.
            for patch in patches:
                if full or patch.target.any() or rng.uniform() < 0.35:
                    yield from [patch] * self._repeats
            if number % 24 == 0:
                yield blank_patch(_MADE, rng)
            number += 1
