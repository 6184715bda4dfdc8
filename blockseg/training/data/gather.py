"""Collection of a training's data: found, checked, split and opened."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.labels import IGNORE
from blockseg.core.places import local_path
from blockseg.normalization.background_field import affine_of_volume
from blockseg.training.annotations.labels import ringed
from blockseg.training.data import synth_source
from blockseg.training.data.augment import Scale
from blockseg.training.data.data import (
    DataConfig,
    MixedPatches,
    SourceNote,
    TrainingData,
    ValidationVolume,
)
from blockseg.training.data.held_out import (
    capped_shape,
    validation_box,
)
from blockseg.training.data.scan import restricted
from blockseg.training.data.sources import (
    AnnotatedVolume,
    DataSource,
    hold_out,
    no_neurites,
    open_source,
)
from blockseg.training.data.volume_source import TrainingRegion, VolumePatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.core.specs import Affine, AffineField
    from blockseg.training.data.data import (
        NumberedPatches,
    )
    from blockseg.training.data.split import Cut

_NO_BACKGROUND = (
    "no annotation holds background (0): the network will learn to call all a neurite; "
    "annotate some, add synth:random to DATA, or give --allow-labels"
)
_UNCLIPPED = (-1e6, 1e6)
_VOLUMES_IN_FULL = 4  # of the largest size; more share what these would take
_BRAINS = {"random": 4}  # to validate on; of presets:
_BRAINS_OF_PRESET = 2
_BRAIN = (64, 128, 128)


def open_data(names: Sequence[str], config: DataConfig | None = None) -> TrainingData:
    """Open and check everything that a training reads, before it starts.

    Parameters
    ----------
    names
        Folders with ``image/`` and ``label/``, OME-Zarr images with ``labels/``, and
        synthetic brains (``synth:fmost``, ``synth:lightsheet``, ``synth:clean``,
        ``synth:random``).
    config
        What to make of them; the defaults if not given.

    Raises
    ------
    BlocksegError
        With one line, if anything is missing, damaged or contradictory.
    """
    config = config or DataConfig()
    sources = [
        open_source(name, share, config)
        for name, share in zip(names, _shares(tuple(names), config), strict=True)
    ]
    volumes = [volume for source in sources for volume in source.volumes]
    synthetic = any(source.synth for source in sources)
    if not synthetic and not any(volume.foreground for volume in volumes):
        raise VolumeError(no_neurites(volumes))
    doubts = [doubt for source in sources for doubt in source.doubts]
    told = synthetic or config.allow_labels
    if not told and not any(volume.background_voxels for volume in volumes):
        doubts.append(_NO_BACKGROUND)
    if config.validation_share:
        sources = hold_out(sources, config)
    training = [source for source in sources if source.trains]
    total = sum(source.share for source in training)
    patches = MixedPatches(
        [_patches(source, source.share / total, config) for source in training],
        [source.share / total for source in training],
        config.seed,
    )
    return TrainingData(
        patches,
        tuple(
            volume
            for number, source in enumerate(sources)
            for volume in _validation(source, number, config)
        ),
        tuple(note for source in sources for note in _notes(source, config)),
        tuple(remark for source in sources for remark in source.remarks),
        tuple(doubts),
    )


def _shares(names: tuple[str, ...], config: DataConfig) -> Sequence[float]:
    if not names:
        message = (
            "there is nothing to train on; give a folder, an OME-Zarr or synth:fmost"
        )
        raise ConfigError(message)
    places = [_place(name) for name in names]
    if len(set(places)) < len(places):
        twice = next(
            n for n, at in zip(names, places, strict=True) if places.count(at) > 1
        )
        message = f"{twice} is given twice; name each source once, and use --shares"
        raise ConfigError(message)
    shares = config.shares or (1.0,) * len(names)
    if len(shares) != len(names) or not all(0 < s < math.inf for s in shares):
        given = ",".join(f"{s:g}" for s in shares)
        needed = "1 number" if len(names) == 1 else f"{len(names)} numbers"
        message = (
            f"--shares {given} does not fit {', '.join(names)}: it takes {needed} "
            "above 0, one for each DATA in the order given"
        )
        raise ConfigError(message)
    return [share / sum(shares) for share in shares]


def _place(name: str) -> str:
    """Return the identity of a source, however its path is spelt."""
    name = local_path(name)
    if name.startswith("synth:") or "://" in name:
        return name
    return str(Path(name).expanduser().resolve())


def _affine(
    of: AnnotatedVolume | synth_source.Brain,
    config: DataConfig,
    clip: tuple[float, float],
) -> Affine | AffineField:
    return affine_of_volume(
        config.normalization, of.background, of.varying, config.gain, clip
    )


def _patches(source: DataSource, share: float, config: DataConfig) -> NumberedPatches:
    if source.synth:
        return synth_source.SynthPatches(source.synth, config, share)
    regions = [
        _region(volume, config)
        for volume in source.volumes
        if volume.use != "validation"
    ]
    return VolumePatches(regions, config)


def _region(volume: AnnotatedVolume, config: DataConfig) -> TrainingRegion:
    domain, index = Roi.whole(volume.image.shape), volume.scan.index
    if volume.cut is not None:
        domain = volume.cut.training(volume.image.shape)
        index = restricted(index, domain, volume.opened.codes)
    by = _affine(volume, config, _UNCLIPPED)
    scale = Scale.of(by, volume.background.sd, config.gain)
    return TrainingRegion(volume.image, domain, index, by, scale)


def _validation(
    source: DataSource, number: int, config: DataConfig
) -> list[ValidationVolume]:
    if not config.validation_share:
        return []
    if source.synth:
        count = _BRAINS.get(source.synth, _BRAINS_OF_PRESET)
        shape = capped_shape(_BRAIN, config.validation_voxels)
        found = []
        for which in range(count):
            brain = synth_source.held_out_brain(source.synth, which, shape)
            by = _affine(brain, config, config.clip)
            image, target = brain.normalised(Roi.whole(shape), by)
            name = f"{source.text}, held-out brain {which}"
            found.append(ValidationVolume(name, image, target, source.share / count))
        return found
    used = [volume for volume in source.volumes if volume.use != "training"]
    most = min(
        config.validation_voxels,
        _VOLUMES_IN_FULL * config.validation_voxels // max(len(used), 1),
    )
    found = []
    for which, volume in enumerate(used):
        shape, index = volume.image.shape, volume.scan.index
        region = Roi.whole(shape)
        if volume.cut is not None:
            region = volume.cut.validation(shape)
            index = restricted(index, region, volume.opened.codes)
        rng = np.random.default_rng((config.seed, number, which))
        box = validation_box(index, region, most, rng, volume.opened.codes)
        read = box
        if volume.cut is not None:  # the guard is what the network sees beside it
            read = _with_guard(box, volume.cut)
        by = _affine(volume, config, config.clip)
        image, target = volume.opened.read(read, by)
        counted = np.full(target.shape, IGNORE, np.uint8)
        inner = box.slices(read.start)
        counted[inner] = target[inner]
        found.append(
            ValidationVolume(
                volume.image.name,
                image,
                ringed(counted) if config.ring else counted,
                source.share / len(used),
            )
        )
    return found


def _with_guard(box: Roi, cut: Cut) -> Roi:
    start = list(box.start)
    if start[cut.axis] == cut.start:
        start[cut.axis] = cut.stop
    return Roi((start[0], start[1], start[2]), box.stop)


def _notes(source: DataSource, config: DataConfig) -> list[SourceNote]:
    if source.synth:
        return [
            SourceNote(
                source.text,
                "synth",
                _BRAIN,
                0,
                0,
                None,
                None,
                "both" if config.validation_share else "training",
                licence="MIT",
                note="made on the way; held-out brains have other seeds",
            )
        ]
    return [
        SourceNote(
            name=volume.image.name,
            kind=volume.kind,
            shape=volume.image.shape,
            labelled=int(volume.scan.index.labelled.sum()),
            foreground=volume.foreground,
            level=volume.background.level,
            sd=volume.background.sd,
            use=volume.use,
            nonfinite=volume.scan.nonfinite,
            licence=volume.image.licence,
            note=volume.note,
        )
        for volume in source.volumes
    ]
