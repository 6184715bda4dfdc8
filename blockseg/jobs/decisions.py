"""Choose everything that was left open, once, before the first block."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg import model
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import Affine, BackendSpec
from blockseg.jobs.normalization import field_from, normalization
from blockseg.jobs.reading import plan_reading
from blockseg.jobs.tiling import LARGEST_WINDOW, Tiling, tilings
from blockseg.model import default_backend, window_memory
from blockseg.runtime import Layout, Machine, Need, machine, plan_layout

if TYPE_CHECKING:
    from blockseg.config import RunSettings
    from blockseg.core.specs import AffineField, Precision
    from blockseg.jobs.inputs import Inputs
    from blockseg.jobs.reading import Reading

__all__ = [
    "Decisions",
    "budget",
    "decide",
    "decisions_from",
    "fitted",
    "make_grid",
    "planned_reading",
]

_LARGEST_WINDOW_CUDA = 256  # a device's memory is not known here
_DOUBLED = 0.6  # 2 threads an inference are worth 2**0.6 of one, measured


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a run decided; stored in ``run.json`` and reused on resume."""

    backend: str
    """Engine."""

    device: str
    """``cpu`` or ``cuda``."""

    precision: str
    """Of the arithmetic."""

    threads: int
    """Threads of one inference."""

    window: Zyx
    """Voxels that one call of the engine writes."""

    block: Zyx
    """Voxels of a block."""

    threshold: int
    """Smallest probability byte that is foreground."""

    offset: float
    """Grey level that the network sees as 0."""

    scale: float
    """Grey levels that the network sees as 1."""

    clip: tuple[float, float]
    """Least and greatest value that the network sees."""

    background: dict[str, Any]
    """How offset and scale were found: b, s, counts, unreadable samples."""

    field: dict[str, Any] | None = None
    """Offset and scale where they vary over the volume, at the nodes of a grid."""

    empty: float | None = None
    """Grey level of a volume in whose sample nothing varies: such voxels are empty.

    Without noise there is no scale to judge by, and what a network says of a
    constant is of no use. Decided voxel by voxel, so blocks do not matter.
    """

    note: str = ""
    """What the user should know of a choice; empty if nothing."""

    sparse: dict[str, Any] | None = None
    """What need not be inferred, and at what loss; None if not asked for."""

    def engine(self, weights: str) -> BackendSpec:
        """Return the engine for workers to build from ``weights``."""
        return BackendSpec(
            name=self.backend,
            weights=weights,
            core=self.window,
            precision=self.precision,  # type: ignore[arg-type]
            threads=self.threads,
            device=self.device,
        )

    @property
    def affine(self) -> Affine | AffineField:
        """The normalisation."""
        if self.field is not None:
            return field_from(self.field, self.clip)
        return Affine(self.offset, self.scale, *self.clip)


def decisions_from(data: dict[str, Any]) -> Decisions:
    """Return decisions as read back from ``run.json``."""
    zyx = {key: to_zyx(data[key]) for key in ("window", "block")}
    low, high = data["clip"]
    return Decisions(**{**data, **zyx, "clip": (low, high)})


def decide(inputs: Inputs) -> Decisions:
    """Make every automatic choice for a run.

    Raises
    ------
    ConfigError
        If what the user fixed does not fit together.
    """
    settings = inputs.settings
    device = _device(settings)
    backend, note = _backend(settings, device)
    if settings.block is not None:
        make_grid(inputs, settings.block)  # refuses blocks that do not fit the network
    _check_window(settings.window, inputs.field.alignment)
    tiling, fit = _tiling(inputs, backend, device)
    normal = normalization(inputs)
    found = normal.found
    return Decisions(
        backend=backend,
        device=device,
        precision=_precision(settings, device),
        threads=settings.threads or fit.inference_threads,
        window=tiling.window,
        block=tiling.block,
        threshold=int(np.rint(255 * settings.threshold)),
        offset=normal.affine.offset,
        scale=normal.affine.scale,
        clip=(normal.affine.low, normal.affine.high),
        background=found,
        field=normal.field,
        empty=found["level"] if found.get("voxels") == 0 else None,
        note="; ".join(said for said in (note, normal.note) if said),
    )


def _check_window(window: Zyx | None, alignment: int) -> None:
    if window is not None and any(n % alignment for n in window):
        given = ",".join(str(n) for n in window)
        message = (
            f"--window {given} is no multiple of {alignment} voxels on each axis, which "
            "the network needs; choose one that is"
        )
        raise ConfigError(message)


def _device(settings: RunSettings) -> str:
    if settings.device == "cpu" or settings.backend == "openvino":
        return "cpu"
    if settings.backend == "fake":  # which stands in for a device if asked to
        return "cuda" if settings.device == "cuda" else "cpu"
    elsewhere = settings.scheduler not in (None, "serial")
    if model.cuda_devices() or (settings.device == "cuda" and elsewhere):
        return "cuda"
    if settings.device == "cuda":
        message = (
            "--device cuda: torch finds no CUDA device here; leave --device out to run "
            "on the CPU, or install a torch that was built with CUDA"
        )
        raise ConfigError(message)
    return "cpu"


