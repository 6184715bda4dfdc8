"""``blockseg preview``: projections of image, probability and mask, drawn as a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.store_state import paths_of
from blockseg.config.view_settings import PreviewSettings
from blockseg.core.errors import GeometryError, LedgerError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.text import times
from blockseg.io.describe import describe
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.picture import (
    as_grey,
    overlaid,
    panels,
    save_png,
    with_scale_bar,
)
from blockseg.normalization.interpolation import sampled
from blockseg.reports.projections import (
    CLEAN,
    MASK,
    level_within,
    open_level,
    project,
    project_axes,
    project_objects,
    resized,
    source_beside,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.choices import SourceChoices
    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume
    from blockseg.io.stores.location import Location

_LARGEST_SIDE = 1024
_MOST_IMAGE_VOXELS = 2**31
_PLANES = 16  # of a background field, of which the mean is drawn
_DENSE = 0.2  # share of a picture that a projected mask covers, from which slabs help
_SLABS = 4
_THINNEST = 4  # planes of a slab
_SMALLEST_SIDE = 384  # pixels: smaller volumes are drawn larger
_AXES = ("along z: y, x", "along y: z, x", "along x: z, y")


def preview(
    out: str,
    picture: str | None = None,
    settings: PreviewSettings | None = None,
    choices: SourceChoices | None = None,
) -> Path:
    """Draw what a run made, beside what it was made from; or a volume alone.

    Parameters
    ----------
    out
        Output of a run, or a volume.
    picture
        PNG to write; ``OUT/.blockseg/preview.png`` if not given, of a volume
        ``NAME.preview.png`` in the working directory.
    settings
        How it is drawn.
    choices
        Which of its volumes is meant, and as what it is read, if it is no result.

    Returns
    -------
    Path
        The picture. Above, projections along z: the image (where it is at hand and no level
        needs more than 2 gigavoxels to be read), probability and mask; where its objects
        were labelled, those of the clean mask, a colour each; where the run saw its source by
        a background field, also the means of level and noise SD along z, black at 0. Below,
        projections of the image along all three axes with the mask over it (the clean one,
        where there are objects; the titles say which) and a scale bar;
        and thin slabs, where a projection of the whole is too dense to see anything.

    Raises
    ------
    VolumeError
        If there is nothing to draw, it is damaged, or the picture cannot be written.
    """
    settings = settings or PreviewSettings()
    paths = paths_of(out)
    if _is_run(paths):
        target = Path(picture) if picture else paths.folder / "preview.png"
        drawn = _of_run(paths.out, settings)
    else:
        name = Path(paths.out.name).stem
        target = Path(picture) if picture else Path(f"{name}.preview.png")
        drawn = _of_volume(out, settings, choices)
    if not target.absolute().parent.is_dir():
        message = f"{target} cannot be written: there is no folder {target.parent}"
        raise VolumeError(message)
    save_png(target, drawn)
    return target


@dataclass(frozen=True, slots=True)
class Scene:
    """An image, and the mask over it, as they are drawn along three axes."""

    image: Volume
    """The image; the probability where that is not at hand."""

    region: Roi
    """Region of the image that is drawn."""

    space: Space
    """Voxel size of the image, as far as it is known."""

    mask: Volume | None
    """Mask of that region, at a resolution of its own; None of a volume alone."""

    settings: PreviewSettings
    """How they are drawn."""

    which: str = ""
    """Which mask that is, for the titles; empty without one."""

    def drawn(self) -> NDArray[np.uint8]:
        """Return projections along all axes, and slabs below where they help."""
        image = project_axes(self.image, self.region)
        mask = None if self.mask is None else project_axes(self.mask)
        panes = [
            (
                self._title(name),
                self._panel(axis, image[axis], None if mask is None else mask[axis]),
            )
            for axis, name in enumerate(_AXES)
        ]
        covered = 0.0 if mask is None else float(mask[0].astype(bool).mean())
        slabs = list(self._slabs(covered))
        return below([_row(panes), *([_row(slabs)] if slabs else [])])

    def _title(self, name: str) -> str:
        return f"{name} ({self.which})" if self.which else name

    def _slabs(self, covered: float) -> list[tuple[str, NDArray[np.uint8]]]:
        """Return projections of thin slabs, evenly spaced along z."""
        count = self.settings.slabs
        if count is None:
            count = _SLABS if covered >= _DENSE else 0
        depth = self.region.shape[0]
        thick = min(depth, max(_THINNEST, round(depth / max(5 * covered, 4))))
        found = []
        for number in range(count):
            first = round((depth - thick) * (number + 0.5) / count)
            z = self.region.start[0] + first
            start, stop = self.region.start, self.region.stop
            slab = Roi((z, *start[1:]), (z + thick, *stop[1:]))
            mask = None
            if self.mask is not None:
                mask = project(self.mask, self._of_mask(first, thick))
            name = f"planes {z} to {z + thick - 1}"
            found.append((name, self._panel(0, project(self.image, slab), mask)))
        return found

    def _of_mask(self, first: int, thick: int) -> Roi:
        """Return the planes of the mask that lie over some planes of the region."""
        depth, height, width = (1, 1, 1) if self.mask is None else self.mask.shape
        scale = depth / self.region.shape[0]
        start = min(int(first * scale), depth - 1)
        stop = min(max(start + 1, math.ceil((first + thick) * scale)), depth)
        return Roi((start, 0, 0), (stop, height, width))

    def _panel(
        self, axis: int, plane: NDArray[np.generic], mask: NDArray[np.generic] | None
    ) -> NDArray[np.uint8]:
        """Return one picture, its pixels as long as they are wide."""
        pixel, shape = self._pixels(axis)
        grey = as_grey(plane, self.settings.percentile, self.settings.gamma)
        picture = np.asarray(resized(grey, shape), np.uint8)
        if mask is not None:
            picture = overlaid(picture, resized(mask, shape).astype(bool))
        unit = "voxels" if self.space.unit is None else "µm"
        return with_scale_bar(picture, pixel, unit)

    def _pixels(self, axis: int) -> tuple[float, tuple[int, int]]:
        """Return the length of a pixel, and the shape of the picture along an axis."""
        sizes = self.space.voxel_size if self.space.unit else (1.0, 1.0, 1.0)
        lengths = [n * s for n, s in zip(self.region.shape, sizes, strict=True)]
        side = min(max(*self.region.shape, _SMALLEST_SIDE), _LARGEST_SIDE)
        pixel = max(lengths) / side
        rows, columns = (lengths[n] for n in range(3) if n != axis)
        return pixel, (max(1, round(rows / pixel)), max(1, round(columns / pixel)))


def _is_run(paths: Paths) -> bool:
    """Say whether a folder is the output of a run, its record sound or damaged."""
    try:
        record = RunRecord.of(paths)
    except LedgerError:
        return True
    return record is not None and record.phases[0].name == "segment"


def _row(panes: list[tuple[str, NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Return pictures of any heights beside each other, with their captions."""
    height = max(pane.shape[0] for _, pane in panes)
    even = []
    for name, pane in panes:
        rest = [(0, height - pane.shape[0]), (0, 0), (0, 0)][: pane.ndim]
        even.append((name, np.pad(pane, rest, constant_values=255)))
    return panels(even, across=True)


