"""Patches from synthetic brains that are made during training and discarded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import (
    binary_dilation,
    generate_binary_structure,
    maximum_filter,
)

from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.labels import IGNORE
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes
from blockseg.normalization.affine import normalize
from blockseg.normalization.background import Background, estimate_background
from blockseg.normalization.background_field import (
    BackgroundField,
    affine_of_volume,
    estimate_field,
)
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.fields import stream
from blockseg.synthetic.presets import PRESETS, preset
from blockseg.synthetic.recent import Recent
from blockseg.training.annotations.labels import RING
from blockseg.training.data.augment import Scale, augmented
from blockseg.training.data.randomised import cluttered, dendrite_params, random_params
from blockseg.training.data.recording import recorded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.specs import Affine, AffineField
    from blockseg.synthetic.params import SynthParams
    from blockseg.training.data.data import DataConfig

_DRAWN = {"random": random_params, "dendrites": dendrite_params}

KINDS = (*PRESETS, *_DRAWN)
"""Kinds of brains to train on: the presets, and two drawn anew for each brain: of every
kind, and of few bright neurons with thick dendrites."""

LANES = 12
"""Series of brains side by side; up to this many processes make no brain twice."""

WINDOW = 4
"""Brains of a series that patches are drawn from at one time."""

USES = 4
"""Patches drawn from a brain, on average."""

HELD_OUT_SEEDS = 20_000
"""First seed of the validation brains; training uses seeds from 2³² on."""

INVISIBLE_SNR = 1.4
"""Neurites fainter than this are neither foreground nor background."""

FAINT_SNR = {"dendrites": 12.0}
"""The same of kinds of brains whose neurites stand far above the noise."""

_TILE = 64
_SHAPES = ((1, 2, 2), (2, 1, 2), (1, 1, 2))  # of brains, in tiles
_EMPTY_KEPT = 0.35  # chance that a patch without a neurite is used
_TRIES = 4
_STEPS = (0.6, 0.25, 0.15)  # chance that every, every second, third plane is imaged
_GUESS = 0.7  # of the logarithm of an SD that is told from the signal
_BLANK = 1 / 96  # share of patches of one value, as outside of a brain


@dataclass(frozen=True, slots=True, eq=False)
class Brain:
    """A small synthetic brain with its truth."""

    image: NDArray[np.uint8] | NDArray[np.uint16]
    """Grey levels, shape (z, y, x)."""

    target: NDArray[np.uint8]
    """0 background, 1 neurite, ``RING`` or ``IGNORE``, shape (z, y, x)."""

    background: Background
    """As a run would estimate it."""

    varying: BackgroundField | None = None
    """Background where it varies, as a run would estimate it; None for brains that are
    too small."""

    full: bool = False
    """Whether it is full of clutter: patches without neurites are as good as others."""

    def normalised(
        self, roi: Roi, by: Affine | AffineField
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return a region of the image, normalised as a run does it, and its target."""
        image = np.empty(roi.shape, np.float32)
        normalize(self.image[roi.slices()], by, image, roi.start)
        return image, self.target[roi.slices()]


