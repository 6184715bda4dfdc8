"""Evaluation of engines on windows of the volume: in the driver, in each worker."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.core.errors import BlocksegError
from blockseg.inference.backends.table import REFERENCE, make_backend
from blockseg.inference.engine import Engine
from blockseg.inference.engine_evaluation import (
    EngineEvaluation,
    evaluate_beside,
    evaluate_engine,
)
from blockseg.inference.fallback import FallbackEngine, OtherEngine
from blockseg.inference.make_engine import make_engine
from blockseg.inference.parity import (
    TOLERANCES,
    compared,
    reference_probability,
    reference_spec,
)
from blockseg.inference.processor import processor
from blockseg.segmentation.engines.windows import read_samples, trial_core

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi
    from blockseg.core.specs import Affine, AffineField, BackendSpec
    from blockseg.inference.block_input import BlockInput
    from blockseg.inference.engine import Segmenter
    from blockseg.io.protocol import Volume
    from blockseg.networks.receptive_field import Field

NO_BFLOAT16 = "this CPU has no instructions for bfloat16"
_NOTHING_READ = "no window of the volume could be read to check it on"


@dataclass(frozen=True, slots=True)
class EngineCriteria:
    """Trial by which engines are judged; picklable."""

    windows: tuple[Roi, ...]
    """Box that each sampled window writes, in the volume's voxels."""

    field: Field
    """Field of the network."""

    affine: Affine | AffineField
    """Normalisation of the run."""

    threshold: int
    """Smallest probability byte that is foreground."""

    processors: tuple[str, ...] = ()
    """Kinds of CPU that an engine in bfloat16 has been judged on."""

    def first(self, count: int) -> EngineCriteria:
        """Return the same with fewer windows."""
        return replace(self, windows=self.windows[:count])


class EngineEvaluator:
    """Reads the windows of a trial once, and the reference's answer for each device.

    Parameters
    ----------
    trial
        The run's.
    volume
        Its source.
    """

    def __init__(self, trial: EngineCriteria, volume: Volume) -> None:
        self.trial = trial
        self._volume = volume
        self._samples: list[BlockInput] | None = None
        self._answers: dict[BackendSpec, list[NDArray[np.float32]]] = {}

    def make(self, spec: BackendSpec) -> Segmenter:
        """Build an engine for the volume."""
        return make_engine(spec, self.trial.affine, self._volume.dtype)

    def accepts(self, engine: Segmenter, spec: BackendSpec) -> str:
        """Return why an engine must not be used, in one line; empty if it may.

        Raises
        ------
        BackendError
            If the engine or the reference cannot run.
        """
        if _is_reference(spec):
            return ""
        samples, answers = self._prepared(spec)
        if not samples:
            return _NOTHING_READ
        found = compared(engine, samples, answers, self.trial.threshold)
        return found.problem(TOLERANCES[spec.precision])

    def evaluate(
        self, spec: BackendSpec, clock: Callable[[], float] = time.perf_counter
    ) -> EngineEvaluation:
        """Try an engine, and time it if it may be used; raises nothing of a device."""
        unused = EngineEvaluation(spec.name, spec.precision, spec.device, spec.core)
        try:
            samples, answers = self._prepared(spec)
        except (BlocksegError, RuntimeError) as error:
            text = " ".join(str(error).split()) or type(error).__name__
            return replace(
                unused, why_not=f"torch float32, which it is judged by: {text}"
            )
        if not samples:
            return replace(unused, why_not="" if _is_reference(spec) else _NOTHING_READ)
        trial = self.trial
        step = trial.field.alignment
        return evaluate_engine(
            spec, step, self.make, samples, answers, trial.threshold, clock
        )

    def beside(
        self, spec: BackendSpec, reference: BackendSpec
    ) -> tuple[EngineEvaluation, EngineEvaluation]:
        """Compare two engines of the CPU, and time both; raises nothing of theirs.

        Time is that of the processor, which other programs do not stretch.

        Parameters
        ----------
        spec
            To be judged.
        reference
            What it is compared with, in float32.

        Returns
        -------
        The reference's outcome and that of the engine.
        """
        if self._samples is None:
            trial = self.trial
            self._samples = read_samples(self._volume, trial.windows, trial.field)
        if not self._samples:
            base, judged = (
                EngineEvaluation(one.name, one.precision, one.device, one.core)
                for one in (reference, spec)
            )
            return base, replace(judged, why_not=_NOTHING_READ)
        return evaluate_beside(
            spec,
            reference,
            self._windowed,
            self._samples,
            self.trial.threshold,
            time.process_time,
        )

    def _windowed(self, spec: BackendSpec) -> Engine:
        return Engine(make_backend(spec), self.trial.affine)

    def forget(self) -> None:
        """Keep no window in memory; they are read again if they are needed again."""
        self._samples = None
        self._answers.clear()

    def _prepared(
        self, spec: BackendSpec
    ) -> tuple[list[BlockInput], list[NDArray[np.float32]]]:
        trial = self.trial
        if self._samples is None:
            self._samples = read_samples(self._volume, trial.windows, trial.field)
        reference = reference_spec(spec)
        if self._samples and reference not in self._answers:
            self._answers[reference] = reference_probability(
                reference, trial.affine, self._samples
            )
        return self._samples, self._answers.get(reference, [])


def engine_for(
    specs: Sequence[BackendSpec], trial: EngineCriteria, volume: Volume
) -> Segmenter:
    """Build the engine of an actor.

    On a device the first of ``specs`` that agrees with the reference there, and so in
    bfloat16 on a CPU of a kind that nobody judged it on; what it computes otherwise than
    planned, its blocks say.

    Parameters
    ----------
    specs
        The planned engine, and what may take its place on a device or of bfloat16.
    trial
        What they are judged by.
    volume
        The source.

    Raises
    ------
    BackendError
        If no engine can be used.
    """
    evaluator = EngineEvaluator(trial, volume)
    if specs[0].device == "cpu":
        return _engine_of_cpu(specs, evaluator)
    engine = FallbackEngine(
        specs, trial.field.alignment, evaluator.make, evaluator.accepts
    )
    evaluator.forget()
    return engine


def _engine_of_cpu(
    specs: Sequence[BackendSpec], evaluator: EngineEvaluator
) -> Segmenter:
    planned, *others = specs
    here, judged_on = processor(), evaluator.trial.processors
    if planned.precision != "bfloat16" or here.kind in judged_on or not others:
        return evaluator.make(planned)
    exact = others[0]
    why = NO_BFLOAT16
    if here.bfloat16:
        core = trial_core(planned.core)
        _, found = evaluator.beside(
            replace(planned, core=core), replace(exact, core=core)
        )
        why = found.why_not
        evaluator.forget()
    if not why:
        return evaluator.make(planned)
    return OtherEngine(evaluator.make(exact), exact, why)


def _is_reference(spec: BackendSpec) -> bool:
    return spec.name == REFERENCE[0] and spec.precision != "float16"
