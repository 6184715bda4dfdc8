"""Weights of SDASN on disk: safetensors with a small header that says what they are."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from blockseg.core.errors import WeightsError
from blockseg.model.sdasn import SDASN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = [
    "PUBLISHED_GAIN",
    "WeightsInfo",
    "default_weights",
    "import_published",
    "load_weights",
    "save_weights",
    "sha256",
]

ARCHITECTURE = "sdasn"
FORMAT_VERSION = "1"
PUBLISHED_GAIN = 15 / 500
"""One SD of the background as the published weights see it: 15 of 500 grey levels."""


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
        message = f"weights cannot be written to {target}: {_one_line(error)}"
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
            f"{path} is damaged or no safetensors file ({_one_line(error)}); "
            "import published checkpoints with: blockseg weights import"
        )
        raise WeightsError(message) from error
    info = _parse_header(path, header)
    return _filled(path, info.width, tensors), info


def import_published(
    checkpoint: str | Path, out: str | Path, licence: str = "not stated"
) -> WeightsInfo:
    """Convert a published checkpoint to safetensors.

    Published checkpoints are pickles, which may hold code: this one is read by
    an unpickler that knows tensors only.

    Parameters
    ----------
    checkpoint
        File written by ``torch.save`` with the ``state_dict`` of a published SDASN.
    out
        File to write.
    licence
        Of the checkpoint; its file states none.

    Raises
    ------
    WeightsError
        If the checkpoint is missing, unsafe, or of another network.
    """
    content = _unpickle(checkpoint)
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor)
        for key, value in state.items()
    ):
        message = f"{checkpoint} holds no state_dict; it is no published checkpoint"
        raise WeightsError(message)
    bare = {key.removeprefix("module."): value for key, value in state.items()}
    names = _published_names()
    _refuse_other_keys(checkpoint, set(names), set(bare))
    network = _filled(checkpoint, 8, {names[key]: bare[key] for key in names})
    info = WeightsInfo(
        name=Path(checkpoint).stem,
        gain=PUBLISHED_GAIN,
        training_data="published checkpoint; its training data are not stated",
        licence=licence,
    )
    save_weights(out, network, info)
    return info


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
        message = f"{path} has a damaged header: {_one_line(error)}"
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


def _filled(path: str | Path, width: int, tensors: Mapping[str, Tensor]) -> SDASN:
    network = SDASN(width)
    own = network.state_dict()
    _refuse_other_keys(path, set(own), set(tensors))
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


def _refuse_other_keys(path: str | Path, wanted: set[str], found: set[str]) -> None:
    if missing := sorted(wanted - found):
        message = f"{path} is of another network: it lacks {_some(missing)}"
        raise WeightsError(message)
    if extra := sorted(found - wanted):
        message = f"{path} is of another network: it also holds {_some(extra)}"
        raise WeightsError(message)


def _published_names() -> dict[str, str]:
    """Map the published names of the tensors to ours."""
    nodes = (
        ("inc.conv", "x00", 2),
        ("x10.conv.1.conv", "x10", 3),
        ("x20.conv.1.conv", "x20", 3),
        ("x11.conv.conv", "x11", 2),
        ("x02.conv.conv", "x02", 2),
    )
    # A published sequence counts convolution, norm and activation: three a layer.
    layers = [
        (stem, 3 * i, f"{own}.{i}") for stem, own, count in nodes for i in range(count)
    ]
    layers += [(f"x{n}.conv_up.conv", 0, f"up{n}") for n in ("11", "01", "02")]
    names = {}
    for stem, place, own in layers:
        for part in ("weight", "bias"):
            names[f"{stem}.{place}.{part}"] = f"{own}.conv.{part}"
        for part in ("weight", "bias", "running_mean", "running_var"):
            names[f"{stem}.{place + 1}.{part}"] = f"{own}.norm.{part}"
        counter = "num_batches_tracked"
        names[f"{stem}.{place + 1}.{counter}"] = f"{own}.norm.{counter}"
    for place, head in enumerate(("head00", "head01", "head02"), start=1):
        for part in ("weight", "bias"):
            names[f"clc{place}.conv.{part}"] = f"{head}.{part}"
    return names


def _unpickle(path: str | Path) -> Any:
    if not Path(path).is_file():
        message = f"there is no checkpoint {path}"
        raise WeightsError(message)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = (
            f"{path} is refused: it is no checkpoint, or holds more than tensors, and "
            "reading it could run code"
        )
        raise WeightsError(message) from error
    except Exception as error:  # torch lets any error of a damaged file through
        message = f"{path} is damaged or no checkpoint: {_one_line(error)}"
        raise WeightsError(message) from error


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return names[0] + more


def _one_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines and lines[0] else type(error).__name__
