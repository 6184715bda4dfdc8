"""Annotated volumes: images and labels matched by name."""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from blockseg.core.choices import SourceChoices
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.places import local_path
from blockseg.core.text import blockseg_command, times
from blockseg.core.untrusted.files import RECORD_BYTES, read_text, text_of
from blockseg.core.untrusted.json_text import MALFORMED, parse_json, shortened
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.plausibility.checks import find_plausible
from blockseg.io.plausibility.chunks import refuse_misplaced
from blockseg.io.zarr.layout import label_paths
from blockseg.training.annotations.drafts import DRAFT, STATE, standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import VolumeSpec
    from blockseg.training.annotations.drafts import Standing

_ENDINGS = (".tif", ".tiff")
_ANY = (1.0, 1.0, 1.0)  # voxel size: nothing depends on it
_LAYOUT = "a folder with image/NAME.tif and label/NAME.tif"


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One annotated volume."""

    name: str
    """For people: the source and the name in it."""

    image: VolumeSpec
    """Grey levels."""

    labels: VolumeSpec
    """Annotation, of the same shape."""

    shape: Zyx
    """Voxels along (z, y, x)."""

    background: tuple[float, float] | None = None
    """b and s of the brain that the image was cut from, in grey levels, if stated."""

    licence: str = ""
    """As stated."""

    doubts: tuple[str, ...] = ()
    """Doubts about the image, a line each."""

    remarks: tuple[str, ...] = ()
    """Remarks on it, a line each."""


@dataclass(frozen=True, slots=True)
class FoundImages:
    """Annotated volumes of one source."""

    kind: Literal["folder", "zarr"]
    """Kind of storage."""

    images: tuple[LabelledImage, ...]
    """Sorted by name."""

    unlabelled: int = 0
    """Picks of a manifest that nobody annotated yet."""

    drafts: int = 0
    """Picks that are left out because their drafts are unchanged."""

    skipped: int = 0
    """Picks that are left out because an annotator skipped them."""

    @property
    def picks(self) -> int:
        """Number of volumes with those that are left out."""
        return len(self.images) + self.unlabelled + self.drafts + self.skipped


def find_annotated(
    source: str,
    label_name: str | None = None,
    *,
    choices: SourceChoices | None = None,
    label_channel: int | None = None,
    accept_drafts: bool = True,
) -> FoundImages:
    """Find images and their annotations.

    Parameters
    ----------
    source
        A folder with ``image/`` and ``label/``, or an OME-Zarr image with ``labels/``.
    label_name
        Which label image of an OME-Zarr; needed where there are several.
    choices
        What is said of the images; nothing if not given.
    label_channel
        Index on the channel axis of annotations, where it is longer than 1.
    accept_drafts
        Whether a draft that nobody touched counts as an annotation, and a pick that was
        skipped as one that was not.

    Raises
    ------
    VolumeError
        If something is missing, damaged or of another shape than its partner, or nothing
        but drafts is there.
    ConfigError
        If there is no such label image, or several and no choice.
    """
    path = Path(local_path(source)).expanduser()
    images = replace(choices or SourceChoices(), voxel_size=_ANY)
    if (path / "image").is_dir() or (path / "label").is_dir():
        return _folder(path, images, label_channel, accept_drafts=accept_drafts)
    if path.suffix.lower() in _ENDINGS:
        message = f"{source} is one TIFF file; give {_LAYOUT}"
        raise VolumeError(message)
    if path.is_dir() and any(p.suffix.lower() in _ENDINGS for p in path.iterdir()):
        message = f"{source} holds TIFF files, but no image/ and label/; give {_LAYOUT}"
        raise VolumeError(message)
    one = _zarr(str(path), label_name, images, label_channel)
    return FoundImages("zarr", (one,))


def _labels(
    path: str | Path,
    images: SourceChoices,
    channel: int | None,
    within: str | None = None,
) -> VolumeSpec:
    """Find an annotation; its axes are those of its image."""
    axes = images.axes
    if axes is not None and channel is None:
        axes = axes.replace("c", "").replace("t", "")
    return find(
        path,
        dataset=within,
        channel=channel,
        axes=axes,
        mask=True,
        channel_option="--label-channel",
    )


def _zarr(
    source: str, label_name: str | None, images: SourceChoices, channel: int | None
) -> LabelledImage:
    opened = find_plausible(source, images)
    image = opened.spec
    found = label_paths(image)
    if not found:
        message = (
            f"{source} has no labels/ with an annotation; give an OME-Zarr image that "
            f"has, or {_LAYOUT}"
        )
        raise VolumeError(message)
    known = ", ".join(found)
    if label_name is None and len(found) > 1:
        message = f"{source} has the labels {known}; choose one with --label-name"
        raise ConfigError(message)
    name = next(iter(found)) if label_name is None else label_name
    if name not in found:
        message = f"{source} has no labels {name!r}; --label-name may be {known}"
        raise ConfigError(message)
    labels = _labels(image.uri, images, channel, found[name])
    shape = _shape(image, labels)
    name = Path(source).name
    return LabelledImage(
        name, image, labels, shape, doubts=opened.doubts, remarks=opened.remarks
    )


def _folder(
    folder: Path,
    choices: SourceChoices,
    channel: int | None,
    *,
    accept_drafts: bool,
) -> FoundImages:
    for part in ("image", "label"):
        if not (folder / part).is_dir():
            message = f"{folder} has no folder {part}/; give {_LAYOUT}"
            raise VolumeError(message)
    images, labels = _stems(folder / "image"), _stems(folder / "label")
    picks, background, licence = _manifest(folder)
    lonely = sorted(labels.keys() - images.keys())
    if lonely:
        message = f"{labels[lonely[0]]} has no partner image/{lonely[0]}.tif"
        raise VolumeError(message)
    gone = sorted(picks.keys() - images.keys())
    if gone:
        message = (
            f"the manifest of {folder} names {gone[0]!r}, but there is no image of it"
        )
        raise VolumeError(message)
    missing = sorted(images.keys() - labels.keys() - picks.keys())
    if missing:
        message = f"{images[missing[0]]} has no partner label/{missing[0]}.tif"
        raise VolumeError(message)
    annotated = []
    left: Counter[Standing] = Counter()
    for name in sorted(labels):
        label = _labels(labels[name], choices, channel)
        if not accept_drafts and name in picks:
            stands = _standing(picks[name], label)
            left[stands] += 1
            if stands != "annotated":
                continue
        opened = find_plausible(images[name], choices)
        annotated.append(
            LabelledImage(
                f"{folder.name}/{name}",
                opened.spec,
                label,
                _shape(opened.spec, label),
                background.get(name),
                licence,
                opened.doubts,
                opened.remarks,
            )
        )
    if not annotated and labels:
        message = (
            f"all that was annotated in {folder} is {left['draft']} unedited drafts and "
            f"{left['skipped']} skipped picks: correct some, or mark them as done "
            f"({blockseg_command('annotate', folder)}), or take them as they are with "
            "--accept-drafts"
        )
        raise VolumeError(message)
    if not annotated:
        message = f"{folder} holds no annotated volume: nothing in label/ ends in .tif or .tiff"
        raise VolumeError(message)
    unlabelled = len(images.keys() - labels.keys())
    return FoundImages(
        "folder", tuple(annotated), unlabelled, left["draft"], left["skipped"]
    )


def _standing(row: Mapping[str, object], label: VolumeSpec) -> Standing:
    """Return the kind of a label; its voxels are read only if needed."""
    state, draft = (str(row.get(column) or "") for column in (STATE, DRAFT))
    volume = None if state or not draft else open_volume(label)
    voxels = np.zeros(0) if volume is None else volume.read(Roi.whole(volume.shape))
    return standing(str(row["name"]), state, draft, voxels)


def _stems(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _ENDINGS or path.name.startswith("."):
            continue
        if path.stem in found:
            message = f"{found[path.stem]} and {path} have one name; remove one of them"
            raise VolumeError(message)
        found[path.stem] = path
    return found


def _shape(image: VolumeSpec, labels: VolumeSpec) -> Zyx:
    annotation = open_volume(labels)
    refuse_misplaced(labels, annotation)
    shape, other = open_volume(image).shape, annotation.shape
    if shape != other:
        message = (
            f"{_place(image)} has {times(shape)} voxels, its annotation {_place(labels)} "
            f"{times(other)}; they must have one shape"
        )
        raise VolumeError(message)
    return shape


def _manifest(
    folder: Path,
) -> tuple[
    dict[str, Mapping[str, str | float | None]],
    dict[str, tuple[float, float] | None],
    str,
]:
    """Return a manifest's rows by name, b and s where stated, and its licence."""
    file = next(
        (f for f in (folder / "manifest.json", folder / "manifest.csv") if f.exists()),
        None,
    )
    if file is None:
        return {}, {}, ""
    try:
        if file.suffix == ".json":
            content = parse_json(read_text(file, RECORD_BYTES))
            whole = content if isinstance(content, dict) else {"picks": content}
            rows, licence = whole["picks"], str(whole.get("licence", ""))
        else:
            with text_of(file, RECORD_BYTES, encoding="utf-8-sig") as stream:
                rows, licence = list(csv.DictReader(stream)), ""
        by_name = {str(row["name"]): row for row in rows}
        background = {name: _background(row) for name, row in by_name.items()}
    except (OSError, csv.Error, *MALFORMED) as error:
        why = shortened(error)
        message = f"{file} is no manifest of picks with a name each ({why})"
        raise VolumeError(message) from error
    return by_name, background, licence


def _background(row: Mapping[str, str | float | None]) -> tuple[float, float] | None:
    level, sd = row.get("background_level"), row.get("background_sd")
    if level in (None, "") or sd in (None, ""):
        return None
    pair = (float(str(level)), float(str(sd)))
    if not (math.isfinite(pair[0]) and 0 < pair[1] < math.inf):
        message = f"background {pair} of {row['name']}"
        raise ValueError(message)
    return pair


def _place(spec: VolumeSpec) -> str:
    return str(Path(spec.uri) / spec.path) if spec.format != "tiff" else spec.uri
