"""Header of a weights file in safetensors; free of torch."""

from __future__ import annotations

import hashlib
import math
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from blockseg.core.errors import WeightsError
from blockseg.core.text import first_line
from blockseg.core.untrusted.files import CHECKPOINT_BYTES, opened
from blockseg.core.untrusted.json_text import shortened
from blockseg.networks.receptive_field import FIELDS, Field
from blockseg.networks.trained import Trained

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

FORMAT_VERSION = "1"
_HEADER_BYTES = 2**20  # names and places of tensors; ours take ten thousand


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """Header of a weights file."""

    name: str
    """Short name, for logs and ``run.json``."""

    gain: float
    """Input of the network for one SD of the background noise; above 0.

    With background level b and noise SD s the network's input is
    ``(I - b) / s * gain``.
    """

    training_data: str = "not stated"
    """Data that the network was trained on."""

    licence: str = "not stated"
    """SPDX identifier where there is one."""

    width: int = 8
    """Channels at full resolution."""

    clip: tuple[float, float] = (-1e6, 1e6)
    """Least and greatest input that the network was trained on."""

    architecture: str = "sdasn"
    """Name of the network; a key of :data:`~blockseg.networks.receptive_field.FIELDS`."""

    trained: Trained | None = None
    """Ranges of images that it was trained on; None if the file does not say."""

    @property
    def field(self) -> Field:
        """Field that a window of this network needs around its core."""
        return FIELDS[self.architecture]

    def __post_init__(self) -> None:
        if self.architecture not in FIELDS:
            message = (
                f"weights {self.name!r} are of no known network: {self.architecture!r}"
            )
            raise WeightsError(message)
        if not self.clip[0] < 0 < self.clip[1]:
            message = f"weights {self.name!r} state clip {self.clip}; 0 must lie inside"
            raise WeightsError(message)
        if not (math.isfinite(self.gain) and self.gain > 0):
            message = (
                f"weights {self.name!r} state gain {self.gain}; it must be above 0"
            )
            raise WeightsError(message)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises
    ------
    WeightsError
        If the file cannot be read.
    """
    try:
        with opened(path, CHECKPOINT_BYTES) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"weights {path} cannot be read: {error.strerror or error}"
        raise WeightsError(message) from error


def load_info(path: str | Path) -> WeightsInfo:
    """Return the header of a weights file.

    Raises
    ------
    WeightsError
        If there is no such file, it is damaged or no safetensors file, or it holds
        another network.
    """
    with open_weights(path, "numpy") as file:
        return parse_header(path, file.metadata() or {})


@contextmanager
def open_weights(path: str | Path, framework: str) -> Iterator[Any]:
    """Open a safetensors file; turn whatever is wrong with it into WeightsError."""
    try:
        with opened(path, CHECKPOINT_BYTES) as start:
            size = int.from_bytes(start.read(8), "little")
    except FileNotFoundError as error:
        message = f"there is no weights file {path}"
        raise WeightsError(message) from error
    except OSError as error:
        message = f"weights {path} cannot be read: {error.strerror or error}"
        raise WeightsError(message) from error
    if size > _HEADER_BYTES:
        message = (
            f"{path} is damaged or no safetensors file: its header would take {size} "
            "bytes; import published checkpoints with: blockseg weights import"
        )
        raise WeightsError(message)
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except (OSError, SafetensorError) as error:
        message = (
            f"{path} is damaged or no safetensors file ({first_line(error)}); "
            "import published checkpoints with: blockseg weights import"
        )
        raise WeightsError(message) from error


def parse_header(path: str | Path, header: Mapping[str, str]) -> WeightsInfo:
    """Return a safetensors header's content; raise WeightsError if it is not ours."""
    architecture = header.get("architecture", "")
    if architecture not in FIELDS:
        found = repr(architecture) if architecture else "no architecture in its header"
        known = " or ".join(FIELDS)
        message = f"{path} does not hold weights of {known}: it states {found}"
        raise WeightsError(message)
    if header.get("format_version") != FORMAT_VERSION:
        message = (
            f"{path} has weights format {header.get('format_version')}; "
            f"this blockseg reads {FORMAT_VERSION}"
        )
        raise WeightsError(message)
    try:
        width, gain = int(header["width"]), float(header["gain"])
        low, high = (float(end) for end in header.get("clip", "-1e6,1e6").split(","))
        said = header.get("trained")
        trained = None if said is None else Trained.from_text(said)
    except (KeyError, TypeError, ValueError) as error:
        message = f"{path} has a damaged header: {shortened(error)}"
        raise WeightsError(message) from error
    if not 2 <= width <= 256:
        message = f"{path} states width {width}, which no {architecture} has"
        raise WeightsError(message)
    return WeightsInfo(
        name=header.get("name", Path(path).stem),
        gain=gain,
        training_data=header.get("training_data", "not stated"),
        licence=header.get("licence", "not stated"),
        width=width,
        clip=(low, high),
        architecture=architecture,
        trained=trained,
    )


def refuse_other_tensors(
    path: str | Path,
    shapes: Mapping[str, tuple[int, ...]],
    found: Mapping[str, npt.NDArray[Any]],
) -> None:
    """Raise WeightsError unless a file holds the parameters of a network, all finite."""
    refuse_other_shapes(
        path, shapes, {name: array.shape for name, array in found.items()}
    )
    for name, array in found.items():
        if not np.isfinite(array).all():
            message = f"{path} holds NaN or infinity in {name}"
            raise WeightsError(message)


def refuse_other_shapes(
    path: str | Path,
    shapes: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise WeightsError unless tensors have the names and shapes of a network's."""
    refuse_other_keys(path, set(shapes), set(found))
    for name, shape in found.items():
        if shape != shapes[name]:
            message = (
                f"{path} is of another network: {name} has shape {shape}, "
                f"not {shapes[name]}"
            )
            raise WeightsError(message)


def refuse_other_keys(path: str | Path, expected: set[str], found: set[str]) -> None:
    """Raise WeightsError unless a file's tensors have the names of the network's."""
    if missing := sorted(expected - found):
        message = f"{path} is of another network: it lacks {_some(missing)}"
        raise WeightsError(message)
    if extra := sorted(found - expected):
        message = f"{path} is of another network: it also holds {_some(extra)}"
        raise WeightsError(message)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]:.80}{more}"
