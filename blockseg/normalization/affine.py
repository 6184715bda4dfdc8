"""Affine map from raw grey levels to a network's input: once for a whole run.

The background level b and the noise SD s are estimated from samples of the whole
volume; the weights state with which gain they want to see them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.core.specs import Affine, AffineField
from blockseg.normalization.interpolation import planes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Normalization
    from blockseg.normalization.background import Background

PUBLISHED = Affine(168.5, 500.0)
"""The published system's constants for raw 16-bit intensities."""

CEILING = 1e6
"""Largest absolute value that the network is given; tissue stays far below it."""


def affine(
    normalization: Normalization,
    background: Background | None,
    gain: float,
    clip: tuple[float, float] = (-CEILING, CEILING),
) -> Affine:
    """Return the run's normalisation: ``(I - offset) / scale``, clipped.

    Parameters
    ----------
    normalization
        What was asked for; one that may vary is taken for ``robust`` here.
    background
        The estimate; needed for ``auto``, ``robust`` and ``field`` only.
    gain
        What the weights see as one SD of the background
        (:attr:`blockseg.networks.weights.WeightsInfo.gain`).
    clip
        Least and greatest value that the weights were trained on.

    Raises
    ------
    ConfigError
        If there is no estimate where one is needed.
    """
    if normalization.kind == "published":
        return replace(PUBLISHED, low=clip[0], high=clip[1])
    if normalization.kind == "given":
        return Affine(normalization.level, normalization.sd / gain, *clip)
    if background is None:
        message = (
            f"normalization {normalization.kind!r} needs an estimate of the background; "
            "give 'b,s' instead if the volume cannot be sampled"
        )
        raise ConfigError(message)
    return Affine(background.level, background.sd / gain, *clip)


def normalize(
    raw: npt.NDArray[Any],
    by: Affine | AffineField,
    out: npt.NDArray[np.floating[Any]],
    start: Zyx = (0, 0, 0),
) -> None:
    """Write ``(raw - offset) / scale`` to ``out``, computed in its precision.

    NaN and infinities become 0, the background; the rest is clipped to what the
    weights were trained on, or at least so that nothing overflows in the network.

    Parameters
    ----------
    raw
        Grey levels; ``(z, y, x)`` for a field, of any shape else.
    by
        What to subtract, to divide by and to clip to.
    out
        Takes the result; of the shape of ``raw``.
    start
        Where the first voxel lies in the volume (z, y, x); counts for a field only.
    """
    levels: Iterable[tuple[Any, Any]]
    if isinstance(by, Affine):
        levels = repeat((by.offset, by.scale))
    else:
        shape = (raw.shape[0], raw.shape[1], raw.shape[2])
        levels = planes(by, start, shape, out.dtype)
    if raw.ndim < 3:
        raw, out = raw[None], out[None]
    # Plane by plane, so that all steps but the first find it in the cache.
    both = zip(raw, out, strict=True)
    for (plane, target), (offset, scale) in zip(both, levels, strict=False):
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(plane, offset, out=target, dtype=out.dtype, casting="unsafe")
            np.divide(target, scale, out=target)
        np.clip(target, by.low, by.high, out=target)
        if raw.dtype.kind == "f":
            target[~np.isfinite(plane)] = 0
