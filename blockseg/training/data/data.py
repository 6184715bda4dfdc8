"""Data of a training: patches without end, and volumes to validate on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from blockseg.core.choices import SourceChoices
from blockseg.core.errors import ConfigError
from blockseg.core.specs import AUTO, Normalization
from blockseg.synthetic.fields import stream
from blockseg.training.annotations.labels import LabelCodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

GAIN = 1.0
"""Input of the network for one SD of the background."""

CLIP = (-5.0, 20.0)
"""Least and greatest input of the network.

Saturated somata are hundreds of SDs bright: unclipped, one of them in a batch ruins
the statistics of the norms, and everything faint is pressed to nothing.
"""


class PatchSource(Protocol):
    """Endless patches, each a pure function of its number."""

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return a normalised image and its target, each (1, z, y, x).

        Numbers from 0; the same patch in any process and order, cheapest nearly in order.
        """
        ...


class NumberedPatches(Protocol):
    """One of the sources that are mixed."""

    def patch(
        self, number: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return a normalised image and its target, each (z, y, x)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ValidationVolume:
    """A volume that no training patch comes from."""

    name: str
    """For people."""

    image: NDArray[np.float32]
    """Normalised as a run does it, shape (z, y, x)."""

    target: NDArray[np.uint8]
    """0 background, 1 neurite, ``RING`` or ``IGNORE``, shape (z, y, x)."""

    weight: float = 1.0
    """In a mean over volumes: the share of its source in training, evenly divided."""


@dataclass(frozen=True, slots=True)
class SourceNote:
    """Note on a source of a training, for its report and the header of its weights."""

    name: str
    """Name of the volume, or the kind of synthetic brains."""

    kind: Literal["folder", "zarr", "synth"]
    """Where it comes from."""

    shape: Zyx
    """Voxels along (z, y, x); of one brain where they are synthetic."""

    labelled: int
    """Annotated voxels; 0 where they are made on the way."""

    foreground: int
    """Neurite voxels among them."""

    level: float | None
    """b of the background, in grey levels; None where each brain has its own."""

    sd: float | None
    """s of the background, in grey levels; None where each brain has its own."""

    use: Literal["training", "validation", "both"] = "training"
    """Use; ``both`` where a part of it is held out."""

    nonfinite: int = 0
    """Annotated voxels that do not count, as they are NaN or infinite."""

    licence: str = ""
    """As stated with the data; empty if it is not."""

    note: str = ""
    """Note on it beside."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Data of a training; can be pickled.

    Processes that read patches are to be spawned, not forked: the libraries that read
    Zarr do not survive a fork.
    """

    train: PatchSource
    """Patches to learn from."""

    validation: tuple[ValidationVolume, ...]
    """Validation volumes; empty if nothing is held out."""

    sources: tuple[SourceNote, ...]
    """One for each volume and each kind of synthetic brains."""

    remarks: tuple[str, ...] = ()
    """Notes for the user, a line each."""

    doubts: tuple[str, ...] = ()
    """Doubts about images and labels, a line each."""


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Configuration of the data."""

    patch: int = 48
    """Edge of a patch, in voxels."""

    seed: int = 1
    """Seed of every draw."""

    batch: int = 4
    """Patches of a batch, which one process makes: it decides who makes which brain."""

    validation_share: float = 0.2
    """Held out of the volumes, or of the annotation of a single one; 0 for nothing."""

    validation_voxels: int = 2**21
    """Largest volume to validate on; of larger ones, the best annotated box. A source
    has at most four times as many in all."""

    validation_volumes: int = 16
    """Volumes of one source that are held out at most."""

    guard: int = 32
    """Voxels between the two parts of a volume that is divided: the network's reach."""

    label_map: Mapping[int | str, int] | None = None
    """Meaning of annotations' values: 0, 1 or 255; ``others`` stands for those that are
    neither named nor one of these."""

    label_name: str | None = None
    """Label image of OME-Zarr sources that have several."""

    label_channel: int | None = None
    """Index on the channel axis of annotations, where it is longer than 1."""

    accept_drafts: bool = False
    """Whether drafts that nobody touched, and skipped picks, are learned from."""

    allow_labels: bool = False
    """Whether labels that do not look like neurites are accepted silently."""

    choices: SourceChoices = field(default_factory=SourceChoices)
    """Choices of the user for the images."""

    augmentation: Literal["default", "published", "none"] = "default"
    """Variation of patches; see :mod:`blockseg.training.data.augment`."""

    background_share: float = 0.2
    """Share of the patches of volumes that are drawn without a neurite, 0 to 1."""

    min_foreground: int = 1
    """Neurite voxels that the other patches hold, where eight tries find them."""

    shares: tuple[float, ...] | None = None
    """Share of each source in the patches, in the order given; equal if None."""

    ring: bool = True
    """Whether background that touches a neurite counts less."""

    clutter: float = 0.0
    """Share of the synthetic brains that are full of spots and cells, 0 to 1."""

    normalization: Normalization = AUTO
    """As of a run: ``auto``, ``robust``, ``field``, ``published`` or ``b,s``."""

    gain: float = GAIN
    """Input of the network for one SD of the background, where robust."""

    clip: tuple[float, float] = CLIP
    """Least and greatest input of the network."""

    def __post_init__(self) -> None:
        for name, good, allowed in (
            ("patch", self.patch >= 8, "8 voxels or more"),
            ("seed", 0 <= self.seed < 2**31, "0 to 2147483647"),
            ("batch", self.batch >= 1, "1 or more"),
            ("validation-share", 0 <= self.validation_share < 1, "0 to below 1"),
            ("validation-voxels", self.validation_voxels >= 512, "512 or more"),
            ("validation-volumes", self.validation_volumes >= 1, "1 or more"),
            ("guard", self.guard >= 0, "0 or more voxels"),
            ("background-share", 0 <= self.background_share <= 1, "0 to 1"),
            ("min-foreground", self.min_foreground >= 1, "1 voxel or more"),
            ("clutter", 0 <= self.clutter <= 1, "0 to 1"),
            ("gain", 0 < self.gain < math.inf, "above 0"),
            ("clip", self.clip[0] < self.clip[1], "a lower and a higher value"),
        ):
            if not good:
                given = getattr(self, name.replace("-", "_"))
                message = f"--{name} {given} must be {allowed}"
                raise ConfigError(message)
        LabelCodes(self.label_map)


class MixedPatches:
    """Patches of several sources in fixed shares; patch ``n`` is a function of ``n``.

    Parameters
    ----------
    sources
        Where patches come from.
    shares
        Of each source; they add up to 1.
    seed
        Of every draw.
    """

    def __init__(
        self, sources: Sequence[NumberedPatches], shares: Sequence[float], seed: int
    ) -> None:
        self._sources = tuple(sources)
        self._bounds = np.cumsum(shares)
        self._seed = seed

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return a normalised image and its target; see :class:`PatchSource`."""
        if number < 0:
            message = f"patches are numbered from 0, not {number}"
            raise IndexError(message)
        rng = stream(self._seed, 31, number)
        chosen = int(np.searchsorted(self._bounds, rng.uniform(), side="right"))
        source = self._sources[min(chosen, len(self._sources) - 1)]
        image, target = source.patch(number, rng)
        return image[None], target[None]
