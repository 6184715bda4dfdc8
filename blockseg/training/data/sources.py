"""Sources of a training, and the use of each of their volumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.labels import IGNORE
from blockseg.core.places import local_path
from blockseg.io.sample import sample_planes
from blockseg.normalization.background import Background, estimate_background
from blockseg.normalization.background_field import BackgroundField, estimate_field
from blockseg.training.annotations.doubts import LabelDoubts
from blockseg.training.annotations.labels import LabelCodes, listed, spelt
from blockseg.training.annotations.values import likely_neurites
from blockseg.training.data import synth_source
from blockseg.training.data.annotated_volumes import LabelledImage, find_annotated
from blockseg.training.data.scan import Scan, look, scan
from blockseg.training.data.split import Cut, cut_volume, held_out
from blockseg.training.data.volume_source import OpenAnnotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.io.protocol import Volume
    from blockseg.training.data.data import DataConfig


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedVolume:
    """An annotated volume, read through once."""

    image: LabelledImage
    """Where it is."""

    kind: Literal["folder", "zarr"]
    """Kind of its source."""

    opened: OpenAnnotation
    """It, open for reading."""

    scan: Scan
    """Scan of the annotation."""

    background: Background
    """By which it is normalised."""

    varying: BackgroundField | None = None
    """Background where it varies; None where one level and SD serve."""

    use: Literal["training", "validation", "both"] = "training"
    """Use."""

    cut: Cut | None = None
    """Cut of it, if it serves for both."""

    note: str = ""
    """Note on it."""

    @property
    def foreground(self) -> int:
        """Neurite voxels."""
        return int(self.scan.index.foreground.sum())

    @property
    def background_voxels(self) -> int:
        """Voxels that are annotated as background."""
        return int(self.scan.index.labelled.sum()) - self.foreground


@dataclass(frozen=True, slots=True, eq=False)
class DataSource:
    """A source that the user named."""

    text: str
    """As the user named it."""

    share: float
    """Share of the patches, 0 to 1."""

    synth: str | None = None
    """Kind of synthetic brains; None for annotated volumes."""

    volumes: tuple[AnnotatedVolume, ...] = ()
    """Annotated volumes."""

    remarks: tuple[str, ...] = ()
    """Notes for the user, a line each."""

    doubts: tuple[str, ...] = ()
    """Doubts about images and labels, a line each."""

    @property
    def trains(self) -> bool:
        """Whether there is anything to draw patches from."""
        return bool(self.synth) or any(v.use != "validation" for v in self.volumes)


def open_source(name: str, share: float, config: DataConfig) -> DataSource:
    """Find, open and read through a source.

    Parameters
    ----------
    name
        As the user gave it.
    share
        Of the patches, 0 to 1.
    config
        What labels mean.

    Raises
    ------
    BlocksegError
        With one line, if anything is missing, damaged or surely not what it shall be, or
        nothing is annotated.
    """
    if name.startswith("synth:"):
        return DataSource(name, share, synth=synth_source.parse(name))
    if not Path(local_path(name)).expanduser().exists():
        message = f"{name} does not exist"
        raise VolumeError(message)
    found = find_annotated(
        name,
        config.label_name,
        choices=config.choices,
        label_channel=config.label_channel,
        accept_drafts=config.accept_drafts,
    )
    remarks = [remark for image in found.images for remark in image.remarks]
    doubts = [doubt for image in found.images for doubt in image.doubts]
    labels = LabelDoubts()
    if found.unlabelled:
        remarks.append(
            f"{name}: {found.unlabelled} of {found.picks} picks are not annotated yet"
        )
    if found.drafts:
        remarks.append(
            f"{name}: {found.drafts} of {found.picks} picks are unedited drafts and left "
            "out; mark those that are right as done, or give --accept-drafts"
        )
    if found.skipped:
        remarks.append(
            f"{name}: {found.skipped} of {found.picks} picks were skipped and are left out"
        )
    codes = LabelCodes(config.label_map)
    volumes = []
    for image in found.images:
        opened = OpenAnnotation(image, codes)
        annotation = f"the annotation of {image.name}"
        seen = scan(opened.image, opened.labels, codes, annotation)
        if not len(seen.index.tiles):
            remarks.append(f"{image.name} is left out: nothing in it is annotated")
            continue
        if seen.nonfinite:
            remarks.append(
                f"{image.name}: {seen.nonfinite} annotated voxels are NaN or infinite, "
                "and do not count"
            )
        if not config.allow_labels and (doubt := labels.of(image.name, opened, seen)):
            doubts.append(doubt)
        background, varying = _background(opened.image, image.name)
        if image.background is not None:
            level, sd = image.background
            background, varying = Background(level, sd, background.voxels), None
        volumes.append(
            AnnotatedVolume(image, found.kind, opened, seen, background, varying)
        )
    if not volumes:
        message = (
            f"nothing in {name} is annotated: every voxel is 255 (ignore); annotate "
            "some, or say with --label-map what the values mean"
        )
        raise VolumeError(message)
    return DataSource(name, share, None, tuple(volumes), tuple(remarks), tuple(doubts))


def _background(
    volume: Volume, where: str
) -> tuple[Background, BackgroundField | None]:
    """Estimate a volume's background, as a run does before it starts."""
    sample = sample_planes(volume)
    if sample.unreadable:
        roi, reason = sample.unreadable[0]
        message = f"{where} cannot be read at {roi}: {reason}"
        raise VolumeError(message)
    background = estimate_background(sample.patches, volume.dtype)
    if not background.voxels:
        message = (
            f"{where} holds no tissue: {background.zero} sampled voxels are 0, "
            f"{background.constant} in constant regions, {background.saturated} saturated, "
            f"{background.nonfinite} NaN or infinite; leave it out"
        )
        raise VolumeError(message)
    field = estimate_field(sample.patches, sample.rois, volume.shape, volume.dtype)
    return background, field


