"""``checkpoint.pt``: everything needed to resume a training exactly where it stopped."""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch

from blockseg.core.errors import TrainingError
from blockseg.core.untrusted.files import CHECKPOINT_BYTES, opened
from blockseg.core.untrusted.json_text import MALFORMED
from blockseg.io.output.atomic_files import replace_file
from blockseg.training.history import Row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch.optim.optimizer import StateDict

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LearnerState:
    """State of a trainer on which its next step depends."""

    network: Mapping[str, torch.Tensor]
    """Its weights."""

    mean: Mapping[str, torch.Tensor]
    """Their running mean."""

    optimiser: StateDict
    """State of the optimiser, as torch gives and takes it."""

    scaler: StateDict
    """State of the loss scale, as torch gives and takes it."""

    skipped: int
    """Steps of the whole training that loss scaling left out."""

    skipped_in_a_row: int
    """Those of them since the last step that was done."""

    rate: float
    """Learning rate of the last step."""

    sums: tuple[float, float, int]
    """Sums of losses and gradient norms since the last row of the log, and steps."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Progress of a training between two steps."""

    step: int = 0
    """Steps done."""

    best_step: int | None = None
    """Step of the best weights."""

    best_f1: float = -1.0
    """Their F1 on the validation volumes."""

    best_loss: float = float("inf")
    """Their validation loss."""

    waited: int = 0
    """Validations since."""

    ended: str | None = None
    """Reason to stop, empty after the last step; None while there is work left."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a training between two steps."""

    standing: Standing
    """Where it stands."""

    seconds: float
    """Wall time of all sessions."""

    learner: LearnerState
    """Weights, running mean, optimiser and loss scale."""

    random: torch.Tensor
    """State of torch's generator on the CPU."""

    rows: tuple[Row, ...]
    """The log."""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, all or nothing.

    Raises
    ------
    NoSpaceError
        If the disk is full; the checkpoint before is as it was.
    VolumeError
        If it cannot be written for another reason.
    """
    standing = asdict(checkpoint.standing)
    content = {
        "format": _FORMAT,
        "step": standing.pop("step"),
        "seconds": checkpoint.seconds,
        "learner": _plain_learner(checkpoint.learner),
        "random": checkpoint.random,
        **standing,
        "rows": [asdict(row) for row in checkpoint.rows],
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    replace_file(path, buffer.getvalue())


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None if there is none.

    Raises
    ------
    TrainingError
        If it is damaged or of another version.
    """
    try:
        with opened(path, CHECKPOINT_BYTES) as file:
            content = torch.load(file, weights_only=True, map_location="cpu")
        if content["format"] != _FORMAT:
            message = (
                f"{path} was written by another version of blockseg; finish with that "
                "one, or start over with --overwrite"
            )
            raise TrainingError(message)
        learner = content["learner"]
        return Checkpoint(
            Standing(**{name: content[name] for name in Standing.__slots__}),
            content["seconds"],
            LearnerState(**{**learner, "sums": tuple(learner["sums"])}),
            content["random"],
            tuple(Row(**row) for row in content["rows"]),
        )
    except FileNotFoundError:
        return None
    except (
        OSError, RuntimeError, EOFError, pickle.UnpicklingError, *MALFORMED,
    ) as error:  # fmt: skip
        message = (
            f"{path} is damaged ({type(error).__name__}); start over with --overwrite, "
            "or go on in another RUN from last.safetensors with --init"
        )
        raise TrainingError(message) from error


def _plain_learner(learner: LearnerState) -> StateDict:
    # Not asdict: it would copy every tensor.
    plain = {name: getattr(learner, name) for name in LearnerState.__slots__}
    return {**plain, "sums": list(learner.sums)}
