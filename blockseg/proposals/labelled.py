"""The published rule on a folder of labelled volumes, as it was published."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.outputs import writable
from blockseg.blockwise.sources.doubts import warn_of
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.places import local_path
from blockseg.dhpr.published import noise_and_snr, published_metrics, published_picks
from blockseg.evaluation.report import write_report
from blockseg.io.open import open_volume
from blockseg.proposals.crops import thumbnails
from blockseg.proposals.folder import PicksFolder, Proposed
from blockseg.proposals.manifest import ManifestRow, Origin
from blockseg.proposals.report import ReportFacts, report
from blockseg.proposals.request import LabelledRequest, command_again
from blockseg.training.annotations.doubts import LabelDoubts
from blockseg.training.annotations.labels import OTHERS, LabelCodes
from blockseg.training.data.annotated_volumes import find_annotated
from blockseg.training.data.scan import scan
from blockseg.training.data.volume_source import OpenAnnotation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from blockseg.config.propose_settings import ProposeSettings
    from blockseg.core.choices import SourceChoices
    from blockseg.training.data.annotated_volumes import LabelledImage

_DRAWS = 10
_DRAWN = 80_000  # background voxels that the original draws


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """D, s and L of a labelled volume."""

    labelled: LabelledImage
    measures: dict[str, float]
    drawn: NDArray[np.float64]  # s and L of each seeded draw, shape (draws, 2)


def is_labelled(source: str) -> bool:
    """Return whether a source is a folder with ``image/`` and ``label/``."""
    root = Path(local_path(source)).expanduser()
    return (root / "image").is_dir() and (root / "label").is_dir()


def propose_labelled(
    source: str,
    folder: str,
    settings: ProposeSettings,
    choices: SourceChoices,
    on_volume: Callable[[int, int], None] | None = None,
) -> Proposed:
    """Pick volumes by the published rule, and copy them.

    Images and labels belong together by their names. All background voxels stand in
    for the original's unseeded draw of 80,000; how much ten seeded draws agree is among the
    notes.

    Parameters
    ----------
    source
        A folder with ``image/NAME.tif`` and ``label/NAME.tif``.
    folder
        ``PICKS``.
    settings
        Count, label map, and the rule, which must be ``published``.
    choices
        Choices of the user for the images.
    on_volume
        Told how many volumes are measured.

    Raises
    ------
    ConfigError
        If another rule is asked for, or something that labelled volumes do not have.
    VolumeError
        If something cannot be read or written, or a label has no foreground, for which
        the rule has no answer.
    """
    _check(settings)
    images = find_annotated(
        source, choices=choices, label_channel=settings.label_channel
    ).images
    warn_of([doubt for labelled in images for doubt in labelled.doubts])
    root, data = writable(folder, "PICKS"), Path(local_path(source)).expanduser()
    if root == data.absolute():
        message = f"PICKS {root} is the folder that is picked from; choose another"
        raise ConfigError(message)
    origin = Origin(str(data.absolute()))
    request = LabelledRequest(
        settings, origin.source, tuple(labelled.name for labelled in images)
    )
    picks = PicksFolder.open(root, request, update=False)
    measured = _measure_all(images, settings, on_volume)
    columns = {
        name: np.array([one.measures[name] for one in measured])
        for name in ("density", "level", "sd", "low_snr")
    }
    density, noise = columns["density"], columns["sd"]
    chosen = published_picks(density, noise, columns["low_snr"], settings.picks)
    notes = _notes(measured, density, noise, chosen, settings.picks)
    if not len(chosen):
        message = (
            f"the rule published picks none of the {len(images)} volumes of {source}: "
            f"{notes[-1] if notes else 'none is noisier than the median'}"
        )
        raise ConfigError(message)
    with picks.locked(request):
        rows = [_row(rank, measured[number]) for rank, number in enumerate(chosen, 1)]
        pictures, kept = _copy(picks, [measured[n].labelled for n in chosen], rows)
        picks.finish(rows, origin)
        facts = ReportFacts(
            title=f"{data.name}: volumes by the published rule",
            state=f"{len(rows)} of {len(images)} labelled volumes.",
            notes=tuple(notes),
            blocks=columns,
            again=command_again(origin.source, settings),
        )
        write_report(str(root / "report.html"), report(rows, pictures, facts))
    return Proposed(
        folder=root,
        names=tuple(row.name for row in rows),
        kept=kept,
        candidates=len(images),
        blocks=len(images),
        shape=to_zyx(np.max([labelled.shape for labelled in images], axis=0)),
        notes=tuple(notes),
    )


def _check(settings: ProposeSettings) -> None:
    if settings.rule != "published":
        message = (
            f"--rule {settings.rule} picks from a brain; a folder with image/ and label/ "
            "takes --rule published"
        )
        raise ConfigError(message)
    for name in ("exclude", "regions", "mask", "pick_shape", "margin", "update"):
        if getattr(settings, name):
            option = name.replace("_", "-")
            message = f"--{option} does not go with a folder of labelled volumes"
            raise ConfigError(message)


def _measure_all(
    images: Sequence[LabelledImage],
    settings: ProposeSettings,
    on_volume: Callable[[int, int], None] | None,
) -> list[_Measured]:
    # The original knows 0 and 1 only; 255 is what nobody judged.
    codes = LabelCodes({OTHERS: 1, **(settings.label_map or {})})
    labels = None if settings.allow_labels else LabelDoubts()
    measured = []
    for number, labelled in enumerate(images, 1):
        measured.append(_measure(labelled, codes, labels))
        if on_volume is not None:
            on_volume(number, len(images))
    return measured


def _measure(
    labelled: LabelledImage, codes: LabelCodes, labels: LabelDoubts | None
) -> _Measured:
    opened, whole = OpenAnnotation(labelled, codes).held(), Roi.whole(labelled.shape)
    grey, mask = opened.image.read(whole), opened.codes(whole) == 1
    if not mask.any():
        message = (
            f"the label of {labelled.name} has no foreground, for which the published rule "
            "has no answer; leave the volume out"
        )
        raise VolumeError(message)
    if labels is not None:
        seen = scan(opened.image, opened.labels, codes, labelled.name)
        if doubt := labels.of(labelled.name, opened, seen):
            warn_of([doubt])
    found = published_metrics(grey, mask)
    part, inside = grey[found.roi.slices()], mask[found.roi.slices()]
    background = part[~inside].astype(np.float64)
    bright = part[inside].astype(np.float64)
    row = {
        "density": found.density,
        "level": found.level,
        "sd": found.noise,
        "low_snr": found.low_snr,
        "foreground": float(bright.size),
    }
    return _Measured(labelled, row, _drawn(background, bright))


def _drawn(
    background: NDArray[np.float64], bright: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return s and L as the original would find them in each of ten seeded draws."""
    found = np.full((_DRAWS, 2), np.nan)
    if not (background.size and bright.size):
        return found
    for seed in range(_DRAWS):
        rng = np.random.default_rng(seed)
        sample = background
        if background.size > _DRAWN:
            sample = rng.choice(background, _DRAWN, replace=False)
        found[seed] = noise_and_snr(sample, bright)[1:]
    return found


