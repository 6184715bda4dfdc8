"""Layers of a run: its source, its results, and what was derived from them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.record.record import Paths
from blockseg.core.errors import BlocksegError, LedgerError
from blockseg.dhpr.block_metrics import SHOWN
from blockseg.dhpr.metrics import DHPR_METRICS
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.reports.facts import JobFacts, job_facts
from blockseg.reports.projections import CLEAN, COMPONENTS, MASK, open_level
from blockseg.reports.samples import METRICS, metric_images
from blockseg.runtime.run_lock import RunLock
from blockseg.viewing import shaders
from blockseg.viewing.contrast import grey_shader
from blockseg.viewing.layers import PLAIN, Layer, View
from blockseg.viewing.place import interesting_place
from blockseg.viewing.served_volume import served_source
from blockseg.web.content import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from blockseg.core.geometry import Zyx

_ZARR = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", *map(str, range(32))})
_TRACES = "traces/neuroglancer"
_SOMATA = "tables/somata-neuroglancer"
_MOST_SKELETONS = 300  # that are shown at first, the longest
_SKELETON = {"mode2d": "lines_and_points", "mode3d": "lines", "lineWidth3d": 2}


def run_of(out: Path) -> JobFacts | None:
    """Return the facts of the run that made an output; None if none did.

    Raises
    ------
    LedgerError
        If its record or ledger cannot be read.
    """
    paths = Paths(out)
    if not paths.record.exists():
        return None
    facts = job_facts(paths)
    return facts if facts is not None and facts.main.name == "segment" else None


def is_running(run: JobFacts) -> bool:
    """Return whether a process is working on a run, or on what is derived from it."""
    try:
        return RunLock(run.paths.lock).is_held()
    except (LedgerError, OSError):
        return False


def view_of_run(run: JobFacts) -> View:
    """Return the view of a run, finished or not.

    Raises
    ------
    VolumeError
        If its images cannot be opened.
    """
    out = run.paths.on_disk
    probability = open_level(out, 0)
    place = interesting_place(run)
    live = is_running(run)
    layers = [
        *_source(run, place),
        _zarr("probability", out, {"shader": shaders.PROBABILITY}, live=live),
        _zarr("mask", out / MASK, _mask("#ff9800"), visible=False, live=live),
        *_objects(out),
        *_skeletons(out),
        *_somata(out),
        *_metrics(out),
    ]
    z, y, x = place
    return View(
        out.name, tuple(layers), probability.space, (z, y, x), probability.shape
    )


def _source(run: JobFacts, place: Zyx) -> Iterator[Layer]:
    kept, roi = run.record.source, run.record.roi
    if kept is None:
        return
    try:
        served = served_source(kept.spec, kept.space)
        first = (0, 0, 0) if roi is None else roi.start
        shader = grey_shader(served, [a + b for a, b in zip(place, first, strict=True)])
    except BlocksegError:
        return  # the source is elsewhere by now
    yield Layer("image", "image", served, look={**PLAIN, "shader": shader})


def _objects(out: Path) -> Iterator[Layer]:
    if (out / COMPONENTS).is_dir():
        look = {"selectedAlpha": 0.45, "notSelectedAlpha": 0.1}
        store = Folder(out / COMPONENTS, _ZARR)
        yield Layer("components", "segmentation", store, look=look)
    if (out / CLEAN).is_dir():
        yield _zarr("clean", out / CLEAN, _mask("#66bb6a"), visible=False)


def _skeletons(out: Path) -> Iterator[Layer]:
    folder = out / _TRACES
    if not (folder / "info").is_file():
        return
    names = frozenset(path.name for path in folder.iterdir())
    look = {
        "segments": _longest(folder),
        "skeletonRendering": _SKELETON,
        "linkedSegmentationColorGroup": "components",
    }
    if not (out / COMPONENTS).is_dir():
        del look["linkedSegmentationColorGroup"]
    yield Layer("skeletons", "segmentation", Folder(folder, names), "precomputed", look)


def _somata(out: Path) -> Iterator[Layer]:
    folder = out / _SOMATA
    if (folder / "info").is_file():
        store = Folder(folder, frozenset({"info", "spatial0", "by_id"}))
        look = {"shader": shaders.SOMATA}
        yield Layer("somata", "annotation", store, "precomputed", look)


def _longest(folder: Path) -> list[str]:
    """Return the ids of the longest skeletons."""
    try:
        text = (folder / "segment_properties" / "info").read_text(encoding="utf-8")
        inline: dict[str, Any] = json.loads(text)["inline"]
        lengths = next(p for p in inline["properties"] if p["id"] == "length_um")
        order = np.argsort(-np.array(lengths["values"], np.float64), kind="stable")
        return [str(inline["ids"][n]) for n in order[:_MOST_SKELETONS]]
    except (OSError, ValueError, KeyError, StopIteration):
        return []


def _metrics(out: Path) -> Iterator[Layer]:
    for name, values in metric_images(out).items():
        known = values[np.isfinite(values)]
        if not known.size or known.min() == known.max():
            continue
        low, high = np.percentile(known, [2, 98])
        shader = shaders.METRIC.format(low=low, high=high if high > low else low + 1)
        look = {"shader": shader, "tooltip": DHPR_METRICS[name]}
        layer = _zarr(f"metric_{name}", out / METRICS / name, look, visible=False)
        yield replace(layer, archived=name not in SHOWN)


def _mask(colour: str) -> dict[str, object]:
    return {"shader": shaders.MASK.format(colour=colour)}


def _zarr(
    name: str,
    folder: Path,
    look: Mapping[str, object],
    *,
    visible: bool = True,
    live: bool = False,
) -> Layer:
    open_volume(find(str(folder), mask=True))  # says in a line what is wrong with it
    look = {**PLAIN, **look}
    store = Folder(folder, _ZARR)
    return Layer(name, "image", store, look=look, visible=visible, live=live)
