"""``blockseg propose-annotations``: selection of blocks worth annotating."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.outputs import writable
from blockseg.blockwise.sources.inputs import open_mask
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.labels import IGNORE
from blockseg.core.text import times
from blockseg.dhpr.selection.choice import Choice
from blockseg.dhpr.selection.rules import select
from blockseg.evaluation.report import write_report
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.proposals.boxes import measured_boxes, pick_cubes
from blockseg.proposals.brain import open_brain
from blockseg.proposals.crops import (
    context,
    draft,
    image_of,
    probability_of,
    thumbnails,
)
from blockseg.proposals.folder import PicksFolder, Proposed, earlier_rows
from blockseg.proposals.manifest import ManifestRow, Origin
from blockseg.proposals.map import brain_map
from blockseg.proposals.points import napari_points, neuroglancer_points
from blockseg.proposals.report import ReportFacts, report
from blockseg.proposals.request import BrainRequest, command_again
from blockseg.training.annotations.drafts import label_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from blockseg.config.propose_settings import ProposeSettings
    from blockseg.core.space import Space, Vector
    from blockseg.dhpr.selection.choice import Selection
    from blockseg.io.protocol import Volume
    from blockseg.proposals.boxes import Boxes
    from blockseg.proposals.brain import Brain


def propose(
    out: str,
    folder: str,
    settings: ProposeSettings,
    on_pick: Callable[[int, int], None] | None = None,
) -> Proposed:
    """Pick blocks of a brain and write them for annotation.

    Parameters
    ----------
    out
        Output of ``run`` or ``metrics``.
    folder
        ``PICKS``; made if missing. The same call again goes on where it was stopped; a
        label that is there is never written again.
    settings
        Settings of the picks.
    on_pick
        Told how many of the picks are written.

    Raises
    ------
    BlocksegError
        Of the kind that fits, with one line, before anything is written.
    """
    brain = open_brain(out, allow_partial=settings.allow_partial)
    root = writable(folder, "PICKS")
    excluded = [row for name in settings.exclude for row in earlier_rows(Path(name))]
    request = _request(settings, brain, excluded)
    picks = PicksFolder.open(root, request, update=settings.update)
    boxes = _boxes(brain, settings)
    earlier = [*picks.earlier, *excluded]
    mine = [row for row in earlier if row.source == brain.spec.uri]
    chosen = select(boxes.table, _choice(settings, mine))
    notes = [*boxes.notes]
    if len(mine) < len(earlier):
        notes.append(
            f"{len(earlier) - len(mine)} earlier picks are of another source and keep "
            "nothing away"
        )
    notes += chosen.notes
    with picks.locked(request):
        rows = _rows(brain, boxes, chosen, picks, settings)
        rows, pictures, kept = _write(brain, picks, rows, settings, on_pick)
        picks.finish(rows, Origin(brain.spec.uri, str(brain.out), brain.space))
        _accompany(brain, boxes, chosen, picks, pictures, notes, settings)
    return Proposed(
        folder=root,
        names=tuple(row.name for row in rows),
        kept=kept,
        candidates=chosen.candidates,
        blocks=len(boxes.table),
        shape=boxes.shape,
        notes=tuple(notes),
    )


def _request(
    settings: ProposeSettings, brain: Brain, excluded: Sequence[ManifestRow]
) -> BrainRequest:
    """Return what determines the picks."""
    names = "\n".join(row.name for row in excluded)
    return BrainRequest(
        settings,
        run=brain.cubes.fingerprint,
        blocks=int(brain.done.sum()),
        excluded=hashlib.sha256(names.encode()).hexdigest()[:16] if names else None,
    )


def _boxes(brain: Brain, settings: ProposeSettings) -> Boxes:
    """Return the blocks that may be picked, measured."""
    shape = pick_cubes(
        brain.grid.region.shape,
        settings.picks,
        settings.pick_shape,
        largest=settings.largest,
    )
    return measured_boxes(
        brain,
        shape,
        flavour="published" if settings.rule == "published" else "extended",
        mask=_over(brain, settings.mask, "--mask"),
        regions=_over(brain, settings.regions, "--regions"),
    )


def _choice(settings: ProposeSettings, earlier: Sequence[ManifestRow]) -> Choice:
    """Return the request for a selection away from earlier picks."""
    taken = [(row.box.start, row.box.stop) for row in earlier]
    return Choice(
        settings.picks,
        settings.rule,
        settings.seed,
        np.array(taken, np.int64).reshape(-1, 2, 3),
    )


def _over(brain: Brain, name: str | None, option: str) -> Volume | None:
    """Open a volume that is laid over a brain, if given."""
    grid = brain.grid
    opened = open_mask(name, grid.volume_shape, brain.space, grid.region, option)
    return None if opened is None else opened.volume


def _rows(
    brain: Brain,
    boxes: Boxes,
    chosen: Selection,
    picks: PicksFolder,
    settings: ProposeSettings,
) -> list[ManifestRow]:
    table, hardness = boxes.table, boxes.table.hardness()
    taken = {row.name: row.source for row in picks.earlier}
    rows = []
    for rank, pick in enumerate(chosen.picks, 1):
        at = pick.index
        box = Roi(to_zyx(table.start[at]), to_zyx(table.stop[at]))
        level, sd = brain.background(box)
        found = {name: float(column[at]) for name, column in boxes.metrics.items()}
        z, y, x = box.start
        name = f"{brain.name}_z{z:05d}_y{y:05d}_x{x:05d}"
        if taken.get(name, brain.spec.uri) != brain.spec.uri:
            name += f"_{picks.number}"
        row = ManifestRow(
            name=name,
            rank=rank,
            round=picks.number,
            rule=settings.rule,
            reason=pick.reason,
            box=box,
            source=brain.spec.uri,
            measures={
                "background_level": level,
                "background_sd": sd,
                **{k: v if math.isfinite(v) else None for k, v in found.items()},
                "region": int(table.region[at]),
                "hardness": float(hardness[at]),
            },
            image_start=context(brain, box, settings.margin).start,
            centre=_centre(brain.space, box),
        )
        rows.append(row)
    return rows


def _centre(space: Space, box: Roi) -> Vector | None:
    if space.unit is None:
        return None
    z, y, x = (
        round(place + (start + (n - 1) / 2) * size, 4)
        for place, start, n, size in zip(
            space.translation, box.start, box.shape, space.voxel_size, strict=True
        )
    )
    return (z, y, x)


def _write(
    brain: Brain,
    picks: PicksFolder,
    rows: Sequence[ManifestRow],
    settings: ProposeSettings,
    on_pick: Callable[[int, int], None] | None,
) -> tuple[list[ManifestRow], dict[str, tuple[str, str]], int]:
    """Write missing files; return the rows with their drafts, and pictures of all picks."""
    written, pictures = [], {}
    kept = 0
    for number, row in enumerate(rows, 1):
        name, box = row.name, row.box
        roi = context(brain, box, settings.margin)
        image, path = image_of(brain, roi), picks.label(name)
        label: NDArray[np.generic] = draft(
            brain, image, box, roi, ignore_uncertain=settings.ignore_uncertain
        )
        written.append(replace(row, draft=label_hash(label)))
        if path.exists():
            label = _read(path, image.shape)
        seen = probability_of(brain, box, roi)
        kept += picks.keep(name, image, label, brain.space.cropped(roi.start), seen)
        pictures[name] = thumbnails(image, label, len(rows) + len(picks.earlier))
        if on_pick is not None:
            on_pick(number, len(rows))
    return written, pictures, kept


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.generic]:
    volume = open_volume(find(str(path), mask=True))
    if volume.shape != shape:
        message = (
            f"{path} has {volume.shape} voxels, its image {shape}; correct or remove it"
        )
        raise VolumeError(message)
    return volume.read(Roi.whole(volume.shape))


def _accompany(
    brain: Brain,
    boxes: Boxes,
    chosen: Selection,
    picks: PicksFolder,
    pictures: dict[str, tuple[str, str]],
    notes: Sequence[str],
    settings: ProposeSettings,
) -> None:
    """Write the files for people and viewers, of all rounds."""
    rows = [row for row in picks.rows if row.source == brain.spec.uri]
    points = neuroglancer_points(rows, brain.space)
    write_report(str(picks.root / "points.json"), points)
    write_report(str(picks.root / "points.csv"), napari_points(rows))
    for row in picks.rows:
        if row.name not in pictures:
            pictures[row.name] = _pictures(picks, row.name)
    among = boxes.table.candidates
    facts = ReportFacts(
        title=f"{brain.name}: blocks to annotate",
        state=(
            f"{len(chosen.picks)} pick{'s' * (len(chosen.picks) != 1)} of "
            f"{times(boxes.shape)} voxels by the rule "
            f"{settings.rule} from "
            f"{chosen.candidates} of {len(boxes.table)} blocks."
        ),
        notes=tuple(notes),
        blocks={name: column[among] for name, column in boxes.metrics.items()},
        place=brain_map(brain.out, brain.grid.region, boxes.table),
        source=brain.spec.uri,
        again=command_again(str(brain.out), settings),
    )
    write_report(str(picks.root / "report.html"), report(picks.rows, pictures, facts))


def _pictures(picks: PicksFolder, name: str) -> tuple[str, str]:
    """Return pictures of a pick of an earlier round, its label as it is by now."""
    image = open_volume(find(str(picks.image(name))))
    path = picks.label(name)
    label: NDArray[np.generic] = np.full(image.shape, IGNORE, np.uint8)
    if path.exists():
        label = _read(path, image.shape)
    return thumbnails(image.read(Roi.whole(image.shape)), label, len(picks.rows))
