"""Weights in bfloat16, rounded so that their errors cancel over a kernel.

bfloat16 keeps 8 bits of a number. Rounded each to the nearest, the weights of a kernel
err by themselves, and where a map is smooth, as feature maps are, what they err by adds
up: SDASN's masks so change more by its weights than by all of its maps. Here each weight
goes to one of its two neighbours, and of all such choices one is taken whose errors
cancel as far as neighbouring voxels are alike. That takes nothing when the network runs
(``benchmarks/accuracy/bfloat16_layers.py`` measures it).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.networks.receptive_field import STRIDE

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from blockseg.networks.sdasn_arrays import Arrays

_ALIKE = 0.9
"""Correlation of neighbouring voxels' values that distance does not explain."""

_REACH = 1.5
"""Standard deviation of its fall with the distance, in voxels."""

_AXES = 5  # of the weights of a convolution
_SWEEPS = 16
_UNIT = np.int64(1 << 16)  # of a float32's bits: one bfloat16 to the next


def nearest(numbers: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the nearest bfloat16 of each number, ties to even, as float32."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    even = (bits >> 16) & 1
    up = (bits + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)
    found = up.view(np.float32)
    return np.where(np.isfinite(numbers), found, numbers).astype(np.float32)


def rounded_weights(
    weights: npt.NDArray[Any], *, transposed: bool = False
) -> npt.NDArray[np.float32]:
    """Return a convolution's weights as numbers that bfloat16 holds.

    Each is one of the two that lie around the given weight.

    Parameters
    ----------
    weights
        ``(out, in, z, y, x)``, or ``(in, out, z, y, x)`` of a transposed convolution;
        norms folded in.
    transposed
        Whether it is one, of stride 2: there a voxel of the result sees every second
        weight along each axis only.
    """
    kernels = np.asarray(weights, np.float64).reshape(-1, *weights.shape[2:])
    wanted = kernels.reshape(len(kernels), -1)
    now = nearest(wanted).astype(np.float64)
    if not np.isfinite(wanted).all():
        return now.reshape(weights.shape).astype(np.float32)
    other = _on_the_other_side(now, wanted)
    alike = _alike(weights.shape[2:], transposed=transposed)
    error = now - wanted
    pull = error @ alike
    for _ in range(_SWEEPS):
        changed = False
        for tap in range(wanted.shape[1]):
            step = other[:, tap] - now[:, tap]
            better = step * (2 * pull[:, tap] + step * alike[tap, tap]) < 0
            if not better.any():
                continue
            changed = True
            pull += np.where(better, step, 0)[:, None] * alike[tap]
            swapped = now[better, tap]
            now[better, tap] = other[better, tap]
            other[better, tap] = swapped
        if not changed:
            break
    return now.reshape(weights.shape).astype(np.float32)


def rounded_arrays(
    arrays: Arrays, exact: Collection[str] = ()
) -> dict[str, npt.NDArray[Any]]:
    """Return SDASN's folded parameters with the weights of its kernels rounded.

    Biases, and the heads, which have no kernels, stay as they are.

    Parameters
    ----------
    arrays
        See :func:`~blockseg.networks.sdasn_arrays.folded_arrays`.
    exact
        Layers whose weights stay as they are.
    """
    return {
        name: rounded_weights(array, transposed=name.startswith("up"))
        if array.ndim == _AXES
        and array.shape[-1] > 1
        and name.removesuffix(".weight") not in exact
        else array
        for name, array in arrays.items()
    }


def _on_the_other_side(
    now: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the bfloat16 next to each rounded number, across the wanted one."""
    bits = now.astype(np.float32).view(np.uint32).astype(np.int64)
    away = (wanted > now) == (now >= 0)  # from zero, where the number is larger
    bits += np.where(away, _UNIT, -_UNIT)
    found = bits.astype(np.uint32).view(np.float32).astype(np.float64)
    exact = (now == wanted) | (now == 0)
    other: npt.NDArray[np.float64] = np.where(exact, now, found)
    return other


def _alike(shape: tuple[int, ...], *, transposed: bool) -> npt.NDArray[np.float64]:
    """Return the similarity of the inputs of each two weights of a kernel."""
    taps = np.array(list(product(*map(range, shape))), np.float64)
    distance = ((taps[:, None] - taps) ** 2).sum(-1)
    together = np.ones_like(distance)
    if transposed:
        distance /= STRIDE**2
        phase = taps % STRIDE
        together = (phase[:, None] == phase).all(-1).astype(np.float64)
    found: npt.NDArray[np.float64] = (
        _ALIKE * together * np.exp(-distance / (2 * _REACH**2))
    )
    np.fill_diagonal(found, 1.0)
    return found
