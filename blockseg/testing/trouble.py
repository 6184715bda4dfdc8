"""Trouble that the fake backend makes where it is told to: slow, hanging, leaking, dying.

``BLOCKSEG_FAKE_TROUBLE='{"seconds": 0.1}'`` in the environment makes each inference of
``--backend fake`` take a tenth of a second longer. With ``marked`` something happens to
windows that hold a very bright voxel, so that the data say which block it is.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

if TYPE_CHECKING:
    import numpy.typing as npt

VARIABLE = "BLOCKSEG_FAKE_TROUBLE"
"""Name of the environment variable: a JSON object with the fields of :class:`Trouble`."""

_LEAK_BYTES = 64 * 2**20
_LEAK_AT_MOST = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Trouble:
    """Trouble of one process."""

    seconds: float = 0.0
    """Seconds that each inference takes longer."""

    marked: str = ""
    """Kind of trouble of a marked window: ``hang``, ``freeze`` (the whole process), ``leak``,
    ``crash`` or ``raise``; empty for none."""

    bright: float = 1000.0
    """Normalised grey level, in SDs of the noise, from which a voxel marks its window."""

    once: str = ""
    """File that the first trouble leaves, and that keeps others from it; with an empty
    name every marked window makes it."""

    @classmethod
    def from_environment(cls) -> Self:
        """Return what the environment says; none if it says nothing."""
        return cls(**json.loads(os.environ.get(VARIABLE) or "{}"))

    def meet(self, core: npt.NDArray[Any]) -> None:
        """Make what trouble there is for a window whose voxels are these."""
        if self.seconds:
            time.sleep(self.seconds)
        if self.marked and float(core.max()) > self.bright and self._is_due():
            _DOES[self.marked]()

    def _is_due(self) -> bool:
        if not self.once:
            return True
        try:
            Path(self.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _hang() -> NoReturn:
    while True:
        time.sleep(1)


def _freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _leak() -> NoReturn:
    kept: list[bytes] = []
    while len(kept) * _LEAK_BYTES < _LEAK_AT_MOST:
        kept.append(b"\1" * _LEAK_BYTES)
        time.sleep(0.02)
    _raise()


def _raise() -> NoReturn:
    message = "the fake was told to fail at a marked window"
    raise RuntimeError(message)


_DOES = {
    "hang": _hang,
    "freeze": _freeze,
    "crash": _crash,
    "leak": _leak,
    "raise": _raise,
}
