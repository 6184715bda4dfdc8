"""Process in which engines are tried: this one, or one of its own.

The driver of a run must not hold memory on a card that a worker needs, and an engine
that crashes while it is tried must not take the driver with it.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import lru_cache
from multiprocessing import get_context
from typing import TYPE_CHECKING, Protocol, Self

from blockseg.core.errors import BackendError
from blockseg.inference import devices
from blockseg.inference.engine_evaluation import EngineEvaluation
from blockseg.io.open import open_volume
from blockseg.runtime.dask.template import child_context, end_with_parent
from blockseg.segmentation.engines.trial import EngineCriteria, EngineEvaluator

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from blockseg.core.specs import BackendSpec, VolumeSpec
    from blockseg.inference.devices import Device
    from blockseg.io.protocol import Volume

_DIED = "its process died while it was tried: a crash in native code, or out of memory"


class Evaluators(Protocol):
    """Process in which engines are tried; to be left when that is done."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, *_: object) -> None:
        """Give devices back."""
        ...

    def devices(self) -> tuple[Device, ...]:
        """Return the CUDA devices that can be used, and their free memory.

        Raises
        ------
        BackendError
            If they cannot be looked at.
        """
        ...

    def evaluate(self, trial: EngineCriteria, spec: BackendSpec) -> EngineEvaluation:
        """Try an engine on the first device; see :meth:`EngineEvaluator.evaluate`."""
        ...

    def beside(
        self, trial: EngineCriteria, spec: BackendSpec, reference: BackendSpec
    ) -> tuple[EngineEvaluation, EngineEvaluation]:
        """Compare two engines of the CPU; see :meth:`EngineEvaluator.beside`."""
        ...


class EvaluatorHere:
    """Tries engines in the process that is to infer.

    Parameters
    ----------
    volume
        Source of the run.
    """

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._evaluator: EngineEvaluator | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._evaluator = None

    def devices(self) -> tuple[Device, ...]:
        """Return the CUDA devices; see :meth:`Evaluators.devices`."""
        try:
            return devices.look_at_devices()
        except RuntimeError as error:
            message = f"the CUDA devices cannot be used: {error}"
            raise BackendError(message) from error

    def evaluate(self, trial: EngineCriteria, spec: BackendSpec) -> EngineEvaluation:
        """Try an engine."""
        return self._of(trial).evaluate(spec)

    def beside(
        self, trial: EngineCriteria, spec: BackendSpec, reference: BackendSpec
    ) -> tuple[EngineEvaluation, EngineEvaluation]:
        """Compare two engines of the CPU; see :meth:`EngineEvaluator.beside`."""
        return self._of(trial).beside(spec, reference)

    def _of(self, trial: EngineCriteria) -> EngineEvaluator:
        if self._evaluator is None or self._evaluator.trial != trial:
            self._evaluator = EngineEvaluator(trial, self._volume)
        return self._evaluator


class EvaluatorProcess:
    """One other process, started when it is first needed, and restarted if it dies.

    Parameters
    ----------
    source
        Of the run.
    """

    def __init__(self, source: VolumeSpec) -> None:
        self._source = source
        self._pool: ProcessPoolExecutor | None = None
        self._found: tuple[Device, ...] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def devices(self) -> tuple[Device, ...]:
        """Return the CUDA devices; see :meth:`Evaluators.devices`."""
        if not devices.cuda_devices():
            return ()  # those of the workers are elsewhere
        if self._found is None:
            try:
                self._found = self._started().submit(_devices).result()
            except (BrokenProcessPool, RuntimeError) as error:
                self._end()
                message = f"the CUDA devices cannot be used: {error}"
                raise BackendError(message) from error
        return self._found

    def evaluate(self, trial: EngineCriteria, spec: BackendSpec) -> EngineEvaluation:
        """Try an engine; one that crashes takes nothing with it."""
        try:
            return self._started().submit(_tried, trial, self._source, spec).result()
        except BrokenProcessPool:
            self._end()
            return EngineEvaluation(
                spec.name, spec.precision, spec.device, spec.core, _DIED
            )

    def beside(
        self, trial: EngineCriteria, spec: BackendSpec, reference: BackendSpec
    ) -> tuple[EngineEvaluation, EngineEvaluation]:
        """Compare two engines of the CPU; a crash is the judged one's."""
        try:
            job = self._started().submit(_beside, trial, self._source, spec, reference)
            return job.result()
        except BrokenProcessPool:
            self._end()
            base, judged = (
                EngineEvaluation(one.name, one.precision, one.device, one.core)
                for one in (reference, spec)
            )
            return base, replace(judged, why_not=_DIED)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, self._context(), end_with_parent)
        return self._pool

    def _context(self) -> BaseContext:
        """Return the way to start the process; one that will use a card is not forked."""
        return get_context("spawn") if devices.cuda_devices() else child_context()

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()


def _devices() -> tuple[Device, ...]:
    return devices.look_at_devices()


def _tried(
    trial: EngineCriteria, source: VolumeSpec, spec: BackendSpec
) -> EngineEvaluation:
    return _evaluator(trial, source).evaluate(spec)


def _beside(
    trial: EngineCriteria,
    source: VolumeSpec,
    spec: BackendSpec,
    reference: BackendSpec,
) -> tuple[EngineEvaluation, EngineEvaluation]:
    return _evaluator(trial, source).beside(spec, reference)


@lru_cache(maxsize=1)
def _evaluator(trial: EngineCriteria, source: VolumeSpec) -> EngineEvaluator:
    return EngineEvaluator(trial, open_volume(source))
