"""Choice of a device's engine by trying: the fastest that agrees with the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from blockseg.blockwise.planning.engine_trials import EngineTrials
from blockseg.core.errors import BackendError
from blockseg.inference.backends.table import ON_DEVICES, REFERENCE, stands_in
from blockseg.inference.engine_evaluation import EngineEvaluation, fastest
from blockseg.segmentation.engines.process import EvaluatorHere, EvaluatorProcess
from blockseg.segmentation.engines.trial import EngineCriteria
from blockseg.segmentation.engines.windows import trial_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.core.specs import BackendSpec
    from blockseg.segmentation.engines.process import Evaluators


def choose_engine(
    inputs: Inputs, planned: Decisions, evaluators: Evaluators
) -> tuple[EngineTrials, EngineEvaluation | None]:
    """Try engines on the run's own volume and take the fastest that may be used.

    Where the user names an engine it is taken if it may be used, however fast others
    are. Without a device in this machine nothing is tried; the workers judge for
    themselves.

    Parameters
    ----------
    inputs, planned
        Of the run, with a window that should fit the device.
    evaluators
        Where to try.

    Returns
    -------
    What was tried, and what to use: None if the device is of no use.

    Raises
    ------
    BackendError
        If the user named an engine that can do nothing here, or wants the device and
        no engine can be used.
    """
    settings = inputs.settings
    spec = planned.engine("" if inputs.weights is None else str(inputs.weights.path))
    volume, field = inputs.source.volume, inputs.field
    windows = trial_windows(volume, inputs.roi, planned.window, field)
    trial = EngineCriteria(windows, field, planned.affine, planned.threshold)
    devices = tuple(device.name for device in evaluators.devices())
    groups = _groups(settings.backend, planned.precision)
    if not devices and not stands_in(settings.backend):
        first, *others = [engine for group in groups for engine in group]
        choice = EngineTrials(windows, (), (), tuple(others))
        return choice, EngineEvaluation(*first, spec.device, spec.core)
    done: list[EngineEvaluation] = []
    for number, group in enumerate(groups):
        found = [evaluators.evaluate(trial, _as(spec, *engine)) for engine in group]
        done += found
        if settings.backend != "auto" and not number and found[0].unsuited:
            raise BackendError(found[0].why_not)
        chosen = fastest(found)
        if chosen is not None:
            spare = _spare(done, groups[number + 1 :], chosen)
            return EngineTrials(windows, devices, tuple(done), spare), chosen
    choice = EngineTrials(windows, devices, tuple(done), ())
    if settings.device == "cuda" and not stands_in(settings.backend):
        raise BackendError(choice.problem)
    return choice, None


def evaluators_for(inputs: Inputs) -> Evaluators:
    """Return the place to try engines: in a process of its own, unless this one infers."""
    here = inputs.settings.scheduler == "serial" or stands_in(inputs.settings.backend)
    if here or inputs.source.spec.format == "memory":
        return EvaluatorHere(inputs.source.volume)
    return EvaluatorProcess(inputs.source.spec)


def trial_of(inputs: Inputs, decisions: Decisions) -> EngineCriteria:
    """Return the windows by which workers judge their device, or their CPU."""
    trial = decisions.trial
    windows = () if trial is None else trial.windows
    judged_on = () if trial is None else trial.devices
    return EngineCriteria(
        windows, inputs.field, decisions.affine, decisions.threshold, judged_on
    )


def engines_of(decisions: Decisions, weights: str) -> tuple[BackendSpec, ...]:
    """Return the engine that was chosen, and what may take its place in a worker."""
    planned = decisions.engine(weights)
    judged = planned.device != "cpu" or planned.precision == "bfloat16"
    if decisions.trial is None or not judged:
        return (planned,)
    return (planned, *(_as(planned, *engine) for engine in decisions.trial.spare))


def measured_speed(decisions: Decisions) -> float:
    """Return the speed of the chosen engine in its trial, in voxels a second; or 0."""
    chosen = decisions.backend, decisions.precision
    for one in _tried(decisions):
        if (one.backend, one.precision) == chosen:
            return one.voxels_per_second
    return 0.0


def evaluation_lines(decisions: Decisions) -> tuple[str, ...]:
    """Return the outcome of each engine that was tried, for a user to read."""
    return tuple(
        f"{one.backend} {one.precision}: " + (one.why_not or _speed_of(one))
        for one in _tried(decisions)
    )


def _speed_of(one: EngineEvaluation) -> str:
    speed = one.voxels_per_second
    return f"{speed / 1e6:.4g} million voxels/s" if speed else "not timed"


def _tried(decisions: Decisions) -> tuple[EngineEvaluation, ...]:
    return () if decisions.trial is None else decisions.trial.tried


def _groups(backend: str, precision: str) -> list[list[tuple[str, str]]]:
    """Return the engines to try; of a group the fastest, of groups the first that can."""
    if stands_in(backend):
        return [[(backend, precision)]]
    fastest_one, reference = ON_DEVICES[0][0], REFERENCE[0]
    if precision == "float64":
        return [[(reference, precision)]]
    chain: list[tuple[str, str]] = list(ON_DEVICES)
    if precision == "float32":
        chain = [(fastest_one, precision), (reference, precision)]
    if backend == "auto":
        fast = [one for one in chain if one != REFERENCE]
        return [fast, [REFERENCE]] if precision == "float16" else [chain]
    first = (backend, precision)
    after = chain[chain.index(first) + 1 :] if first in chain else chain[-1:]
    return [[first], *([one] for one in after)]


def _spare(
    done: Sequence[EngineEvaluation],
    left: Sequence[Sequence[tuple[str, str]]],
    chosen: EngineEvaluation,
) -> tuple[tuple[str, str], ...]:
    able = sorted(
        (one for one in done if not one.why_not and one != chosen),
        key=lambda one: -one.voxels_per_second,
    )
    names = [(one.backend, one.precision) for one in able]
    return (*names, *(engine for group in left for engine in group))


def _as(spec: BackendSpec, backend: str, precision: str) -> BackendSpec:
    return replace(spec, name=backend, precision=precision)  # type: ignore[arg-type]
