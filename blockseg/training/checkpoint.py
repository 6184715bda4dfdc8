"""``checkpoint.pt``: all that a later process needs to go on exactly where one stopped."""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from blockseg.core.errors import TrainingError
from blockseg.io.output.atomic_files import replace_file
from blockseg.training.history import Row

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a training between two steps.

    The names of its fields are the keys on disk, and stay.
    """

    step: int
    """Steps done."""

    seconds: float
    """Wall time of all sessions."""

    learner: dict[str, Any]
    """Weights, running mean, optimiser and loss scale."""

    random: torch.Tensor
    """State of torch's generator on the CPU."""

    best_step: int | None = None
    """Step of the best weights."""

    best_f1: float = -1.0
    """Their F1 on the validation volumes."""

    best_loss: float = float("inf")
    """Their validation loss."""

    waited: int = 0
    """Validations since."""

    ended: str | None = None
    """Why there is nothing left to do, empty for the last step; None while there is."""

    rows: tuple[Row, ...] = field(default=())
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
    # Not asdict: it would copy every tensor.
    content = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    content["rows"] = [asdict(row) for row in checkpoint.rows]
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, **content}, buffer)
    replace_file(path, buffer.getvalue())


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None if there is none.

    Raises
    ------
    TrainingError
        If it is damaged or of another version.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        if content.pop("format") != _FORMAT:
            message = (
                f"{path} was written by another version of blockseg; finish with that "
                "one, or start anew with --overwrite"
            )
            raise TrainingError(message)
        rows = tuple(Row(**row) for row in content.pop("rows"))
        return Checkpoint(**content, rows=rows)
    except FileNotFoundError:
        return None
    except (
        OSError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        pickle.UnpicklingError,
    ) as error:
        message = (
            f"{path} is damaged ({type(error).__name__}); start anew with --overwrite, "
            "or go on in another RUN from last.safetensors with --init"
        )
        raise TrainingError(message) from error
