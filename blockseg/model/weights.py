"""Weights of SDASN on disk: safetensors with a small header that says what they are."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from blockseg.core.errors import WeightsError
from blockseg.model.sdasn import SDASN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = [
    "WeightsInfo",
    "default_weights",
    "load_weights",
    "save_weights",
    "sha256",
]

ARCHITECTURE = "sdasn"
FORMAT_VERSION = "1"


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """What a weights file says of itself."""

    name: str
    """Short name, for logs and ``run.json``."""

    gain: float
    """What the network sees as one SD of the background noise; above 0.

    With background level b and noise SD s the network's input is
    ``(I - b) / s * gain``.
    """

    training_data: str = "not stated"
    """What the network was trained on."""

    licence: str = "not stated"
    """SPDX identifier where there is one."""

    width: int = 8
    """Channels at full resolution."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gain) and self.gain > 0):
            message = (
                f"weights {self.name!r} state gain {self.gain}; it must be above 0"
            )
            raise WeightsError(message)


def default_weights() -> Path:
    """Return the path of the weights that ship with blockseg.

    Raises
    ------
    WeightsError
        If this installation has none.
    """
    resource = files("blockseg.model") / "weights" / "sdasn.safetensors"
    if not resource.is_file():
        message = "this installation has no default weights; name a file with --weights"
        raise WeightsError(message)
    with as_file(resource) as path:
        return path


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises
    ------
    WeightsError
        If the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"weights {path} cannot be read: {error.strerror or error}"
        raise WeightsError(message) from error


def save_weights(path: str | Path, network: SDASN, info: WeightsInfo) -> None:
    """Write a network as a safetensors file, all or nothing.

    Equal networks and headers give equal bytes.

    Raises
    ------
    WeightsError
        If ``info`` is of another width, or the file cannot be written.
    """
    if info.width != network.width:
        message = f"weights of width {network.width} are described as {info.width}"
        raise WeightsError(message)
    header = {
        "architecture": ARCHITECTURE,
        "format_version": FORMAT_VERSION,
        "gain": repr(info.gain),
        "licence": info.licence,
        "name": info.name,
        "training_data": info.training_data,
        "width": str(info.width),
    }
    tensors = {
        k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()
    }
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(_in_order(save(tensors, header)))
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        message = f"weights cannot be written to {target}: {one_line(error)}"
        raise WeightsError(message) from error


def load_weights(path: str | Path) -> tuple[SDASN, WeightsInfo]:
    """Return the network in a safetensors file, in evaluation mode, and its header.

    Raises
    ------
    WeightsError
        If there is no such file, it is no safetensors file or a damaged one, it
        holds another network, or tensors are missing, extra or of another shape.
    """
    if not Path(path).is_file():
        message = f"there is no weights file {path}"
        raise WeightsError(message)
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        message = (
            f"{path} is damaged or no safetensors file ({one_line(error)}); "
            "import published checkpoints with: blockseg weights import"
        )
        raise WeightsError(message) from error
    info = _parse_header(path, header)
    return filled(path, info.width, tensors), info


def _in_order(serialised: bytes) -> bytes:
    # safetensors writes its header in random order, and runs compare SHA-256.
    size = int.from_bytes(serialised[:8], "little")
    header = json.loads(serialised[8 : 8 + size])
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return serialised[:8] + text.encode().ljust(size) + serialised[8 + size :]


def _parse_header(path: str | Path, header: Mapping[str, str]) -> WeightsInfo:
    architecture = header.get("architecture", "")
    if architecture != ARCHITECTURE:
        found = repr(architecture) if architecture else "no architecture in its header"
        message = f"{path} does not hold weights of {ARCHITECTURE}: it states {found}"
        raise WeightsError(message)
    if header.get("format_version") != FORMAT_VERSION:
        message = (
            f"{path} has weights format {header.get('format_version')}; "
            f"this blockseg reads {FORMAT_VERSION}"
        )
        raise WeightsError(message)
    try:
        width, gain = int(header["width"]), float(header["gain"])
    except (KeyError, ValueError) as error:
        message = f"{path} has a damaged header: {one_line(error)}"
        raise WeightsError(message) from error
    if not 2 <= width <= 256:
        message = f"{path} states width {width}, which no {ARCHITECTURE} has"
        raise WeightsError(message)
    return WeightsInfo(
        name=header.get("name", Path(path).stem),
        gain=gain,
        training_data=header.get("training_data", "not stated"),
        licence=header.get("licence", "not stated"),
        width=width,
    )


def filled(path: str | Path, width: int, tensors: Mapping[str, Tensor]) -> SDASN:
    """Return a network with these tensors; raise WeightsError if they do not fit."""
    network = SDASN(width)
    own = network.state_dict()
    refuse_other_keys(path, set(own), set(tensors))
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            message = (
                f"{path} is of another network: {name} has shape {tuple(tensor.shape)}, "
                f"not {tuple(own[name].shape)}"
            )
            raise WeightsError(message)
        if not torch.isfinite(tensor).all():
            message = f"{path} holds NaN or infinity in {name}"
            raise WeightsError(message)
    network.load_state_dict(dict(tensors))
    return network.eval()


def refuse_other_keys(path: str | Path, wanted: set[str], found: set[str]) -> None:
    """Raise WeightsError unless a file's tensors have the names of the network's."""
    if missing := sorted(wanted - found):
        message = f"{path} is of another network: it lacks {_some(missing)}"
        raise WeightsError(message)
    if extra := sorted(found - wanted):
        message = f"{path} is of another network: it also holds {_some(extra)}"
        raise WeightsError(message)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return names[0] + more


def one_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    lines = str(error).splitlines()
    return lines[0] if lines and lines[0] else type(error).__name__
