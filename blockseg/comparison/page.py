"""Page of a comparison, and the few lines that are printed."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.record.record import now
from blockseg.core.errors import BlocksegError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.text import blockseg_command, counted
from blockseg.core.version import __version__
from blockseg.io.open import open_volume
from blockseg.io.output.picture import as_grey
from blockseg.reports.charts import bars, heat
from blockseg.reports.page import (
    address,
    headline,
    listed,
    page,
    pictures,
    section,
    table,
    text,
)
from blockseg.reports.projections import MASK, binned, level_within, open_level, project
from blockseg.reports.samples import around_cube

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.comparison.by_region import RegionCount
    from blockseg.comparison.run import Compared, Side, SnrBin
    from blockseg.io.protocol import Volume

_SIDE = 800  # pixels of the projection at most
_MAP = 240  # pixels of a map at most
_WHOLE_VOXELS = 2**27  # of a mask without coarse levels that is projected all the same
_PLACES = 4  # cubes that are shown
_REGIONS, _REGIONS_SAID = 60, 8
_BOTH, _FIRST, _SECOND = (120, 120, 120), (230, 120, 20), (60, 160, 255)
_TIMES, _MORE = 2, 50  # times, and pieces, more that are worth a word
_MEASURES = (
    ("voxel_precision", "voxels: precision"),
    ("voxel_recall", "voxels: recall"),
    ("voxel_dice", "voxels: Dice"),
    ("near_f1", "voxels, tolerant: F1"),
    ("centreline_precision", "centreline: precision"),
    ("centreline_recall", "centreline: recall"),
    ("centreline_f1", "centreline: F1"),
    ("cl_dice", "clDice"),
    ("betti0_error_a_block", "Betti-0 error of a block"),
)


def lines(found: Compared) -> Iterator[str]:
    """Yield the printed summary of a comparison, line by line."""
    counts = found.counts
    both, first, second = (
        int(part.sum()) for part in (counts.both, counts.first, counts.second)
    )
    yield (
        f"{both:,} voxels in both masks, {first:,} only in A, {second:,} only in B; Dice "
        f"{counts.dice:.4f}."
    )
    where = np.count_nonzero(counts.changed)
    yield f"They differ in {where:,} of {counts.changed.size:,} cubes of 64³ voxels."
    yield from _pieces(*counts.pieces)
    for one in found.by_snr:
        yield (
            f"  SNR {_range(one)}: {one.both:,} in both, {one.first:,} only in A, "
            f"{one.second:,} only in B."
        )
    for region in found.by_region[:_REGIONS_SAID]:
        yield (
            f"  {_region(region)}: {region.both:,} in both, {region.first:,} only in A, "
            f"{region.second:,} only in B; Dice {region.dice:.4f}."
        )
    if len(found.by_region) > _REGIONS_SAID:
        yield f"  and {counted(len(found.by_region) - _REGIONS_SAID, 'region')} more, on the page."
    for name, said, a, b in scores(found):
        if name in ("voxel_dice", "centreline_f1"):
            better = "" if a == b else f", {'B' if b > a else 'A'} is better"
            yield f"{said}: A {a:.3f}, B {b:.3f}{better}."


def _pieces(first: int, second: int) -> Iterator[str]:
    """Yield the numbers of pieces, and a warning if one mask has far more."""
    yield f"Pieces: {first:,} in A, {second:,} in B."
    few, many = sorted((first, second))
    if many - few >= _MORE and many >= _TIMES * few:
        name = "B" if second == many else "A"
        yield (
            f"{name} is in {many / max(few, 1):.1f} times as many pieces: specks, or "
            "fragments of neurites, as after too short or too long a training; look at the "
            "pictures before you use it."
        )


def scores(found: Compared) -> Iterator[tuple[str, str, float, float]]:
    """Yield name, name for people and both values of each score; none without a truth."""
    a, b = found.first.scores, found.second.scores
    if a is None or b is None:
        return
    measured = {m.name: m.value for m in a.measures}
    others = {m.name: m.value for m in b.measures}
    for name, said in _MEASURES:
        one, two = measured.get(name, math.nan), others.get(name, math.nan)
        if not (math.isnan(one) and math.isnan(two)):
            yield name, said, one, two


def compared_page(found: Compared) -> str:
    """Return the page of a comparison.

    Raises
    ------
    VolumeError
        If an image cannot be read.
    """
    a, b = found.first.name, found.second.name
    counts = found.counts
    figures = [
        (f"{counts.dice:.4f}", "Dice of the masks"),
        (f"{int(counts.both.sum()):,}", "voxels in both"),
        (f"{int(counts.first.sum()):,}", "only in A"),
        (f"{int(counts.second.sum()):,}", "only in B"),
    ]
    parts = [
        "<h1>Two segmentations, side by side</h1>",
        f"<p class='state'>A: {text(a)}<br>B: {text(b)}</p>",
        headline(figures),
        section("What was asked otherwise", listed(found.asked)),
        section("Scores", _scores(found)),
        section("By SNR", _snr(found)),
        section("By region", _regions(found)),
        section("Where they differ", _overview(found), _map(found)),
        section("The largest differences", "".join(_places(found))),
        section("The runs", _runs(found)),
        (
            f"<p class='soft'>Written {text(now())} by blockseg {text(__version__)}: "
            f"{text(blockseg_command('compare', a, b))}</p>"
        ),
    ]
    return page(f"{Path(a).name} and {Path(b).name}", parts)


def _scores(found: Compared) -> str:
    rows = [
        (said, f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}")
        for _, said, a, b in scores(found)
    ]
    a, b = found.first.scores, found.second.scores
    if a is None or b is None:
        return ""
    by_snr = _recall_by_snr(found)
    said = f"Against {', '.join(a.truth)}; tolerance {a.tolerance}."
    return (
        f"<p class='soft'>{text(said)}</p>"
        + table(("", "A", "B", "B - A"), rows)
        + by_snr
    )


def _recall_by_snr(found: Compared) -> str:
    a, b = found.first.scores, found.second.scores
    if a is None or b is None or not a.snr_edges:
        return ""
    names, values = [], []
    edges = (-math.inf, *a.snr_edges, math.inf)
    for number, (low, high) in enumerate(pairwise(edges)):
        try:
            pair = [side[f"snr_recall_{number}"].value for side in (a, b)]
        except KeyError:
            continue
        if not all(map(math.isnan, pair)):
            names.append(_between(low, high))
            values.append(pair)
    if not names:
        return ""
    series = [(s, [pair[n] for pair in values]) for n, s in enumerate("AB")]
    drawn = bars(names, series, "recall of centrelines")
    return f"<h3>Recall by SNR of the true neurites</h3>{drawn}"


def _snr(found: Compared) -> str:
    if not found.by_snr:
        return ""
    rows = [
        (_range(s), f"{s.cubes:,}", f"{s.both:,}", f"{s.first:,}", f"{s.second:,}")
        for s in found.by_snr
    ]
    said = (
        "Cubes of 64³ voxels by the median SNR of what a run found in them; a cube in which "
        "nothing was found has none."
    )
    heads = ("SNR", "cubes", "voxels in both", "only in A", "only in B")
    return f"<p class='soft'>{said}</p>{table(heads, rows)}"


def _regions(found: Compared) -> str:
    rows = [
        (
            _region(one), f"{one.both:,}", f"{one.first:,}", f"{one.second:,}",
            f"{one.changed:,}", f"{one.dice:.4f}",
        )
        for one in found.by_region[:_REGIONS]
    ]  # fmt: skip
    heads = ("region", "voxels in both", "only in A", "only in B", "differ", "Dice")
    left = len(found.by_region) - len(rows)
    more = (
        f"<p class='soft'>And {counted(left, 'region')} that differ less.</p>"
        if left
        else ""
    )
    return table(heads, rows) + more


def _region(one: RegionCount) -> str:
    if one.region.region == 0:
        return "outside all regions"
    short = one.region.acronym
    return f"{one.region.name} ({short})" if short else one.region.name


def _overview(found: Compared) -> str:
    planes = [_plane(side) for side in (found.first, found.second)]
    if planes[0] is None or planes[1] is None or planes[0].shape != planes[1].shape:
        return ""
    drawn = pictures([(address(_overlay(planes[0], planes[1])), "maxima along z")])
    return f"{_LEGEND}<div style='max-width:{_SIDE}px'>{drawn}</div>"


def _plane(side: Side) -> NDArray[np.bool_] | None:
    """Return the projection of a mask, from a coarse level where there is one."""
    if side.run is not None:
        out = side.run.paths.out
        level = level_within(out, _SIDE)
        return project(open_level(out / MASK, level)).astype(bool)
    volume = side.prediction.volume
    if math.prod(volume.shape) > _WHOLE_VOXELS:
        return None
    whole = Roi.whole(volume.shape)
    return np.asarray(side.prediction.read(whole, whole).mask.any(axis=0))


def _overlay(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.uint8]:
    drawn = np.zeros((*a.shape, 3), np.uint8)
    drawn[a & b], drawn[a & ~b], drawn[b & ~a] = _BOTH, _FIRST, _SECOND
    return drawn


_LEGEND = "<p class='soft'>" + "".join(
    f"<span class='key' style='background:rgb{colour}'></span>{name}"
    for name, colour in (("both", _BOTH), ("only A", _FIRST), ("only B", _SECOND))
) + "</p>"  # fmt: skip


def _map(found: Compared) -> str:
    shown = []
    for name, values in (
        ("only in A", found.counts.first),
        ("only in B", found.counts.second),
    ):
        plane = binned(values.sum(axis=0).astype(np.float64), _MAP)
        scale = max(1, _MAP // max(plane.shape))
        drawn = heat(np.sqrt(plane)).repeat(scale, axis=0).repeat(scale, axis=1)
        caption = f"{name}: 0<span class='ramp'></span>{int(plane.max()):,} voxels"
        shown.append((address(drawn), caption))
    return (
        "<h3>Voxels that differ, in columns of cubes along z</h3>"
        f"<div style='max-width:560px'>{pictures(shown)}</div>"
    )


def _places(found: Compared) -> Iterator[str]:
    changed = found.counts.changed
    shape = found.first.prediction.volume.shape
    source = _source(found)
    for number in np.argsort(-changed, axis=None, kind="stable")[:_PLACES]:
        index = to_zyx(int(i) for i in np.unravel_index(number, changed.shape))
        if not changed[index]:
            return
        roi = around_cube(index, found.origin, shape)
        a, b = (
            np.asarray(side.prediction.read(roi, roi).mask.any(axis=0))
            for side in (found.first, found.second)
        )
        white = np.uint8(255)
        shown = [
            (address(a.astype(np.uint8) * white), "A"),
            (address(b.astype(np.uint8) * white), "B"),
            (address(_overlay(a, b)), "A over B"),
        ]
        if source is not None:
            seen = source.read(roi.shifted(found.origin)).max(axis=0)
            shown.insert(0, (address(as_grey(seen)), "image"))
        only = (int(c[index]) for c in (found.counts.first, found.counts.second))
        first, second = only
        yield (
            f"<h3>{first:,} voxels only in A, {second:,} only in B</h3><p class='soft'>"
            f"Voxels {text(roi)}, maxima along z.</p>{pictures(shown)}"
        )


def _source(found: Compared) -> Volume | None:
    for side in (found.first, found.second):
        if side.run is not None and side.run.record.source is not None:
            try:
                return open_volume(side.run.record.source.spec)
            except BlocksegError:
                continue
    return None


def _runs(found: Compared) -> str:
    rows = []
    for name, side in (("A", found.first), ("B", found.second)):
        run = side.run
        if run is None:
            continue
        weights = str(run.record.request.get("weights") or "")[:12]
        command = run.sessions[-1].command if run.sessions else ""
        took = f"{run.seconds:.1f}" if run.seconds else ""
        rows.append((name, run.record.version, weights, took, command))
    return table(("", "blockseg", "weights", "seconds", "command"), rows)


def _range(one: SnrBin) -> str:
    return _between(one.low, one.high)


def _between(low: float, high: float) -> str:
    if math.isinf(low):
        return f"below {high:g}"
    return f"from {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