def _backend(settings: RunSettings, device: str) -> tuple[str, str]:
    backend: str = settings.backend
    note = ""
    if backend == "auto":
        exact = settings.precision == "float64"
        backend = "torch" if exact else default_backend(device)
        if backend == "torch" and device == "cpu" and not exact:
            note = (
                "OpenVINO is not installed, so torch runs the network, more slowly; "
                "pip install 'blockseg[cpu]'"
            )
    if settings.precision == "float64" and backend != "torch":
        message = (
            f"--precision float64 runs on torch only, not on {backend}; "
            "leave --backend out"
        )
        raise ConfigError(message)
    return backend, note


def _precision(settings: RunSettings, device: str) -> Precision:
    if settings.precision == "float16" and device == "cpu":
        message = "--precision float16 needs a GPU; leave it out to compute in float32"
        raise ConfigError(message)
    if settings.precision != "auto":
        return settings.precision
    return "float16" if device == "cuda" else "float32"


def make_grid(inputs: Inputs, block: Zyx) -> BlockGrid:
    """Return the blocks of a run."""
    shape, halo = inputs.source.volume.shape, (inputs.halo,) * 3
    return BlockGrid(shape, block, halo, inputs.roi, inputs.field.alignment)


def fitted(inputs: Inputs, decisions: Decisions) -> Layout:
    """Return how many workers of this engine fit the machine.

    Unlike the decisions this may differ from one session to the next: it changes
    no byte of the result.

    Raises
    ------
    ConfigError
        If not even one worker fits.
    """
    blocks = len(make_grid(inputs, decisions.block))
    tiling = Tiling(decisions.block, decisions.window, blocks)
    here = budget(inputs.settings)
    fit = _layout(inputs, here, decisions.backend, decisions.device, tiling)
    fit = replace(fit, inference_threads=decisions.threads)
    return fit.with_cache(planned_reading(inputs, decisions, fit).cache_bytes)


def planned_reading(inputs: Inputs, decisions: Decisions, layout: Layout) -> Reading:
    """Return how these workers read the source, within the memory that they have."""
    volume = inputs.source.volume
    return plan_reading(
        make_grid(inputs, decisions.block),
        volume.chunk_shape,
        volume.dtype.itemsize,
        layout.cache_bytes or layout.spare_bytes,
        layout.workers,
    )


def budget(settings: RunSettings) -> Machine:
    """Return this machine, within what the user allows of its memory."""
    here = machine()
    if settings.memory is None:
        return here
    return replace(here, available=min(here.available, settings.memory))


def _tiling(inputs: Inputs, backend: str, device: str) -> tuple[Tiling, Layout]:
    """Choose blocks and windows with which the run ends first.

    Large windows compute less halo, but only while they fit into the memory of as many
    workers as there are cores, and while every worker has as many blocks as the others.
    """
    settings, here = inputs.settings, budget(inputs.settings)
    most = settings.workers or here.cores
    threads = settings.threads or max(1, here.cores // most)
    best: tuple[float, Tiling, Layout] | None = None
    least: tuple[Tiling, Layout] | None = None
    problem: ConfigError | None = None
    for tiling in tilings(
        inputs.roi,
        inputs.field,
        block=settings.block,
        window=settings.window,
        largest=_LARGEST_WINDOW_CUDA if device == "cuda" else LARGEST_WINDOW,
    ):
        if best is not None and tiling.weight / most / threads**_DOUBLED >= best[0]:
            break  # not even with all workers busy to the end
        try:
            fit = _layout(inputs, here, backend, device, tiling)
        except ConfigError as error:
            problem = error
            continue
        if settings.workers and fit.workers * fit.peak_bytes > here.available:
            # Their number is the user's; how much each takes is not.
            if least is None or fit.peak_bytes < least[1].peak_bytes:
                least = (tiling, fit)
            continue
        rounds = math.ceil(tiling.blocks / fit.workers) / tiling.blocks
        time = tiling.cost * rounds / fit.inference_threads**_DOUBLED
        if best is None or time < best[0]:
            best = (time, tiling, fit)
    if best is not None:
        return best[1:]
    if least is not None:
        return least
    raise problem or ConfigError("no window fits the memory")


def _layout(
    inputs: Inputs, here: Machine, backend: str, device: str, tiling: Tiling
) -> Layout:
    settings = inputs.settings
    if device == "cuda":
        here = replace(here, gpus=len(model.cuda_devices()))
    grown = 2 * inputs.halo + inputs.field.alignment
    voxels = math.prod(b + grown for b in tiling.block)
    raw = voxels * inputs.source.volume.dtype.itemsize
    results = math.prod(tiling.block) * 6  # float32 probability, its byte, the mask
    itemsize = np.dtype(_precision(settings, device)).itemsize
    need = Need(
        block_bytes=raw + results,
        engine_bytes=window_memory(tiling.window, backend, itemsize, inputs.info),
    )
    fit = plan_layout(
        here, need, workers=settings.workers, inference_threads=settings.threads
    )
    if settings.workers is None and not here.gpus and tiling.blocks < fit.workers:
        return plan_layout(
            here, need, workers=tiling.blocks, inference_threads=settings.threads
        )
    return fit
