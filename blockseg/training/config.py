"""Configuration of a training, besides network, data and loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# In a whole training, unless the user says otherwise: this many, but not more often.
_VALIDATIONS, _STEPS_BETWEEN = 20, 10


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Configuration of a training."""

    steps: int = 3000
    """Optimiser steps; without meaning where ``seconds`` is given."""

    seconds: float | None = None
    """Wall time after which training ends; schedules then follow the clock."""

    batch: int = 4
    """Patches a step and process."""

    seed: int = 1
    """Seed of whatever torch draws."""

    optimiser: Literal["adamw", "sgd"] = "adamw"
    """Optimiser."""

    schedule: Literal["one-cycle", "halving", "constant"] = "one-cycle"
    """Course of the learning rate."""

    rate: float = 6e-3
    """Highest learning rate."""

    momentum: float = 0.9
    """Momentum of SGD."""

    weight_decay: float = 1e-4
    """Weight decay of either optimiser."""

    halvings: int = 8
    """Number of times that ``halving`` halves the rate in a whole training."""

    warm_share: float = 0.1
    """Share of a one-cycle training in which the rate rises."""

    frozen_share: float = 0.3
    """Share of the training, its end, with norm statistics as in inference, 0 to 1."""

    averaging: float = 0.995
    """Decay, a step, of the running mean of the weights, which is what is kept."""

    gradient_clip: float = 1.0
    """Greatest norm of a gradient; 0 does not clip."""

    validate_every: int | None = None
    """Steps between validations; 20 in a whole training if None."""

    patience: int | None = None
    """Validations without improvement after which training ends; None: never."""

    patience_from: int = 0
    """Steps from which these count."""

    checkpoint_every: int = 100
    """Steps between checkpoints; also one every five minutes."""

    log_every: int = 10
    """Steps between rows of the log."""

    precision: Literal["auto", "fast", "float32", "float16", "bfloat16"] = "auto"
    """Precision of the arithmetic; ``auto`` mixes where a GPU gains by it, ``fast`` also
    where a CPU does."""

    threads: int | None = None
    """Threads of torch; its own choice if None."""

    workers: int = 0
    """Processes that make patches; 0 makes them in the loop."""

    def share(self, step: int, seconds: float) -> float:
        """Return how much of the training is done, 0 to 1.

        Parameters
        ----------
        step
            Steps done.
        seconds
            Wall time that they took.
        """
        if self.seconds is not None:
            return min(seconds / self.seconds, 1.0)
        return min(step / self.steps, 1.0)

    def validates(self, step: int, before: float, after: float) -> bool:
        """Return whether an event is due in the step from share ``before`` to ``after``."""
        if after >= 1:
            return True
        if self.validate_every is not None:
            return step % self.validate_every == 0
        number = _VALIDATIONS
        if self.seconds is None:
            number = min(number, max(self.steps // _STEPS_BETWEEN, 1))
        # A whisker more: 20 · (3 / 60) is 0.999…
        return int(number * after + 1e-9) > int(number * before + 1e-9)
