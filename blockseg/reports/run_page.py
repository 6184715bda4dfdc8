"""Report page of a run and of its derived jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.record.record import Paths
from blockseg.core.errors import BlocksegError, VolumeError
from blockseg.core.text import (
    blockseg_command,
    byte_count,
    counted,
    one_line,
    span,
    times,
)
from blockseg.core.version import __version__
from blockseg.io.output.picture import as_grey
from blockseg.reports import charts
from blockseg.reports.block_map import FAILED, LARGEST, MISSING, OUTSIDE, block_map
from blockseg.reports.command_line import command_of
from blockseg.reports.facts import JobFacts, job_facts
from blockseg.reports.metric_maps import metric_maps
from blockseg.reports.objects import objects_section
from blockseg.reports.page import (
    address,
    command,
    folded,
    headline,
    listed,
    page,
    pictures,
    section,
    table,
    text,
)
from blockseg.reports.projections import (
    MASK,
    level_within,
    open_level,
    project,
    project_objects,
    project_source,
    resized,
)
from blockseg.reports.samples import (
    metric_images,
    places,
    probability_histogram,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from blockseg.io.stores.location import Location

_LEAST_MAP, _A_BLOCK = 200, 20  # pixels of the map of blocks, and of each
_SIDE = 640  # pixels of a projection at most
_IMAGE_VOXELS = 2**27  # of the source that are read for its projection
_BRIGHT_SDS = 12.0  # above which a place worth a look is white
_FAILURES = 20
_RUN = "segment"


def run_page(out: Location, notes: Sequence[str] = ()) -> str:
    """Return the page of an output.

    Parameters
    ----------
    out
        Output of a run, finished or not.
    notes
        What was said at its end and stands in no record.

    Raises
    ------
    VolumeError
        If there is no such output, or an image of it cannot be read.
    LedgerError
        If its record or its ledger cannot be read.
    """
    run = job_facts(Paths(out))
    if run is None or run.main.name != _RUN:
        message = f"{out} is no output of blockseg run, and has no report"
        raise VolumeError(message)
    derived = tuple(_derived(run))
    every = (run, *derived)
    metrics = metric_images(out)
    parts = [
        f"<h1>{text(out.name)}</h1>",
        f"<p class='state'>{_state(run)}</p>",
        _figures(run),
        listed([*run.notes, *notes]),
        _failures(every),
        section("The whole brain", _tried(lambda: _projections(run))),
        section("Places worth a look", _tried(lambda: _places(run, metrics))),
        section("Blocks", _blocks(run)),
        section("Probability", _tried(lambda: _histogram(run))),
        section("Metrics", metric_maps(metrics)),
        objects_section(out),
        section("Time", charts.timeline(every), charts.activities(every), _starts(every)),
        section("What was asked", *_asked(run, derived)),
        section("Weights", _weights(run)),
        section("Machine", _machine(run)),
        (
            f"<p class='soft'>Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by blockseg {text(__version__)}; "
            f"{text(blockseg_command('report', out))} writes it again.</p>"
        ),
    ]  # fmt: skip
    return page(f"{out.name}: run report", parts)


def _tried(part: Callable[[], str]) -> str:
    """Return a section, or a note why it is missing: damage must not hide the rest."""
    try:
        return part()
    except BlocksegError as error:
        return f"<p class='bad'>This could not be drawn: {text(one_line(error))}</p>"


def _histogram(run: JobFacts) -> str:
    found = probability_histogram(run)
    drawn = charts.histogram(found, run.record.decisions["threshold"] / 255)
    if found.whole:
        return drawn
    return f"{drawn}<p class='soft'>Of some blocks, evenly among them.</p>"


def _derived(run: JobFacts) -> Iterator[JobFacts]:
    folders = (path for path in run.paths.folder.iterdir() if path.is_dir())
    found = [job_facts(Paths(run.paths.out, folder.name)) for folder in folders]
    known = [job for job in found if job is not None]
    # In the order of their first starts, as they stand in the timeline.
    yield from sorted(
        known,
        key=lambda job: (min((s.started for s in job.sessions), default=0), job.name),
    )


def _state(run: JobFacts) -> str:
    done, blocks = run.main.summary.done, run.main.blocks
    progress = f"{done:,} of {blocks:,} block{'s' * (blocks != 1)}"
    if run.complete:
        word = "<b class='good'>Complete</b>"
    else:
        word = "<b class='bad'>Incomplete</b>"
    began = (
        datetime.fromtimestamp(run.sessions[0].started, UTC) if run.sessions else None
    )
    when = f", begun {began:%Y-%m-%d %H:%M} UTC" if began else ""
    host = f" on {text(run.sessions[0].host)}" if run.sessions else ""
    return f"{word}: {progress} written{when}{host}."


def _figures(run: JobFacts) -> str:
    totals = run.main.summary.totals
    roi, space = run.record.roi, run.record.source
    figures = []
    if roi is not None:
        figures.append((times(roi.shape), "voxels (z×y×x)"))
    if roi is not None and space is not None and space.unit:
        edges = (n * s / 1000 for n, s in zip(roi.shape, space.voxel_size, strict=True))
        figures.append(("×".join(f"{edge:.3g}" for edge in edges), "mm (z×y×x)"))
    written = totals["written"]
    if written:
        share = 100 * totals["foreground"] / written
        figures.append((f"{share:.3g} %", "of the voxels are foreground"))
    seconds = run.seconds
    if seconds:
        figures.append((span(seconds), f"in {counted(len(run.sessions), 'start')}"))
        if written:
            figures.append((f"{written / seconds / 1e6:.3g} M", "voxels a second"))
    if written and totals["skipped"]:
        figures.append(
            (f"{100 * totals['skipped'] / written:.3g} %", "skipped as empty")
        )
    if totals["read_bytes"]:
        figures.append((byte_count(totals["read_bytes"]), "asked of the source"))
    return headline(figures)


def _projections(run: JobFacts) -> str:
    out = run.paths.out
    level = level_within(out, _SIDE)
    probability = project(open_level(out, level)).astype(np.uint8)
    mask = project(open_level(out / MASK, level)).astype(bool)
    try:
        image, why = project_source(out, level, _IMAGE_VOXELS), "is not at hand"
    except BlocksegError as error:
        image, why = None, f"cannot be read: {one_line(error)}"
    shown = []
    if image is not None:
        grey = as_grey(resized(image, probability.shape))
        shown.append((address(grey, photo=True), "image"))
    shown.append((address(probability), "probability"))
    shown.append((address(mask * np.uint8(255)), "mask"))
    objects = project_objects(out, level)
    if objects is not None:
        shown.append((address(objects), "clean objects, a colour each"))
    said = f"Maxima along z, at level {level} of the output"
    missing = "" if image is not None else f"; the image {text(why)}"
    return f"<p class='soft'>{said}{missing}.</p>{pictures(shown)}"


def _places(run: JobFacts, metrics: Mapping[str, NDArray[np.float32]]) -> str:
    parts = []
    for place in places(run, metrics):
        overlay = place.mask * np.uint8(255)
        shown = [
            (address(place.probability), "probability"),
            (address(overlay), "mask"),
        ]
        if place.image is not None:
            shown.insert(0, (address(_grey(run, place.image)), "image"))
        parts.append(
            f"<h3>{text(place.why[0].upper() + place.why[1:])}</h3><p class='soft'>Voxels "
            f"{text(place.roi)} of the output, maxima along z.</p>"
            f"{pictures(shown, 'even')}"
        )
    return "".join(parts)


def _grey(run: JobFacts, plane: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return a small projection so that dim neurites show beside what is bright."""
    sd = (run.record.decisions.get("background") or {}).get("sd")
    if sd:
        grey = plane.astype(np.float32)
        return as_grey(np.minimum(grey, np.median(grey) + _BRIGHT_SDS * float(sd)))
    return as_grey(plane)