def no_neurites(volumes: Sequence[AnnotatedVolume]) -> str:
    """Return one line for volumes without a neurite in their annotations."""
    values = set().union(*(volume.scan.counts for volume in volumes))
    hint = "annotate some, or say with --label-map what the values mean"
    for volume in volumes:
        if IGNORE not in volume.scan.counts:
            continue
        opened = volume.opened
        meanings = likely_neurites(look(opened.image, opened.labels, LabelCodes()))
        if meanings is not None:
            value = next(v for v, m in meanings.items() if m == 1)
            hint = f"if {value:g} means neurite, give --label-map {spelt(meanings)}"
            break
    return f"no annotation holds a neurite (1); the values found are {listed(values)}; {hint}"


def hold_out(sources: Sequence[DataSource], config: DataConfig) -> list[DataSource]:
    """Decide the use of each volume.

    Volumes of a source are a set of which some are held out; so are several sources
    of one volume each. A volume on its own is divided.

    Raises
    ------
    ConfigError
        If nothing can be held out, and there is nothing synthetic to be judged by.
    """
    used: dict[tuple[int, int], AnnotatedVolume] = {}
    for number, group in enumerate(_groups(sources)):
        counts = [volume.foreground for volume in group.values()]
        chosen = held_out(
            counts,
            config.validation_share,
            config.seed + number,
            config.validation_volumes,
        )
        for which, (place, volume) in enumerate(group.items()):
            if which in chosen:
                used[place] = replace(volume, use="validation")
            else:
                used[place] = volume if chosen else _divided(volume, config)
    alone = not any(source.synth for source in sources)
    if alone and all(volume.use == "training" for volume in used.values()):
        name = next(iter(used.values())).image.name
        message = (
            f"nothing can be held out of {name} for validation: neurites are annotated "
            "in one place only; annotate another, or give --validation-share 0"
        )
        raise ConfigError(message)
    decided = []
    for i, source in enumerate(sources):
        volumes = tuple(used[i, j] for j in range(len(source.volumes)))
        notes = tuple(f"{v.image.name}: {v.note}" for v in volumes if v.note)
        remarks = source.remarks + notes
        decided.append(replace(source, volumes=volumes, remarks=remarks))
    return decided


def _groups(
    sources: Sequence[DataSource],
) -> list[dict[tuple[int, int], AnnotatedVolume]]:
    """Return groups of volumes from which some are held out, by source and position."""
    placed = [
        {(i, j): volume for j, volume in enumerate(source.volumes)}
        for i, source in enumerate(sources)
    ]
    single = {
        place: volume
        for group in placed
        if len(group) == 1
        for place, volume in group.items()
    }
    return [*(group for group in placed if len(group) > 1), single]


def _divided(volume: AnnotatedVolume, config: DataConfig) -> AnnotatedVolume:
    cut = None
    if volume.foreground:
        cut = cut_volume(volume.scan, config.validation_share, config.guard)
    if cut is None:
        return volume
    axis = "zyx"[cut.axis]
    note = f"trained on {axis} below {cut.stop}, validated from {axis} = {cut.start} on"
    if cut.guard < config.guard:
        note += f"; a guard of {cut.guard} of {config.guard} voxels fits between"
    return replace(volume, use="both", cut=cut, note=note)
