"""Make training data of what a user names: find, check, hold out, open."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.model.normalization import Background, affine, parse_normalization
from blockseg.training import synth_source
from blockseg.training.augment import Scale
from blockseg.training.background import background_of
from blockseg.training.cases import Case, find_cases
from blockseg.training.data import MixedPatches, SourceNote, TrainingData
from blockseg.training.held_out import capped_shape, validation_box, validation_volume
from blockseg.training.labels import IGNORE, LabelCodes
from blockseg.training.scan import Scan, restricted, scan
from blockseg.training.split import Cut, cut_volume, held_out
from blockseg.training.volume_source import OpenCase, TrainingRegion, VolumePatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.core.specs import Affine
    from blockseg.training.data import DataConfig, NumberedPatches, ValidationVolume

__all__ = ["gather"]

_UNCLIPPED = (-1e6, 1e6)
_VOLUMES_IN_FULL = 4  # of the largest size; more share what these would take
_BRAINS = {"random": 4}  # to validate on; of presets:
_BRAINS_OF_PRESET = 2
_BRAIN = (64, 128, 128)


@dataclass(slots=True)
class _Volume:
    """An annotated volume on its way to a use."""

    case: Case
    kind: Literal["folder", "zarr"]
    opened: OpenCase
    scan: Scan
    background: Background
    use: Literal["training", "validation", "both"] = "training"
    cut: Cut | None = None
    note: str = ""


@dataclass(slots=True)
class _Source:
    """One of the things that the user named."""

    text: str
    share: float
    synth: str | None = None
    volumes: list[_Volume] = field(default_factory=list)


def gather(names: tuple[str, ...], config: DataConfig) -> TrainingData:
    """Open data; see :func:`blockseg.training.data.open_data`."""
    shares = _shares(names, config)
    remarks: list[str] = []
    sources = [
        _source(name, share, config, remarks)
        for name, share in zip(names, shares, strict=True)
    ]
    volumes = [volume for source in sources for volume in source.volumes]
    if not any(s.synth for s in sources) and not any(map(_foreground, volumes)):
        raise VolumeError(_no_foreground(volumes))
    if config.validation_share:
        _hold_out(sources, config, remarks)
    training = [s for s in sources if s.synth or _trains(s)]
    total = sum(source.share for source in training)
    patches = MixedPatches(
        [_patches(source, source.share / total, config) for source in training],
        [source.share / total for source in training],
        config.seed,
    )
    validation = [
        volume
        for number, source in enumerate(sources)
        for volume in _validation(source, number, config)
    ]
    notes = [note for source in sources for note in _notes(source, config)]
    return TrainingData(patches, tuple(validation), tuple(notes), tuple(remarks))


def _shares(names: tuple[str, ...], config: DataConfig) -> Sequence[float]:
    if not names:
        message = (
            "there is nothing to train on; give a folder, an OME-Zarr or synth:fmost"
        )
        raise ConfigError(message)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        message = f"{twice} is given twice; name each source once, and use --shares"
        raise ConfigError(message)
    shares = config.shares or (1.0,) * len(names)
    if len(shares) != len(names) or not all(0 < s < math.inf for s in shares):
        given = ",".join(f"{s:g}" for s in shares)
        message = (
            f"--shares {given} must be {len(names)} numbers above 0, "
            "one for each source in the order given"
        )
        raise ConfigError(message)
    return [share / sum(shares) for share in shares]


def _source(name: str, share: float, config: DataConfig, remarks: list[str]) -> _Source:
    if name.startswith("synth:"):
        return _Source(name, share, synth=synth_source.parse(name))
    if not Path(name).expanduser().exists():
        message = f"{name} does not exist"
        raise VolumeError(message)
    found = find_cases(name, config.label_name)
    if found.unlabelled:
        whole = found.unlabelled + len(found.cases)
        remarks.append(
            f"{name}: {found.unlabelled} of {whole} picks are not annotated yet"
        )
    source = _Source(name, share)
    codes = LabelCodes(config.label_map)
    for case in found.cases:
        opened = OpenCase(case, codes)
        seen = scan(
            opened.image, opened.labels, codes, f"the annotation of {case.name}"
        )
        if not len(seen.index.cells):
            remarks.append(f"{case.name} is left out: nothing in it is annotated")
            continue
        background = background_of(opened.image, case.name)
        if case.background is not None:
            level, sd = case.background
            background = Background(level, sd, background.voxels)
        source.volumes.append(
            _Volume(
                case,
                "folder" if found.kind == "folder" else "zarr",
                opened,
                seen,
                background,
            )
        )
        if seen.nonfinite:
            remarks.append(
                f"{case.name}: {seen.nonfinite} annotated voxels are NaN or infinite, "
                "and do not count"
            )
    if not source.volumes:
        message = (
            f"nothing in {name} is annotated: every voxel is 255 (ignore); annotate "
            "some, or say with --label-map what the values mean"
        )
        raise VolumeError(message)
    return source


def _foreground(volume: _Volume) -> int:
    return int(volume.scan.index.foreground.sum())


def _no_foreground(volumes: list[_Volume]) -> str:
    values = sorted(set().union(*(volume.scan.values for volume in volumes)))
    listed = ", ".join(f"{value:g}" for value in values[:12])
    hint = (
        "if 255 means neurite, give --label-map 255:1"
        if IGNORE in values
        else "annotate some, or say with --label-map what the values mean"
    )
    return f"no annotation holds a neurite (1); the values found are {listed}; {hint}"


def _hold_out(sources: list[_Source], config: DataConfig, remarks: list[str]) -> None:
    """Decide what each volume serves for."""
    single = [source.volumes for source in sources if len(source.volumes) == 1]
    groups = [source.volumes for source in sources if len(source.volumes) > 1]
    if single:  # several sources of one volume each are a set of volumes, too
        groups.append([volume for volumes in single for volume in volumes])
    divided = []
    for number, group in enumerate(groups):
        counts = [_foreground(volume) for volume in group]
        chosen = held_out(
            counts,
            config.validation_share,
            config.seed + number,
            config.validation_volumes,
        )
        for which in chosen:
            group[which].use = "validation"
        if not chosen:
            divided += [volume for volume in group if _foreground(volume)]
    for volume in divided:
        _divide(volume, config, remarks)
    if not any(v.use != "training" for group in groups for v in group) and groups:
        name = groups[0][0].case.name
        message = (
            f"nothing can be held out of {name} for validation: neurites are annotated in "
            "one place only; annotate another, or give --validation-share 0"
        )
        if not any(source.synth for source in sources):
            raise ConfigError(message)
        remarks.append(message)


def _divide(volume: _Volume, config: DataConfig, remarks: list[str]) -> None:
    cut = cut_volume(volume.scan, config.validation_share, config.guard)
    if cut is None:
        return
    volume.use, volume.cut = "both", cut
    axis = "zyx"[cut.axis]
    volume.note = (
        f"trained on {axis} below {cut.stop}, validated from {axis} = {cut.start} on"
    )
    if cut.guard < config.guard:
        volume.note += f"; a guard of {cut.guard} of {config.guard} voxels fits between"
    remarks.append(f"{volume.case.name}: {volume.note}")


def _trains(source: _Source) -> bool:
    return any(volume.use != "validation" for volume in source.volumes)


def _affine(
    background: Background, config: DataConfig, clip: tuple[float, float]
) -> Affine:
    return affine(
        parse_normalization(config.normalization), background, config.gain, clip
    )


def _patches(source: _Source, share: float, config: DataConfig) -> NumberedPatches:
    simulated = config.augmentation == "default"
    if source.synth:
        return synth_source.SynthPatches(
            source.synth,
            seed=config.seed,
            patch=config.patch,
            batch=config.batch,
            share=share,
            clutter=config.clutter,
            augmentation="simulated" if simulated else config.augmentation,
            normalization=config.normalization,
            gain=config.gain,
            clip=config.clip,
        )
    regions = [
        _region(volume, config)
        for volume in source.volumes
        if volume.use != "validation"
    ]
    return VolumePatches(
        regions,
        label_map=config.label_map,
        patch=config.patch,
        background_share=config.background_share,
        min_foreground=config.min_foreground,
        augmentation=config.augmentation,
        clip=config.clip,
        ring=config.ring,
    )


def _region(volume: _Volume, config: DataConfig) -> TrainingRegion:
    domain, index = Roi.whole(volume.case.shape), volume.scan.index
    if volume.cut is not None:
        domain = volume.cut.training(volume.case.shape)
        index = restricted(index, domain, volume.opened.codes)
    by = _affine(volume.background, config, _UNCLIPPED)
    scale = Scale.of(by, volume.background.sd)
    return TrainingRegion(volume.case, domain, index, by, scale)


def _validation(
    source: _Source, number: int, config: DataConfig
) -> list[ValidationVolume]:
    if not config.validation_share:
        return []
    if source.synth:
        count = _BRAINS.get(source.synth, _BRAINS_OF_PRESET)
        shape = capped_shape(_BRAIN, config.validation_voxels)
        found = []
        for which in range(count):
            brain = synth_source.held_out_brain(source.synth, which, shape)
            by = _affine(brain.background, config, config.clip)
            image, target = brain.normalised(Roi.whole(shape), by)
            name = f"{source.text}, held-out brain {which}"
            found.append(
                validation_volume(name, image, target, source.share / count, ring=False)
            )
        return found
    used = [volume for volume in source.volumes if volume.use != "training"]
    most = min(
        config.validation_voxels,
        _VOLUMES_IN_FULL * config.validation_voxels // max(len(used), 1),
    )
    found = []
    for which, volume in enumerate(used):
        shape, index = volume.case.shape, volume.scan.index
        region = Roi.whole(shape)
        if volume.cut is not None:
            region = volume.cut.validation(shape)
            index = restricted(index, region, volume.opened.codes)
        rng = np.random.default_rng((config.seed, number, which))
        box = validation_box(index, region, most, rng)
        read = box
        if volume.cut is not None:  # the guard is what the network sees beside it
            read = _with_guard(box, volume.cut)
        by = _affine(volume.background, config, config.clip)
        image, target = volume.opened.read(read, by)
        counted = np.full(target.shape, IGNORE, np.uint8)
        inner = box.slices(read.start)
        counted[inner] = target[inner]
        found.append(
            validation_volume(
                volume.case.name,
                image,
                counted,
                source.share / len(used),
                ring=config.ring,
            )
        )
    return found


def _with_guard(box: Roi, cut: Cut) -> Roi:
    start = list(box.start)
    if start[cut.axis] == cut.start:
        start[cut.axis] = cut.stop
    return Roi((start[0], start[1], start[2]), box.stop)


def _notes(source: _Source, config: DataConfig) -> list[SourceNote]:
    if source.synth:
        unknown = math.nan
        return [
            SourceNote(
                source.text,
                "synth",
                _BRAIN,
                0,
                0,
                unknown,
                unknown,
                "both" if config.validation_share else "training",
                licence="MIT",
                note="made on the way; held-out brains have other seeds",
            )
        ]
    return [
        SourceNote(
            name=volume.case.name,
            kind=volume.kind,
            shape=volume.case.shape,
            labelled=int(volume.scan.index.labelled.sum()),
            foreground=_foreground(volume),
            level=volume.background.level,
            sd=volume.background.sd,
            use=volume.use,
            nonfinite=volume.scan.nonfinite,
            licence=volume.case.licence,
            note=volume.note,
        )
        for volume in source.volumes
    ]