def below(rows: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return pictures of any widths below each other, on white, (y, x, 3)."""
    colour = [
        row if row.ndim == 3 else np.repeat(row[:, :, None], 3, axis=2) for row in rows
    ]
    width = max(row.shape[1] for row in colour)
    return np.concatenate(
        [
            np.pad(
                row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255
            )
            for row in colour
        ]
    )


def _of_volume(
    uri: str, settings: PreviewSettings, choices: SourceChoices | None
) -> NDArray[np.uint8]:
    source = describe(uri, choices) if choices is not None else describe(uri)
    if source.taken is None:
        message = f"{uri} is neither the output of a run nor one volume"
        raise VolumeError(message)
    taken = source.taken
    volume = _affordable(taken.spec)
    space = _stretched(taken.space, open_volume(taken.spec).shape, volume.shape)
    return Scene(volume, Roi.whole(volume.shape), space, None, settings).drawn()


def _affordable(spec: VolumeSpec) -> Volume:
    """Return the finest level of a volume that can be read as a whole."""
    volume, level = open_volume(spec), spec.level
    while math.prod(volume.shape) * math.prod(spec.downsample) > _MOST_IMAGE_VOXELS:
        by = times(volume.shape)
        level += 1
        try:
            volume = open_volume(
                find(
                    spec.uri,
                    level=level,
                    channel=spec.channel,
                    timepoint=spec.timepoint,
                    downsample=spec.downsample,
                )
            )
        except VolumeError as error:
            message = (
                f"{spec.uri} has {by} voxels at its coarsest level, too many to be read for "
                "a picture; make coarser ones first, with blockseg convert"
            )
            raise VolumeError(message) from error
    return volume


def _of_run(root: Location, settings: PreviewSettings) -> NDArray[np.uint8]:
    level = level_within(root, _LARGEST_SIDE)
    volume, mask = open_level(root, level), open_level(root / MASK, level)
    probability = project(volume)
    planes = [
        ("probability", probability.astype(np.uint8)),
        ("mask", project(mask).astype(bool) * np.uint8(255)),
    ]
    beside = source_beside(root, level, _MOST_IMAGE_VOXELS)
    if beside is not None:
        plane = resized(project(*beside), probability.shape)
        grey = as_grey(plane, settings.percentile, settings.gamma)
        planes.insert(0, ("image", grey))
    objects = project_objects(root, level)
    over, which = mask, "mask"
    if objects is not None:  # the mask that they were filtered to is what counts
        planes.append(("objects", objects))
        over, which = open_level(root / CLEAN, level), "clean mask"
    planes += _background(root, probability.shape)
    odd = [name for name, plane in planes if plane.shape[:2] != probability.shape]
    if odd:
        message = (
            f"OUT {root} is damaged: {odd[0]} and probability have other shapes at level "
            f"{level}; blockseg run with --verify makes damaged files again"
        )
        raise VolumeError(message)
    image, region = beside or (volume, Roi.whole(volume.shape))
    space = _stretched(volume.space, volume.shape, region.shape)
    scene = Scene(image, region, space, over, settings, which)
    larger = max(1, _SMALLEST_SIDE // max(probability.shape))
    planes = [(name, _enlarged(plane, larger)) for name, plane in planes]
    return below([panels(planes, across=True), scene.drawn()])


def _enlarged(plane: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    return plane.repeat(factor, axis=0).repeat(factor, axis=1)


def _stretched(space: Space, shape: Zyx, other: Zyx) -> Space:
    """Return the space of voxels of which there are others in the same volume."""
    z, y, x = (
        size * have / n
        for size, have, n in zip(space.voxel_size, shape, other, strict=True)
    )
    return replace(space, voxel_size=(z, y, x))


def _background(
    root: Location, shape: tuple[int, ...]
) -> list[tuple[str, NDArray[np.uint8]]]:
    """Draw the background field of a run; nothing where it has none."""
    record = RunRecord.of(Paths(root))
    if record is None or record.roi is None or "field" not in record.decisions:
        return []
    try:
        field = decisions_from(record.decisions).field
    except (AttributeError, GeometryError, IndexError, KeyError, TypeError, ValueError):
        return []  # a record that was changed: run and status say so, the rest is drawn
    if field is None:
        return []
    first, last = record.roi.start, record.roi.stop
    z = np.linspace(first[0], last[0] - 1, min(_PLANES, last[0] - first[0]))
    y, x = (
        a + (np.arange(n) + 0.5) * (b - a) / n - 0.5
        for a, b, n in zip(first[1:], last[1:], shape, strict=True)
    )
    level, scale = (part.mean(axis=0) for part in sampled(field, z, y, x))
    sd = scale * record.gain
    return [
        (f"{name}, at most {plane.max():.4g}", _up_from_zero(plane))
        for name, plane in (("background level", level), ("noise SD", sd))
    ]


def _up_from_zero(plane: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return grey values from 0 to the brightest."""
    top = max(float(plane.max()), 1e-12)
    grey: NDArray[np.uint8] = np.rint(np.clip(plane / top, 0, 1) * 255).astype(np.uint8)
    return grey