def _blocks(run: JobFacts) -> str:
    grid = run.main.grid
    drawn, roi = block_map(run), run.record.roi
    extent = (drawn.shape[:2]) if roi is None else roi.shape[1:]
    edge = min(LARGEST, max(_LEAST_MAP, _A_BLOCK * max(drawn.shape[:2])))
    for axis in (0, 1):  # blocks need not be square, and the last are cut
        pixels = max(edge * extent[axis] // max(extent), drawn.shape[axis])
        # Voxels that a pixel of the map covers: those of a block, or of several.
        step = -(-max(grid[1:]) // LARGEST)
        block = 1 if roi is None else run.record.block[1 + axis] * step
        places = np.arange(pixels) * extent[axis] // (pixels * block)
        drawn = drawn.take(places, axis=axis)
    keys = [("failed", FAILED), ("not written", MISSING), ("not asked for", OUTSIDE)]
    legend = "".join(
        f"<span class='named'><span class='key' style='background:rgb{colour}'></span>"
        f"{name}</span> "
        for name, colour in keys
    )
    caption = (
        f"{times(grid)} blocks of {times(run.record.block)} voxels, seen along z. "
        f"Foreground found: little <span class='ramp'></span> much {legend}"
    )
    return (
        "<figure class='beside'>"
        f"<img class='map' src='{address(drawn)}' alt='map of the blocks'>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _failures(jobs: Sequence[JobFacts]) -> str:
    rows = [
        (job.name, phase.name, failed.block_id, failed.attempts, failed.error)
        for job in jobs
        for phase in job.phases
        for failed in phase.failures
    ]
    if not rows:
        return ""
    more = f"<p>And {len(rows) - _FAILURES} more.</p>" if len(rows) > _FAILURES else ""
    heads = ("job", "phase", "block", "attempts", "error")
    return f"<h3>Failures</h3>{table(heads, rows[:_FAILURES])}{more}"


def _starts(jobs: Sequence[JobFacts]) -> str:
    rows = []
    for job in jobs:
        for session in job.sessions:
            began = datetime.fromtimestamp(session.started, UTC)
            rows.append(
                (
                    job.name,
                    f"{began:%Y-%m-%d %H:%M:%S}" if session.started else "–",
                    span(session.seconds) if session.seconds else "–",
                    session.outcome or "did not end",
                    session.host,
                    session.command,
                )
            )
    heads = ("job", "started, UTC", "took", "outcome", "host", "command")
    return folded("Every start", table(heads, rows))


def _asked(run: JobFacts, derived: Sequence[JobFacts]) -> Iterator[str]:
    again = command_of(run.record)
    if again:
        yield "<p>To make it again, elsewhere:</p>" + command(again)
    # Passes of one job share a command.
    typed = dict.fromkeys(
        job.sessions[-1].command for job in (run, *derived) if job.sessions
    )
    yield "<p>As typed:</p>" + "".join(map(command, typed))
    decisions = run.record.decisions
    said: dict[str, object] = {
        name: decisions[name]
        for name in ("backend", "device", "precision", "threads", "window", "block")
        if name in decisions
    }
    said["threshold"] = f"{decisions['threshold']} of 255"
    background = decisions.get("background")
    if isinstance(background, dict):
        said["background"] = ", ".join(
            f"{name} {background[name]}" for name in ("kind", "level", "sd")
            if name in background
        )  # fmt: skip
    rows = [(name, _shown(value)) for name, value in said.items()]
    yield folded("What was decided", table(("", ""), rows))


def _weights(run: JobFacts) -> str:
    network = run.record.facts.get("network")
    if not isinstance(network, dict):
        return ""
    known = {"file": run.record.facts.get("weights"), **network}
    known["SHA-256"] = run.record.request["weights"]
    rows = [
        (name.replace("_", " "), _shown(v))
        for name, v in known.items()
        if v is not None
    ]
    said = (
        "<p>What the weights know are the images that they were trained on; of others "
        "they may miss or invent neurites. Their model card "
        "(blockseg/networks/weights/README.md) has scores and limits, and "
        "<code>blockseg info SOURCE</code> says which suit an image.</p>"
    )
    return said + table(("", ""), rows)


def _machine(run: JobFacts) -> str:
    machine = run.record.facts.get("machine")
    if not isinstance(machine, dict):
        return ""
    known = dict(machine)
    if "memory_bytes" in known:
        known["memory"] = byte_count(int(known.pop("memory_bytes")))
    known["blockseg"] = run.record.version
    return table(("", ""), [(name, _shown(value)) for name, value in known.items()])


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)
