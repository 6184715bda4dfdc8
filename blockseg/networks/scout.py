"""Scout: a tiny network that tells which tiles may hold what the default weights find.

Convolutions of the image at half resolution, one behind the other, without padding: the
first takes every second voxel of its input, so that its output and all that follows have a
value for each cell of 4×4×4 voxels. The last has one channel, a logit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import WeightsError
from blockseg.networks.weights_info import open_weights

if TYPE_CHECKING:
    import numpy.typing as npt

SCOUT = "scout"
"""Architecture in the header of its weights file."""

CELL = 4
"""Voxels along an edge of what a logit stands for."""

SCOUT_STRIDE = 2
"""Averaged voxels from one output of the first convolution to the next."""

_FORMAT = "1"


@dataclass(frozen=True, slots=True, eq=False)
class ScoutWeights:
    """Parameters of a scout."""

    layers: tuple[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]], ...]
    """Weights (out, in, z, y, x) and biases (out) of each convolution; a ReLU lies
    between any two."""

    zero: float
    """Logit up to which the score is 0."""

    sha256: str
    """SHA-256 of the file."""


def default_scout() -> Path:
    """Return the path of the scout that ships with blockseg.

    Raises
    ------
    WeightsError
        If this installation has none.
    """
    resource = files("blockseg.networks") / "weights" / "scout.safetensors"
    if not resource.is_file():
        message = (
            "this installation lacks the network that --sparse looks with; install "
            "blockseg again"
        )
        raise WeightsError(message)
    with as_file(resource) as path:
        return path


def load_scout(path: str | Path) -> ScoutWeights:
    """Return the parameters in a weights file of a scout.

    Raises
    ------
    WeightsError
        If there is no such file, it is damaged, or it holds another network.
    """
    with open_weights(path, "numpy") as file:
        header = file.metadata() or {}
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if (header.get("architecture"), header.get("format_version")) != (SCOUT, _FORMAT):
        message = f"{path} does not hold a {SCOUT} of format {_FORMAT}"
        raise WeightsError(message)
    try:
        layers = tuple(
            (arrays[f"{n}.weight"], arrays[f"{n}.bias"])
            for n in range(len(arrays) // 2)
        )
        zero = float(header["zero"])
    except (KeyError, ValueError) as error:
        message = f"{path} is damaged: {error} is missing or no number"
        raise WeightsError(message) from error
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return ScoutWeights(layers, zero, digest)


def save_scout(
    path: str | Path,
    layers: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    zero: float,
    header: dict[str, str],
) -> None:
    """Write a scout's weights file.

    Parameters
    ----------
    path
        File to write.
    layers
        As in :class:`ScoutWeights`.
    zero
        Logit up to which the score is 0.
    header
        What else to state: name, data, licence.
    """
    from safetensors.numpy import save_file

    arrays = {}
    for number, (weight, bias) in enumerate(layers):
        arrays[f"{number}.weight"] = np.ascontiguousarray(weight, np.float32)
        arrays[f"{number}.bias"] = np.ascontiguousarray(bias, np.float32)
    stated = {"architecture": SCOUT, "format_version": _FORMAT, "zero": repr(zero)}
    save_file(arrays, str(path), metadata=header | stated)
