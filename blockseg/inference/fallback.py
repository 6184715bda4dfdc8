"""An engine that continues where a device has too little memory, and says how.

It halves its window, or takes the next engine that is allowed. Whatever else a device
fails with ends its process: after most errors of CUDA nothing there can be trusted.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Condition
from typing import TYPE_CHECKING

from blockseg.core.errors import (
    BackendError,
    BlocksegError,
    DeviceLostError,
    DeviceMemoryError,
)
from blockseg.core.text import times
from blockseg.inference.window_memory import halved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from blockseg.core.specs import BackendSpec
    from blockseg.inference.block_input import BlockInput
    from blockseg.inference.engine import Segmented, Segmenter


class FallbackEngine:
    """The first engine of several that can be built, is accepted and has memory.

    Parameters
    ----------
    specs
        Engines on one device, the planned one first.
    alignment
        Of the network: windows are multiples of it.
    make
        Builds an engine.
    accepts
        Returns why an engine must not be used, in one line; empty if it may.

    Raises
    ------
    BackendError
        If no engine can be used; says why the planned one cannot.
    """

    def __init__(
        self,
        specs: Sequence[BackendSpec],
        alignment: int,
        make: Callable[[BackendSpec], Segmenter],
        accepts: Callable[[Segmenter, BackendSpec], str] = lambda _engine, _spec: "",
    ) -> None:
        self._planned = specs[0]
        self._left = list(specs)
        self._alignment = alignment
        self._make = make
        self._accepts = accepts
        self._why: dict[str, str] = {}
        self._lost = ""
        self._idle = Condition()
        self._users = 0
        self._turn = 0
        self.spec = specs[0]
        self._engine = self._next()

    @property
    def depth(self) -> int:
        """Blocks that it takes at the same time."""
        return self._engine.depth

    @property
    def note(self) -> str:
        """Departure from the plan in computing; empty if as planned."""
        if self.spec == self._planned:
            return ""
        return _note(self.spec, self._reasons())

    def segment(self, block: BlockInput) -> Segmented:
        """Return the write ROI of a block as bytes, with a note if computed otherwise.

        Raises
        ------
        DeviceLostError
            If the device failed: now, or before in this process.
        DeviceMemoryError
            If it has too little memory for the smallest window of any engine.
        """
        while True:
            with self._idle:
                if self._lost:
                    raise DeviceLostError(self._lost)
                engine, turn, note = self._engine, self._turn, self.note
                self._users += 1
            try:
                done = engine.segment(block)
                return replace(done, note=note) if note else done
            except DeviceMemoryError as error:
                problem = str(error)
            except BlocksegError as error:
                if isinstance(error, BackendError):
                    raise self._losing(error) from error
                raise
            except RuntimeError as error:  # of CUDA, by way of some library
                raise self._losing(error) from error
            finally:
                with self._idle:
                    self._users -= 1
                    self._idle.notify_all()
            # Out of the handler: the error holds what the device is to give back.
            self._smaller(turn, problem)

    def close(self) -> None:
        """Close the engine, once no block is being computed."""
        self._engine.close()

    def _losing(self, error: Exception) -> DeviceLostError:
        text = " ".join(str(error).split()) or type(error).__name__
        with self._idle:
            self._lost = f"the device of {self.spec.name} failed: {text}"
        return DeviceLostError(self._lost)

    def _smaller(self, turn: int, problem: str) -> None:
        """Go on with less, unless another thread has seen to it."""
        with self._idle:
            # Whoever else is in there runs into the same.
            self._idle.wait_for(lambda: self._users == 0 or self._turn != turn)
            if self._turn != turn:
                return
            self._turn += 1
            self._engine.close()
            self._shrink(problem)
            try:
                self._engine = self._next()
            except BackendError as error:
                self._lost = str(error)
                raise DeviceLostError(self._lost) from error

    def _next(self) -> Segmenter:
        while self._left:
            spec = self._left[0]
            engine: Segmenter | None = None
            short, why = "", ""
            try:
                engine = self._make(spec)
                why = self._accepts(engine, spec)
            except DeviceMemoryError as error:
                short = str(error)
            except BlocksegError as error:
                why = str(error)
            if engine is not None:
                if not (short or why):
                    self.spec = spec
                    return engine
                engine.close()
            if short:
                self._shrink(short)
            else:
                self._give_up(why)
        raise BackendError(self._reasons())

    def _shrink(self, problem: str) -> None:
        spec = self._left[0]
        smaller = halved(spec.core, self._alignment)
        if smaller is None:
            self._give_up(problem)
            return
        self._left[0] = replace(spec, core=smaller)
        self._why.setdefault(_name(spec), problem)

    def _give_up(self, why: str) -> None:
        self._why[_name(self._left.pop(0))] = why

    def _reasons(self) -> str:
        if len(self._why) == 1:
            return next(iter(self._why.values()))
        return "; ".join(f"{name}: {why}" for name, why in self._why.items())


class OtherEngine:
    """An engine that stands in for the planned one from the start, and says so.

    Parameters
    ----------
    engine
        What computes.
    spec
        Of what computes.
    why
        Why the planned one does not, in one line.
    """

    def __init__(self, engine: Segmenter, spec: BackendSpec, why: str) -> None:
        self._engine = engine
        self.note = _note(spec, why)

    @property
    def depth(self) -> int:
        """Blocks that it takes at the same time."""
        return self._engine.depth

    def segment(self, block: BlockInput) -> Segmented:
        """Return the write ROI of a block as bytes, with a note."""
        return replace(self._engine.segment(block), note=self.note)

    def close(self) -> None:
        """Close the engine, once no block is being computed."""
        self._engine.close()


def _note(spec: BackendSpec, why: str) -> str:
    by = times(spec.core)
    return f"computed by {_name(spec)} with windows of {by}: {why}"


def _name(spec: BackendSpec) -> str:
    return f"{spec.name} {spec.precision}"