def _notes(
    measured: Sequence[_Measured],
    density: NDArray[np.float64],
    noise: NDArray[np.float64],
    chosen: NDArray[np.int64],
    count: int,
) -> list[str]:
    unknown = [one.labelled.name for one in measured if math.isnan(one.measures["sd"])]
    if unknown:
        return [
            (
                f"{unknown[0]} has no background, which makes the median of s unknown: a "
                "defect of the published rule"
            )
        ]
    notes = []
    if len(chosen) < count:
        kept = int((noise > np.median(noise)).sum())
        notes.append(
            f"{count} volumes were asked for; only {kept} of {len(measured)} are noisier "
            "than the median, and all of them are taken"
        )
    shares = []
    for draw in range(_DRAWS):
        drawn = np.array([one.drawn[draw] for one in measured])
        other = published_picks(density, drawn[:, 0], drawn[:, 1], count)
        both = len(np.intersect1d(chosen, other))
        shares.append(both / max(len(chosen), len(other), 1))
    notes.append(
        f"ten seeded draws of {_DRAWN:,} background voxels, as the original makes one, "
        f"agree with these picks to {100 * np.mean(shares):.0f} % "
        f"({100 * min(shares):.0f} to {100 * max(shares):.0f} %)"
    )
    return notes


def _row(rank: int, one: _Measured) -> ManifestRow:
    found, file = one.measures, Path(one.labelled.image.uri).name
    return ManifestRow(
        name=re.sub(r"\.tiff?$", "", file, flags=re.IGNORECASE),
        rank=rank,
        round=1,
        rule="published",
        reason=f"D + L = {found['density'] + found['low_snr']:.3f}",
        box=Roi.whole(one.labelled.shape),
        source=one.labelled.image.uri,
        measures={k: v if math.isfinite(v) else None for k, v in found.items()},
    )


def _copy(
    picks: PicksFolder, images: Sequence[LabelledImage], rows: Sequence[ManifestRow]
) -> tuple[dict[str, tuple[str, str]], int]:
    pictures: dict[str, tuple[str, str]] = {}
    kept = 0
    for labelled, row in zip(images, rows, strict=True):
        volume, whole = open_volume(labelled.image), Roi.whole(labelled.shape)
        image, label = volume.read(whole), open_volume(labelled.labels).read(whole)
        kept += picks.keep(row.name, image, label, volume.space)
        pictures[row.name] = thumbnails(image, label, len(rows))
    return pictures, kept
