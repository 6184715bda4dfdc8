"""SDASN's parameters as arrays, its norms folded; free of torch."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from blockseg.core.errors import WeightsError
from blockseg.networks.receptive_field import KERNEL
from blockseg.networks.weights_info import (
    open_weights,
    parse_header,
    refuse_other_tensors,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

Arrays: TypeAlias = "Mapping[str, npt.NDArray[Any]]"
"""Parameters by their names in a weights file."""

_EPSILON = 1e-5
"""Epsilon of torch's batch norm, where nothing else is said."""

_NORM = ("norm.weight", "norm.bias", "norm.running_mean", "norm.running_var")


def sdasn_shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter of SDASN, by its name in a weights file."""
    c0, c1, c2 = width, 2 * (width - 1), 4 * (width - 1)
    nodes = {
        "x00": (1, c0, c0),
        "x10": (c0, c0, c1, c1),
        "x20": (c1, c1, c2, c2),
        "x11": (2 * c1, c1, c1),
        "x02": (3 * c0, c0, c0),
    }
    ups = {"up11": (c2, c1), "up01": (c1, c0), "up02": (c1, c0)}
    cube = (KERNEL,) * 3
    shapes: dict[str, tuple[int, ...]] = {}
    for node, channels in nodes.items():
        for place, (a, b) in enumerate(pairwise(channels)):
            shapes |= _layer(f"{node}.{place}", (b, a, *cube), b)
    for up, (a, b) in ups.items():
        shapes |= _layer(up, (a, b, *cube), b)
    for head, channels_in in {"head00": c0, "head01": 2 * c0, "head02": c0}.items():
        shapes |= {f"{head}.weight": (1, channels_in, 1, 1, 1), f"{head}.bias": (1,)}
    return shapes


def load_arrays(path: str | Path) -> Arrays:
    """Return the parameters in a weights file of SDASN.

    Raises
    ------
    WeightsError
        If there is no such file, it is damaged, or it holds another network.
    """
    with open_weights(path, "numpy") as file:
        info = parse_header(path, file.metadata() or {})
        try:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except TypeError:
            arrays = None
    # Some packages teach NumPy bfloat16 and the like; that must not make a difference.
    if arrays is None or any(array.dtype.kind not in "fi" for array in arrays.values()):
        message = f"{path} holds numbers of a type that NumPy lacks; save as float32"
        raise WeightsError(message)
    if info.architecture != "sdasn":
        message = f"{path} holds weights of {info.architecture}, not of sdasn"
        raise WeightsError(message)
    refuse_other_tensors(path, sdasn_shapes(info.width), arrays)
    return arrays


def folded_arrays(arrays: Arrays) -> dict[str, npt.NDArray[np.float32]]:
    """Return weights and biases of convolutions that need no norm behind them.

    The formula is that of :func:`blockseg.networks.folding.folded`, computed in float64.

    Parameters
    ----------
    arrays
        All parameters of SDASN.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # told by what comes of it
        return _folded(arrays)


def _folded(arrays: Arrays) -> dict[str, npt.NDArray[np.float32]]:
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    found = {k: v for k, v in wide.items() if k.startswith("head")}
    for name in [k.removesuffix("conv.weight") for k in wide if "conv.weight" in k]:
        scale, shift, mean, variance = (wide[name + part] for part in _NORM)
        gain = scale / np.sqrt(variance + _EPSILON)
        # A transposed convolution stores its weights (in, out, z, y, x).
        axes = (1, -1, 1, 1, 1) if name.startswith("up") else (-1, 1, 1, 1, 1)
        found[name + "weight"] = wide[name + "conv.weight"] * gain.reshape(axes)
        found[name + "bias"] = (wide[name + "conv.bias"] - mean) * gain + shift
    return {name: array.astype(np.float32) for name, array in found.items()}


def _layer(
    name: str, weight: tuple[int, ...], channels: int
) -> dict[str, tuple[int, ...]]:
    shapes = {f"{name}.conv.weight": weight, f"{name}.conv.bias": (channels,)}
    shapes |= {f"{name}.{part}": (channels,) for part in _NORM}
    return shapes | {f"{name}.norm.num_batches_tracked": ()}
