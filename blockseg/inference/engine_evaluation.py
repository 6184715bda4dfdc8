"""Evaluation of engines on sampled windows: agreement with the reference, and speed."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.core.errors import (
    BlocksegError,
    ConfigError,
    DeviceMemoryError,
    MissingExtraError,
)
from blockseg.inference.parity import TOLERANCES, compared
from blockseg.inference.window_memory import halved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import BackendSpec
    from blockseg.inference.block_input import BlockInput
    from blockseg.inference.engine import Engine, Segmenter

_SOME_SECONDS = 1e-9


@dataclass(frozen=True, slots=True)
class EngineEvaluation:
    """Outcome of one engine."""

    backend: str
    """Its name."""

    precision: str
    """Precision of its arithmetic."""

    device: str
    """``cpu`` or ``cuda``."""

    window: Zyx
    """Voxels that a window writes: what was asked for, or less for want of memory."""

    why_not: str = ""
    """Why it is not used, in one line; empty if it may be."""

    voxels_per_second: float = 0.0
    """Speed on the sampled windows, without the first time; 0 if there is none."""

    difference: float | None = None
    """Largest of the probability from torch float32, beyond rounding to bytes."""

    flips: int | None = None
    """Sampled voxels that are foreground in one of the two only."""

    voxels: int = 0
    """Sampled voxels."""

    unsuited: bool = False
    """Whether it can do nothing here: not installed, or not for such a network."""

    short: str = ""
    """Why the window is smaller than asked for; empty if it is not."""


def evaluate_engine(
    spec: BackendSpec,
    alignment: int,
    make: Callable[[BackendSpec], Segmenter],
    samples: Sequence[BlockInput],
    expected: Sequence[npt.NDArray[np.float32]],
    threshold: int,
    clock: Callable[[], float] = time.perf_counter,
) -> EngineEvaluation:
    """Build an engine, compare it with the reference, and time it if it agrees.

    Parameters
    ----------
    spec
        Which; its window is halved until it fits the device.
    alignment
        Of the network.
    make
        Builds it.
    samples
        Windows of the volume.
    expected
        Of each, the probability by the reference.
    threshold
        Smallest byte that is foreground.
    clock
        Tells the time in seconds.
    """
    short = ""
    while True:
        tried = EngineEvaluation(
            spec.name, spec.precision, spec.device, spec.core, short=short
        )
        try:
            with closing(make(spec)) as engine:
                found = compared(engine, samples, expected, threshold)
                why_not = found.problem(TOLERANCES[spec.precision])
                speed = 0.0 if why_not else _speed(engine, samples, clock)
            return replace(
                tried,
                why_not=why_not,
                voxels_per_second=speed,
                difference=found.difference,
                flips=found.flips,
                voxels=found.voxels,
            )
        except DeviceMemoryError as error:
            problem = str(error)
        except (BlocksegError, RuntimeError) as error:
            text = " ".join(str(error).split()) or type(error).__name__
            unsuited = isinstance(error, ConfigError | MissingExtraError)
            return replace(tried, why_not=text, unsuited=unsuited)
        smaller = halved(spec.core, alignment)
        if smaller is None:
            return replace(tried, why_not=problem)
        short = short or problem
        spec = replace(spec, core=smaller)


def evaluate_beside(
    spec: BackendSpec,
    reference: BackendSpec,
    make: Callable[[BackendSpec], Engine],
    samples: Sequence[BlockInput],
    threshold: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[EngineEvaluation, EngineEvaluation]:
    """Compare an engine with another, and time both; for CPUs, where trials must be short.

    Each computes every sample once, and the first a second time, by the clock.

    Parameters
    ----------
    spec
        Engine to be judged.
    reference
        Engine that it is compared with.
    make
        Builds either.
    samples
        Windows of the volume, at least one, that with most signal first.
    threshold
        Smallest byte that is foreground.
    clock
        Tells the time in seconds.

    Returns
    -------
    The reference's outcome and that of the engine, as from :func:`evaluate_engine`.
    """
    tried = [
        EngineEvaluation(one.name, one.precision, one.device, one.core)
        for one in (reference, spec)
    ]
    try:
        with closing(make(reference)) as engine:
            expected = [engine.probability(sample) for sample in samples]
            speed = _speed(engine, samples[:1], clock)
        tried[0] = replace(tried[0], voxels_per_second=speed)
        with closing(make(spec)) as engine:
            found = compared(engine, samples, expected, threshold)
            why_not = found.problem(TOLERANCES[spec.precision], named(reference))
            speed = 0.0 if why_not else _speed(engine, samples[:1], clock)
    except (BlocksegError, RuntimeError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        unsuited = isinstance(error, ConfigError | MissingExtraError)
        return tried[0], replace(tried[1], why_not=text, unsuited=unsuited)
    judged = replace(
        tried[1],
        why_not=why_not,
        voxels_per_second=speed,
        difference=found.difference,
        flips=found.flips,
        voxels=found.voxels,
    )
    return tried[0], judged


def named(spec: BackendSpec) -> str:
    """Return the name of an engine for a user to read."""
    return f"{spec.name} {spec.precision}"


def fastest(tried: Sequence[EngineEvaluation]) -> EngineEvaluation | None:
    """Return the fastest engine that may be used, the first of equals; None if none may."""
    able = [one for one in tried if not one.why_not]
    return max(able, key=lambda one: one.voxels_per_second, default=None)


def _speed(
    engine: Segmenter, samples: Sequence[BlockInput], clock: Callable[[], float]
) -> float:
    start = clock()
    for sample in samples:
        engine.segment(sample)
    seconds = clock() - start
    return sum(s.write_roi.size for s in samples) / max(seconds, _SOME_SECONDS)
