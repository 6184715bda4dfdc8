"""Precision of a CPU's engine: bfloat16 where windows of the volume show that it may be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from blockseg.blockwise.planning.engine_trials import EngineTrials
from blockseg.core.errors import ConfigError
from blockseg.inference.backends.table import (
    available_backends,
    backend_row,
    check_bfloat16,
    missing_backends,
)
from blockseg.inference.processor import processor
from blockseg.segmentation.engines.trial import NO_BFLOAT16, EngineCriteria
from blockseg.segmentation.engines.windows import trial_core, trial_windows

if TYPE_CHECKING:
    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.config.settings import RunSettings
    from blockseg.inference.engine_evaluation import EngineEvaluation
    from blockseg.segmentation.engines.process import Evaluators

_WORTH_IT = 1.1
"""Speed over that of float32 from which ``fast`` takes bfloat16: less is no gain for
masks that are not quite the same."""

_NAMES = {"amx": "AMX", "avx512": "AVX-512 for bfloat16"}
"""Instructions by their makers' names."""

_SMALL = 2**26  # voxels of a region that takes seconds: two windows are enough for it


def wants_bfloat16(settings: RunSettings) -> bool:
    """Return whether bfloat16 is to be tried on this CPU.

    Raises
    ------
    ConfigError
        If the user named it, and neither this CPU nor one of a cluster can have
        instructions for it.
    """
    here = processor()
    if settings.precision == "fast":
        return bool(here.bfloat16)
    if settings.precision != "bfloat16":
        return False
    if not here.bfloat16 and not settings.elsewhere:
        message = (
            f"--precision bfloat16: {NO_BFLOAT16}, which AMX and AVX-512 of some kinds "
            "have; leave it out to compute in float32"
        )
        raise ConfigError(message)
    return True


def bfloat16_backend(settings: RunSettings, architecture: str) -> str:
    """Return the backend that would compute a network in bfloat16; empty if none can.

    Raises
    ------
    ConfigError
        If the user named the precision, and no backend that is allowed has it.
    """
    able = available_backends(architecture, "bfloat16")
    if settings.precision == "fast":
        able = tuple(name for name in able if _gain(name) != 1)
    named: str = settings.backend
    if named != "auto":
        able = tuple(name for name in able if name == named)
    if able or settings.precision != "bfloat16":
        return able[0] if able else ""
    if named != "auto":
        check_bfloat16(named, "cpu")
    missing = missing_backends(architecture, "bfloat16")
    names = " or ".join(f"pip install 'blockseg[{row.extra}]'" for row in missing)
    message = f"--precision bfloat16 needs a backend that is not installed: {names}"
    raise ConfigError(message)


def with_bfloat16(
    inputs: Inputs, exact: Decisions, planned: Decisions, evaluators: Evaluators
) -> Decisions:
    """Decide between float32 and bfloat16 on a CPU.

    Both are tried on small windows of the volume. bfloat16 is taken where its masks agree
    with those of float32 (:data:`~blockseg.inference.parity.TOLERANCES`); by ``fast`` only
    where it is faster too. Where this CPU cannot compute in it, which only a cluster
    makes allowed, nothing is tried, and each worker judges for itself.

    Parameters
    ----------
    inputs
        Of the run.
    exact
        The run in float32.
    planned
        The same in bfloat16.
    evaluators
        Where to try.

    Returns
    -------
    One of the two, with what was tried.
    """
    weights = "" if inputs.weights is None else str(inputs.weights.path)
    core = trial_core(planned.window)
    windows = trial_windows(inputs.source.volume, inputs.roi, core, inputs.field)
    if inputs.roi.size < _SMALL:
        windows = windows[:2]
    trial = EngineCriteria(windows, inputs.field, exact.affine, exact.threshold)
    spare = ((exact.backend, exact.precision),)
    here = processor()
    if not here.bfloat16:
        return replace(planned, trial=EngineTrials(windows, (), (), spare))
    # One thread: several wait for each other, which the processor's time counts too.
    base, judged = evaluators.beside(
        trial,
        replace(planned.engine(weights), core=core, threads=1),
        replace(exact.engine(weights), core=core, threads=1),
    )
    if inputs.settings.precision == "fast":
        judged = _if_faster(judged, base)
    found = EngineTrials(windows, (here.kind,), (base, judged), spare)
    chosen = exact if judged.why_not else planned
    notes = [chosen.note, *found.notes]
    return replace(chosen, trial=found, note="; ".join(said for said in notes if said))


def may_gain(settings: RunSettings, decisions: Decisions, architecture: str) -> bool:
    """Return whether a run in float32 could be one in bfloat16, by ``--precision fast``."""
    return (
        settings.precision == "auto"
        and (decisions.device, decisions.precision) == ("cpu", "float32")
        and bool(processor().bfloat16)
        and decisions.backend in available_backends(architecture, "bfloat16")
        and _gain(decisions.backend) != 1
    )


def gain_line(settings: RunSettings, decisions: Decisions, architecture: str) -> str:
    """Return the possible gain of ``--precision fast``, in one line; empty if none.

    Nothing is measured: the figure is that of the documents.
    """
    gain = _gain(decisions.backend)
    if not gain or not may_gain(settings, decisions, architecture):
        return ""
    return (
        f"this CPU has {_NAMES[processor().bfloat16]}: --precision fast computes about {gain:.2g} times as fast, "
        "in bfloat16, if masks agree with those of float32 (docs/precision.md)"
    )


def _gain(backend: str) -> float | None:
    """Return the speed of bfloat16 over that of float32 on this CPU, as far as known."""
    return backend_row(backend).bfloat16_gain.get(processor().bfloat16)


def _if_faster(judged: EngineEvaluation, base: EngineEvaluation) -> EngineEvaluation:
    if judged.why_not or not base.voxels_per_second:
        return judged
    gain = judged.voxels_per_second / base.voxels_per_second
    if gain >= _WORTH_IT:
        return judged
    why = f"it is {gain:.2f} times as fast as float32 here, not {_WORTH_IT:g} or more"
    return replace(judged, why_not=why)
