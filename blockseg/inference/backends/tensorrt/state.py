"""Usability of an engine on disk here, and the reason where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch

from blockseg.core.errors import BackendError, BlocksegError, DeviceMemoryError
from blockseg.core.specs import Affine, BackendSpec
from blockseg.inference.backends.device.protocol import RawWindow
from blockseg.inference.backends.onnx.versions import GRAPH_VERSION
from blockseg.inference.backends.protocol import window_shape
from blockseg.inference.backends.tensorrt.backend import run_once
from blockseg.inference.backends.torch import TorchBackend
from blockseg.inference.parity import TOLERANCES, agreement
from blockseg.networks.weights_info import load_info, sha256
from blockseg.normalization.affine import normalize

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.tensorrt.cache import Entry
    from blockseg.inference.backends.tensorrt.file import EngineKey
    from blockseg.inference.backends.tensorrt.library import Card, EngineLibrary

State: TypeAlias = Literal["valid", "elsewhere", "stale", "damaged", "wrong"]
"""``elsewhere``: sound, but for another card or a library that is not here; ``wrong``:
the library refuses it, or it gives other bytes than the network."""


def state_of(
    entry: Entry, find: Callable[[str], EngineLibrary], card: Card | None
) -> tuple[State, str]:
    """Return whether an engine would be loaded here, and if not why; loads nothing.

    Parameters
    ----------
    entry
        Of the cache.
    find
        Returns a library by its name, or raises BackendError.
    card
        This machine's; None if it has none.
    """
    if entry.header is None:
        return "damaged", entry.problem
    key = entry.header.key
    if key.graph != GRAPH_VERSION:
        return "stale", f"of graph {key.graph}; this blockseg writes {GRAPH_VERSION}"
    if entry.path.name != key.filename:
        return "stale", f"renamed; it was {key.filename}"
    try:
        version = find(key.library).version
    except BackendError as error:
        return "elsewhere", str(error)
    if version != key.version:
        return "stale", f"built by {key.library} {key.version}; {version} is installed"
    if card is None:
        return "elsewhere", f"for {key.target}; there is no card here"
    if key.target != card.architecture:
        return "elsewhere", f"for {key.target}; the card here is {card.architecture}"
    if key.card not in ("", card.model):
        return "elsewhere", f"for {key.card}; the card here is {card.model}"
    return "valid", ""


def parity_problem(
    engine: bytes,
    key: EngineKey,
    weights: str,
    library: EngineLibrary,
    device: torch.device | None = None,
) -> str:
    """Load an engine, run it on a synthetic window and compare it with torch float32.

    Parameters
    ----------
    engine
        Serialised.
    key
        Its own.
    weights
        File that it should be of.
    library
        Loads it.
    device
        Where the library runs; the process's CUDA device if None.

    Returns
    -------
    str
        What is wrong, in one line; empty if nothing is.
    """
    if sha256(weights) != key.weights:
        return f"not compared: it is of other weights than {weights}"
    device = torch.device("cuda") if device is None else device
    info = load_info(weights)
    affine = Affine(1000.0, 100.0 / info.gain, *info.clip)
    window = _synthetic(window_shape(key.core, info.field.reach), edge=key.edge)
    spec = BackendSpec("torch", weights, key.core, device=device.type)
    try:
        found = run_once(engine, key, window, affine, library, device)
        reference = TorchBackend(spec)
        expected = reference.infer(_normalised(window, affine), window.inside)
        reference.close()
    except DeviceMemoryError as error:
        return f"not compared: {error}"
    except BlocksegError as error:
        return str(error)
    return agreement(found, expected, 128).problem(TOLERANCES[key.precision])


def _synthetic(shape: Zyx, *, edge: bool) -> RawWindow:
    """Return noise with a bright diagonal; at an edge its first quarter is no volume."""
    generator = np.random.default_rng(0)
    voxels = generator.normal(1000, 100, shape).astype(np.uint16)
    steps = np.arange(min(shape))
    for offset in range(3):
        voxels[steps, steps, np.minimum(steps + offset, shape[2] - 1)] += 600
    if not edge:
        return RawWindow(voxels, (0, 0, 0), None)
    # The volume starts at a multiple of every network's alignment.
    start = shape[0] // 4 // 8 * 8
    z, y, x = (np.ones(n, np.float32) for n in shape)
    z[:start] = 0
    return RawWindow(voxels[start:], (start, 0, 0), (z, y, x))


def _normalised(window: RawWindow, affine: Affine) -> npt.NDArray[np.float32]:
    z = window.start[0]
    depth, height, width = window.voxels.shape
    tile = np.zeros((z + depth, height, width), np.float32)
    normalize(window.voxels, affine, tile[z:])
    return tile