def parse(source: str) -> str:
    """Return the kind that ``synth:KIND`` names.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    kind = source.removeprefix("synth:")
    if kind not in KINDS:
        message = f"there is no {source}; choose synth: and one of {', '.join(KINDS)}"
        raise ConfigError(message)
    return kind


def truth(
    brain: SyntheticBrain, roi: Roi, faint: float = INVISIBLE_SNR
) -> NDArray[np.uint8]:
    """Return the training target of a region, shape (z, y, x).

    Neurites below the SNR ``faint`` count neither as foreground nor as background. Somata are background, as the network shall not paint them; around them, where
    dendrites leave, nothing counts.
    """
    branch, soma = brain.branches(roi), brain.somata(roi) > 0
    snr = np.concatenate([np.zeros(1, np.float32), brain.tracing.branches.snr])[branch]
    mask = branch > 0
    ball = generate_binary_structure(3, 1)
    target = mask.astype(np.uint8)
    target[binary_dilation(mask, ball) & ~mask] = RING
    if soma.any():
        target[binary_dilation(soma, ball, iterations=2) & ~soma] = IGNORE
    target[mask & (snr < faint)] = IGNORE
    return target


def make_brain(
    shape: Zyx,
    params: SynthParams,
    seed: int,
    *,
    full: bool = False,
    step: int = 1,
    recording: np.random.Generator | None = None,
    faint: float = INVISIBLE_SNR,
) -> Brain:
    """Make a brain and estimate its background.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params, seed
        Of the brain.
    full
        Whether it is full of clutter.
    step
        Every so many planes of the brain are imaged: its voxels are that much longer
        along z than wide, so that neurites look flat and hardly blurred along z.
    recording
        Draws what becomes of the camera's image (:func:`recorded`); nothing if not given.
    faint
        SNR below which neurites do not count.
    """
    brain = SyntheticBrain(to_zyx((shape[0] * step, *shape[1:])), params, seed)
    whole = Roi.whole(brain.shape)
    image: NDArray[np.uint8] | NDArray[np.uint16]
    image = np.ascontiguousarray(brain.image(whole)[::step])
    if recording is not None:
        image = recorded(image, recording)
    target = np.ascontiguousarray(truth(brain, whole, faint)[::step])
    sample = sample_planes(MemoryVolume(image), threads=1)
    background = estimate_background(sample.patches, image.dtype)
    if background.clipped:
        # What was clipped away is not there to be found.
        target[(target == 1) & (maximum_filter(image, 3) == 0)] = IGNORE
    varying = estimate_field(sample.patches, sample.rois, image.shape, image.dtype)
    return Brain(image, target, background, varying, full)


def held_out_brain(kind: str, number: int, shape: Zyx) -> Brain:
    """Return a brain that no training ever sees, the same for every training."""
    seed = HELD_OUT_SEEDS + number
    rng = stream(seed, 22)
    params, step = _params(kind, rng), _step(kind, rng)
    recording = rng if kind in _DRAWN else None
    faint = FAINT_SNR.get(kind, INVISIBLE_SNR)
    return make_brain(shape, params, seed, step=step, recording=recording, faint=faint)


class SynthPatches:
    """Patches of brains of one kind; patch ``n`` is a function of seed and ``n``.

    Batches take turns among 12 lanes, and each lane has brains of its own: a process
    that works on every second or third batch makes only the brains of its lanes, and
    keeps the few that it draws from now.

    Parameters
    ----------
    kind
        One of ``KINDS``.
    config
        What patches are like; their default augmentation is ``simulated``.
    share
        Of all patches that come from here: brains follow each other so much slower.
    """

    def __init__(self, kind: str, config: DataConfig, share: float = 1.0) -> None:
        self._kind, self._config, self._share = kind, config, share
        self._brains: Recent[int, Brain] = Recent(LANES * WINDOW)

    def patch(
        self, number: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return a normalised image and its target, each (z, y, x).

        Parameters
        ----------
        number
            Of the patch, from 0.
        rng
            Draws what the number leaves open.
        """
        if rng.uniform() < _BLANK:
            return self._blank(rng)
        brain = self._brains.get(self._number_of_brain(number, rng), self._made)
        config, kind = self._config, self._config.augmentation
        by = affine_of_volume(
            config.normalization, brain.background, brain.varying, config.gain
        )
        image, target = brain.normalised(self._roi(brain, rng), by)
        if brain.background.clipped:
            # What stands for the noise is a guess from the signal there.
            image *= np.float32(math.exp(rng.uniform(-_GUESS, _GUESS)))
        scale = Scale.of(by, brain.background.sd, config.gain)
        image, target = augmented(
            "simulated" if kind == "default" else kind, image, target, scale, rng
        )
        return np.clip(image, *config.clip), target

    def _number_of_brain(self, number: int, rng: np.random.Generator) -> int:
        batch = self._config.batch
        turn, lane = divmod(number // batch, LANES)
        progress = math.floor((turn * batch + number % batch) * self._share)
        series = max(0, progress // USES - int(rng.integers(WINDOW)))
        return series * LANES + lane

    def _roi(self, brain: Brain, rng: np.random.Generator) -> Roi:
        patch = self._config.patch
        neurites = not brain.full and rng.uniform() >= _EMPTY_KEPT
        for _ in range(_TRIES):
            corner = to_zyx(rng.integers(0, n - patch + 1) for n in brain.image.shape)
            roi = Roi(corner, to_zyx(a + patch for a in corner))
            # Empty patches teach little; some of them suffice.
            if not neurites or brain.target[roi.slices()].any():
                break
        return roi

    def _made(self, number: int) -> Brain:
        config = self._config
        rng = stream(config.seed, 22, number)
        least = -(-config.patch // _TILE)
        tiles = _SHAPES[int(rng.integers(len(_SHAPES)))]
        params = _params(self._kind, rng)
        full = rng.uniform() < config.clutter
        if full:
            params = cluttered(params, rng)
        shape = to_zyx(max(n, least) * _TILE for n in tiles)
        seed = ((config.seed + 1) << 32) + number
        step = _step(self._kind, rng)
        recording = rng if self._kind in _DRAWN else None
        faint = FAINT_SNR.get(self._kind, INVISIBLE_SNR)
        return make_brain(
            shape,
            params,
            seed,
            full=full,
            step=step,
            recording=recording,
            faint=faint,
        )

    def _blank(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return an image of one value, as outside of a brain or in glare: background."""
        values = [0.0, rng.normal(0, 3), rng.uniform(-60, 5), rng.uniform(3, 60)]
        value = rng.choice(values) * self._config.gain
        shape = (self._config.patch,) * 3
        image = np.full(shape, np.clip(value, *self._config.clip), np.float32)
        return image, np.zeros(shape, np.uint8)


def _params(kind: str, rng: np.random.Generator) -> SynthParams:
    return _DRAWN[kind](rng) if kind in _DRAWN else preset(kind)


def _step(kind: str, rng: np.random.Generator) -> int:
    return 1 + int(rng.choice(len(_STEPS), p=_STEPS)) if kind == "random" else 1
