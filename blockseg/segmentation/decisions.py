"""Decisions about everything left open, made once, before the first block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.planning.decisions import Decisions
from blockseg.blockwise.planning.resources import make_grid, tiling_for
from blockseg.blockwise.planning.tiling import LARGEST_WINDOW
from blockseg.blockwise.sources.background import normalization
from blockseg.core.errors import ConfigError
from blockseg.inference import devices
from blockseg.inference.backends.table import (
    REFERENCE,
    backend_row,
    check_bfloat16,
    check_network,
    default_backend,
    missing_backends,
    stands_in,
)
from blockseg.inference.window_memory import largest_edge
from blockseg.runtime.events import Message
from blockseg.segmentation.cluster_forecast import idle_gpus
from blockseg.segmentation.engines.choice import choose_engine, evaluators_for
from blockseg.segmentation.engines.cpu_precision import (
    bfloat16_backend,
    wants_bfloat16,
    with_bfloat16,
)

if TYPE_CHECKING:
    from blockseg.blockwise.planning.engine_trials import EngineTrials
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.config.settings import RunSettings
    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Precision
    from blockseg.segmentation.engines.process import Evaluators

_TRYING = (
    "trying engines on windows of the volume; one that TensorRT still has to build takes "
    "minutes, the first time"
)
_TRYING_BFLOAT16 = "trying bfloat16 on windows of the volume"
_LARGEST_WINDOW_CUDA = 256  # where a device's memory is not known


def decide(
    inputs: Inputs,
    evaluators: Evaluators | None = None,
    on_event: OnJobEvent = ignore,
) -> Decisions:
    """Make every automatic choice for a run.

    Parameters
    ----------
    inputs
        Of the run.
    evaluators
        Where engines are tried; found out if not given.
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
        return _on_this_cpu(inputs, evaluators, on_event)
    precision = _precision(settings, device)
    on_event(Message(_TRYING))
    with evaluators or evaluators_for(inputs) as tried:
        free = min((found.free for found in tried.devices()), default=0)
        largest = _LARGEST_WINDOW_CUDA
        if free:
            largest = largest_edge(
                free, _backend(settings, device)[0], precision, inputs.info
            )
        planned = _decided(inputs, device, largest)
        found, chosen = choose_engine(inputs, planned, tried)
    if chosen is None:
        return _on_cpu(inputs, found)
    return replace(
        planned,
        backend=chosen.backend,
        precision=chosen.precision,
        window=chosen.window,
        trial=found,
        note="; ".join(said for said in (planned.note, *found.notes) if said),
    )


def _on_this_cpu(
    inputs: Inputs, evaluators: Evaluators | None, on_event: OnJobEvent
) -> Decisions:
    """Decide for the CPU: in float32, unless bfloat16 is asked for and may be used."""
    settings, architecture = inputs.settings, inputs.info.architecture
    name = ""
    if wants_bfloat16(settings):
        name = bfloat16_backend(settings, architecture)
    exact = _decided(inputs, "cpu", LARGEST_WINDOW)
    if not name:
        return exact
    on_event(Message(_TRYING_BFLOAT16))
    planned = exact
    if name != exact.backend:
        other = replace(settings, backend=name)  # type: ignore[arg-type]
        planned = _decided(replace(inputs, settings=other), "cpu", LARGEST_WINDOW)
    planned = replace(planned, precision="bfloat16")
    with evaluators or evaluators_for(inputs) as tried:
        return with_bfloat16(inputs, exact, planned, tried)


def _on_cpu(inputs: Inputs, trial: EngineTrials) -> Decisions:
    """Decide as if there were no device, and say why."""
    settings = replace(inputs.settings, backend="auto", precision="auto", device="cpu")
    if stands_in(inputs.settings.backend):
        settings = replace(settings, backend=inputs.settings.backend)
    decided = _decided(replace(inputs, settings=settings), "cpu", LARGEST_WINDOW)
    note = (
        "the CPU does the work, for no engine can be used on the device: "
        f"{trial.problem}"
    )
    notes = [said for said in (decided.note, note) if said]
    return replace(decided, trial=trial, note="; ".join(notes))


def _decided(inputs: Inputs, device: str, largest: int) -> Decisions:
    settings = inputs.settings
    backend, note = _backend(settings, device, inputs.info.architecture)
    precision = _precision(settings, device)
    tiling, fit = tiling_for(inputs, backend, device, precision, largest)
    normal = normalization(inputs)
    estimate = normal.found.estimate
    return Decisions(
        backend=backend,
        device=device,
        precision=precision,
        threads=settings.threads or fit.inference_threads,
        window=tiling.window,
        block=tiling.block,
        threshold=int(np.rint(255 * settings.threshold)),
        whole=normal.whole,
        background=normal.found,
        field=normal.field,
        empty=None if estimate is None or estimate.voxels else estimate.level,
        holes=normal.holes,
        note="; ".join(
            said for said in (note, idle_gpus(settings, device), normal.note) if said
        ),
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
    named = None if settings.backend == "auto" else backend_row(settings.backend)
    if settings.launcher == "local-gpu":
        settings = replace(settings, device="cuda")
    if settings.device == "cpu" or (named is not None and "cuda" not in named.devices):
        return "cpu"
    if named is not None and stands_in(named.name):  # for a device too, if asked to
        return "cuda" if settings.device == "cuda" else "cpu"
    if devices.cuda_devices() or (settings.device == "cuda" and settings.elsewhere):
        return "cuda"
    if settings.device == "cuda":
        message = (
            "--device cuda: torch finds no CUDA device here; leave --device out to run "
            "on the CPU, or install a torch that was built with CUDA"
        )
        raise ConfigError(message)
    return "cpu"


def _backend(
    settings: RunSettings, device: str, architecture: str = ""
) -> tuple[str, str]:
    backend: str = settings.backend
    note = ""
    if backend == "auto":
        exact = settings.precision == "float64"
        backend = REFERENCE[0] if exact else default_backend(device, architecture)
        if backend == REFERENCE[0] and device == "cpu" and not exact:
            note = "; ".join(
                f"{row.title} is not installed, so {backend} runs the network, more "
                f"slowly; pip install 'blockseg[{row.extra}]'"
                for row in missing_backends(architecture)
            )
    if device == "cpu" and "cpu" not in backend_row(backend).devices:
        message = (
            f"--backend {backend} needs a GPU, and torch finds no CUDA device here; leave "
            "it out to run on the CPU, or install a torch that was built with CUDA"
        )
        raise ConfigError(message)
    check_network(backend_row(backend), architecture)
    if settings.precision == "float64" and backend != REFERENCE[0]:
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
    if settings.precision == "bfloat16" and device != "cpu":
        check_bfloat16(settings.backend, device)
    if settings.precision in ("float16", "float32", "float64"):
        return settings.precision
    return "float16" if device == "cuda" else "float32"
