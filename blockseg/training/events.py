"""Events of a training for whoever watches it: small values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrainingStarted:
    """All checks have passed, and the first step is about to start."""

    network: str
    """Architecture and width, for a human."""

    parameters: int
    """Trainable parameters."""

    device: str
    """Where, and with which arithmetic, for a human."""

    ranks: int
    """Processes that train together."""

    steps: int | None
    """Steps of the whole training; None where the clock ends it."""

    step: int
    """Steps that an earlier session did."""

    sources: tuple[str, ...]
    """A line on each source of data."""

    notes: tuple[str, ...]
    """Notes for the user before it starts, a line each."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Some steps are done."""

    step: int
    """Steps done, of the whole training."""

    share: float
    """Share of the training, 0 to 1."""

    loss: float
    """Mean since the last event."""

    rate: float
    """Learning rate of the last step."""

    voxels_per_second: float
    """Voxels per second of patches, over all processes, since the last event."""

    remaining: float | None
    """Seconds that are left; None while unknown."""


@dataclass(frozen=True, slots=True)
class Validated:
    """The running mean of the weights was scored on the validation volumes."""

    step: int
    """Steps done."""

    loss: float
    """With the weights of the training loss."""

    f1: float
    """At probability 0.5, with a tolerance of 2 voxels, all volumes together."""

    precision: float
    """The same."""

    recall: float
    """The same."""

    best_threshold: float
    """Probability at which the F1 is highest."""

    best_f1: float
    """The F1 at that threshold."""

    improved: bool
    """Whether these weights are now the best ones."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint is on disk; a kill loses nothing before it."""

    step: int
    """Steps done."""


@dataclass(frozen=True, slots=True)
class TrainingMessage:
    """One line for a human."""

    text: str
    """Without a line break."""


TrainingEvent: TypeAlias = (
    TrainingStarted | Progress | Validated | Saved | TrainingMessage
)
"""Any of the above."""

OnTrainingEvent: TypeAlias = "Callable[[TrainingEvent], None]"
"""Receiver of events; it must be quick and must not raise."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Outcome of a training."""

    out: Path
    """Its folder."""

    complete: bool
    """Whether there is nothing left to do."""

    stopped: str
    """Why it ended before its last step, in one line; empty if it did not."""

    step: int
    """Steps done."""

    seconds: float
    """Wall time of all sessions."""

    skipped: int
    """Steps that the loss scaling of half precision left out."""

    best_step: int | None
    """Step of the best weights; None without validation."""

    best_f1: float | None
    """Their F1 at probability 0.5, 2 voxels."""


def ignore(event: TrainingEvent) -> None:
    """Ignore all events."""
