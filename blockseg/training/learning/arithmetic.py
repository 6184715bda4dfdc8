"""Arithmetic of the forward and backward pass: requested and chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from blockseg.core.errors import ConfigError
from blockseg.inference.processor import processor

if TYPE_CHECKING:
    from blockseg.inference.processor import Processor

Arithmetic: TypeAlias = Literal["float32", "float16", "bfloat16"]
"""Arithmetic that a training may have."""

Asked: TypeAlias = Literal["auto", "fast"] | Arithmetic
"""Precision that a user may ask for."""


def arithmetic(
    precision: Asked, device: torch.device, this: Processor | None = None
) -> Arithmetic:
    """Return the arithmetic of a training.

    Parameters
    ----------
    precision
        What the user asked for. On a CPU ``auto`` is float32, and ``fast`` bfloat16
        where it has AMX; on a GPU both are what the GPU gains by.
    device
        Where the network is trained.
    this
        The CPU; that of this machine if not given.

    Raises
    ------
    ConfigError
        If a CPU shall train in float16, for which torch has no kernels there.
    """
    if precision == "float16" and device.type == "cpu":
        message = "--precision float16 needs a GPU; use float32 or bfloat16"
        raise ConfigError(message)
    if precision != "auto" and precision != "fast":
        return precision
    if device.type != "cpu":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    tiles = (this or processor()).tiles
    return "bfloat16" if precision == "fast" and tiles else "float32"


def arithmetic_note(
    precision: Asked,
    decided: Arithmetic,
    device: torch.device,
    this: Processor | None = None,
) -> str | None:
    """Return a line that suggests another precision, None if there is no better one.

    Parameters
    ----------
    precision
        What the user asked for.
    decided
        What it came to.
    device, this
        As of :func:`arithmetic`.
    """
    if device.type != "cpu":
        return None
    this = this or processor()
    if this.tiles:
        if precision == "auto" and decided == "float32":
            return (
                "This CPU has AMX: --precision fast learns in bfloat16, in less time."
            )
        return None
    if decided == "bfloat16":
        return "This CPU has no AMX: bfloat16 may take longer than float32 here."
    if precision == "fast":
        return "This CPU has no AMX: --precision fast learns in float32 here."
    return None
