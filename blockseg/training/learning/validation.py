"""Scores of a network on whole validation volumes, exactly, in tiles where large."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch

from blockseg.core.labels import IGNORE
from blockseg.morphology.scores import Agreement
from blockseg.training.learning.tolerance import THRESHOLDS, curve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from blockseg.networks.base import Network
    from blockseg.training.data.data import ValidationVolume
    from blockseg.training.learning.losses import Loss

_CORE = 128  # voxels: edge of a tile's core; a multiple of every network's alignment
_DEFAULT = THRESHOLDS.index(0.5)


@dataclass(frozen=True, slots=True)
class VolumeScore:
    """Score of a network on one volume, or on several."""

    name: str
    """Name of the volume."""

    loss: float
    """Mean of the training loss over the tiles, weighted by voxels that count."""

    voxels: int
    """Voxels that count."""

    curve: tuple[Agreement, ...]
    """Agreement within 2 voxels at each of ``THRESHOLDS``."""

    weight: float = 1.0
    """Weight of the volume among others."""

    @property
    def default(self) -> Agreement:
        """At probability 0.5."""
        return self.curve[_DEFAULT]

    @property
    def best(self) -> tuple[float, float]:
        """The probability at which the F1 is highest, and that F1."""
        scores = [agreement.f1 for agreement in self.curve]
        top = max(range(len(scores)), key=lambda i: (scores[i], -abs(i - _DEFAULT)))
        return THRESHOLDS[top], scores[top]


def together(scores: Sequence[VolumeScore]) -> VolumeScore:
    """Return the score of all volumes: each counts by its weight, not by its size.

    Parameters
    ----------
    scores
        At least one.
    """
    total = max(sum(score.weight for score in scores), 1e-12)
    # Counts as of a billion voxels, so that precision and recall are those of the
    # sum, and a volume without any neurite does not need a score of its own.
    scales = [1e9 * s.weight / total / max(s.voxels, 1) for s in scores]
    pooled = []
    for agreements in zip(*(score.curve for score in scores), strict=True):
        both = Agreement()
        for agreement, scale in zip(agreements, scales, strict=True):
            both += Agreement(*(round(n * scale) for n in astuple(agreement)))
        pooled.append(both)
    return VolumeScore(
        "together",
        sum(s.loss * s.weight for s in scores) / total,
        sum(s.voxels for s in scores),
        tuple(pooled),
    )


def validate(
    network: Network,
    volumes: Sequence[ValidationVolume],
    loss: Loss,
    *,
    core: int = _CORE,
    on_volume: Callable[[ValidationVolume, NDArray[np.float32]], None] | None = None,
) -> list[VolumeScore]:
    """Return a network's score on each volume.

    Parameters
    ----------
    network
        In evaluation mode.
    volumes
        Normalised images with their targets.
    loss
        That of the training; taken tile by tile, as it is taken batch by batch there.
    core
        Edge of the tiles, in voxels.
    on_volume
        Given each volume and its probabilities, shape (z, y, x).
    """
    scores = []
    for volume in volumes:
        probability, mean = predicted(network, volume, loss, core=core)
        counts = volume.target != IGNORE
        scores.append(
            VolumeScore(
                volume.name,
                mean,
                int(np.count_nonzero(counts)),
                curve(probability, volume.target == 1, counts),
                volume.weight,
            )
        )
        if on_volume is not None:
            on_volume(volume, probability)
    return scores


@torch.inference_mode()
def predicted(
    network: Network,
    volume: ValidationVolume,
    loss: Loss,
    *,
    core: int = _CORE,
) -> tuple[NDArray[np.float32], float]:
    """Return the probability of each voxel, shape (z, y, x), and the mean loss.

    The volume is filled up to the network's alignment with background, which does
    not count, and read in tiles with the network's reach around them: the result is
    that of one pass over the whole volume.
    """
    device = next(network.parameters()).device
    fill = [(0, -n % network.alignment) for n in volume.image.shape]
    image = torch.from_numpy(np.pad(volume.image, fill))
    target = torch.from_numpy(np.pad(volume.target, fill, constant_values=IGNORE))
    probability = torch.empty(image.shape)
    core = max(core // network.alignment, 1) * network.alignment
    total, weight = 0.0, 0
    for inner, outer, cropped in _tiles(tuple(image.shape), core, network):
        x = image[outer][None, None].to(device, memory_format=torch.channels_last_3d)
        heads = tuple(head[(..., *cropped)].float() for head in network.heads(x))
        truth = target[inner][None, None].to(device)
        logits = torch.stack(heads).sum(0)
        probability[inner] = torch.sigmoid(logits)[0, 0].cpu()
        counted = int((truth != IGNORE).sum())
        if counted:
            total += float(loss(heads, truth)) * counted
            weight += counted
    z, y, x_ = volume.image.shape
    return probability[:z, :y, :x_].numpy(), total / max(weight, 1)


_Box = tuple[slice, slice, slice]


def _tiles(
    shape: Sequence[int], core: int, network: Network
) -> Iterator[tuple[_Box, _Box, _Box]]:
    """Yield each tile's core, what is read for it, and the core in what is read."""
    halo = -(-network.reach // network.alignment) * network.alignment
    # Halos of a few tiles cost more than an axis that is a little longer.
    edges = [n if 2 * n <= 3 * core else core for n in shape]
    ranges = (range(0, n, edge) for n, edge in zip(shape, edges, strict=True))
    for start in product(*ranges):
        stop = [min(a + e, n) for a, e, n in zip(start, edges, shape, strict=True)]
        low = [max(a - halo, 0) for a in start]
        high = [min(b + halo, n) for b, n in zip(stop, shape, strict=True)]
        yield (
            _box(start, stop),
            _box(low, high),
            _box(
                [a - c for a, c in zip(start, low, strict=True)],
                [b - c for b, c in zip(stop, low, strict=True)],
            ),
        )


def _box(start: Sequence[int], stop: Sequence[int]) -> _Box:
    z, y, x = (slice(a, b) for a, b in zip(start, stop, strict=True))
    return z, y, x
