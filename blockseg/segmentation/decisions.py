"""Choose everything that was left open, once, before the first block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.planning.resources import make_grid, tiling_for
from blockseg.blockwise.planning.tiling import LARGEST_WINDOW
from blockseg.blockwise.sources.background import field_from, normalization
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Zyx, to_zyx
from blockseg.core.holes import HoleRule
from blockseg.core.specs import Affine, BackendSpec
from blockseg.inference import device_memory, devices
from blockseg.inference.backends.protocol import default_backend
from blockseg.runtime.events import Message
from blockseg.segmentation.engines.choice import choose_engine, trials_for

if TYPE_CHECKING:
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.config.settings import RunSettings
    from blockseg.core.specs import AffineField, Precision
    from blockseg.segmentation.engines.process import Trials

__all__ = ["Decisions", "decide", "decisions_from"]

_TRYING = (
    "trying engines on windows of the volume; one that TensorRT still has to build takes "
    "minutes, the first time"
)
_LARGEST_WINDOW_CUDA = 256  # where a device's memory is not known


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

    trial: dict[str, Any] | None = None
    """Which engines were tried on a device, on what, and what came of each; None for
    work on the CPU."""

    holes: dict[str, Any] | None = None
    """By what voxels without data are told; None where nothing can be a hole, and of
    runs that were begun when nothing was."""

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
    def hole_rule(self) -> HoleRule | None:
        """What tells holes; None if nothing does."""
        return HoleRule.from_plain(self.holes)

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


def decide(
    inputs: Inputs,
    trials: Trials | None = None,
    on_event: OnJobEvent = ignore,
) -> Decisions:
    """Make every automatic choice for a run.

    Parameters
    ----------
    inputs
        Of the run.
    trials
        Where engines for a device are tried; found out if not given.
    on_event
        Told before what takes long.

    Raises
    ------
    ConfigError
        If what the user fixed does not fit together.
    BackendError
        If the user wants a device, and no engine can be used there.
    """
    settings = inputs.settings
    device = _device(settings)
    if settings.block is not None:
        make_grid(inputs, settings.block)  # refuses blocks that do not fit the network
    _check_window(settings.window, inputs.field.alignment)
    if device == "cpu":
        return _decided(inputs, device, LARGEST_WINDOW)
    precision = _precision(settings, device)
    on_event(Message(_TRYING))
    with trials or trials_for(inputs) as tried:
        free = min((found.free for found in tried.devices()), default=0)
        largest = _LARGEST_WINDOW_CUDA
        if free:
            largest = device_memory.largest_edge(
                free, settings.backend, precision, inputs.info
            )
        planned = _decided(inputs, device, largest)
        found, chosen = choose_engine(inputs, planned, tried)
    if chosen is None:
        return _on_cpu(inputs, found.problem, found.plain())
    return replace(
        planned,
        backend=chosen.backend,
        precision=chosen.precision,
        window=chosen.window,
        trial=found.plain(),
        note="; ".join(said for said in (planned.note, *found.notes) if said),
    )


def _on_cpu(inputs: Inputs, problem: str, trial: dict[str, Any]) -> Decisions:
    """Decide as if there were no device, and say why."""
    settings = replace(inputs.settings, backend="auto", precision="auto", device="cpu")
    if inputs.settings.backend == "fake":
        settings = replace(settings, backend="fake")
    decided = _decided(replace(inputs, settings=settings), "cpu", LARGEST_WINDOW)
    note = f"the CPU does the work, for no engine can be used on the device: {problem}"
    notes = [said for said in (decided.note, note) if said]
    return replace(decided, trial=trial, note="; ".join(notes))


def _decided(inputs: Inputs, device: str, largest: int) -> Decisions:
    settings = inputs.settings
    backend, note = _backend(settings, device)
    precision = _precision(settings, device)
    tiling, fit = tiling_for(inputs, backend, device, precision, largest)
    normal = normalization(inputs)
    found = normal.found
    return Decisions(
        backend=backend,
        device=device,
        precision=precision,
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
        holes=normal.holes,
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
    if devices.cuda_devices() or (settings.device == "cuda" and elsewhere):
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
    if backend in ("tensorrt", "cuda") and device == "cpu":
        message = (
            f"--backend {backend} needs a GPU, and torch finds no CUDA device here; leave "
            "it out to run on the CPU, or install a torch that was built with CUDA"
        )
        raise ConfigError(message)
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
