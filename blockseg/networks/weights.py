"""Networks as files: safetensors with a small header that says what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save

from blockseg.core.atomic_files import replaced
from blockseg.core.errors import WeightsError
from blockseg.core.text import first_line
from blockseg.networks.registry import build
from blockseg.networks.weights_info import (
    FORMAT_VERSION,
    open_weights,
    parse_header,
    refuse_other_shapes,
    refuse_other_tensors,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from blockseg.networks.base import Network
    from blockseg.networks.weights_info import WeightsInfo


def save_weights(path: str | Path, network: Network, info: WeightsInfo) -> None:
    """Write a network as a safetensors file, all or nothing.

    Equal networks and headers give equal bytes.

    Raises
    ------
    WeightsError
        If ``info`` is of another network or width, or the file cannot be written.
    """
    if info.architecture != network.architecture:
        message = (
            f"weights of {network.architecture} are described as {info.architecture}"
        )
        raise WeightsError(message)
    if info.width != network.width:
        message = f"weights of width {network.width} are described as {info.width}"
        raise WeightsError(message)
    header = {
        "architecture": info.architecture,
        "clip": ",".join(repr(end) for end in info.clip),
        "format_version": FORMAT_VERSION,
        "gain": repr(info.gain),
        "licence": info.licence,
        "name": info.name,
        "training_data": info.training_data,
        "width": str(info.width),
    }
    if info.trained is not None:
        header["trained"] = info.trained.to_text()
    tensors = {
        k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()
    }
    target = Path(path)
    try:
        with replaced(target, shared=True) as part:
            part.write_bytes(_in_order(save(tensors, header)))
    except OSError as error:
        message = f"weights cannot be written to {target}: {first_line(error)}"
        raise WeightsError(message) from error


def load_weights(path: str | Path) -> tuple[Network, WeightsInfo]:
    """Return the network in a safetensors file, in evaluation mode, and its header.

    Raises
    ------
    WeightsError
        If there is no such file, it is no safetensors file or a damaged one, it
        holds another network, or tensors are missing, extra or of another shape.
    """
    with open_weights(path, "pt") as file:
        info = parse_header(path, file.metadata() or {})
        names = list(file.keys())
        # Before a network of the width that it states takes any memory.
        with torch.device("meta"):
            planned = build(info.architecture, info.width).state_dict()
        refuse_other_shapes(
            path,
            {name: tuple(own.shape) for name, own in planned.items()},
            {name: tuple(file.get_slice(name).get_shape()) for name in names},
        )
        tensors = {name: file.get_tensor(name) for name in names}
    return filled(path, build(info.architecture, info.width), tensors), info


def _in_order(serialised: bytes) -> bytes:
    # safetensors writes its header in random order, and runs compare SHA-256.
    size = int.from_bytes(serialised[:8], "little")
    header = json.loads(serialised[8 : 8 + size])
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return serialised[:8] + text.encode().ljust(size) + serialised[8 + size :]


def filled(
    path: str | Path, network: Network, tensors: Mapping[str, Tensor]
) -> Network:
    """Give a network these tensors; raise WeightsError if they do not fit."""
    shapes = {name: tuple(own.shape) for name, own in network.state_dict().items()}
    for name, tensor in tensors.items():
        whole = tensor.layout == torch.strided and tensor.device.type == "cpu"
        counter = name.endswith("num_batches_tracked")
        if (
            not whole
            or tensor.is_quantized
            or not (counter or tensor.is_floating_point())
        ):
            kind = f"{tensor.dtype}, {tensor.layout}, on {tensor.device}"
            message = f"{path} holds no plain numbers in {name:.80} ({kind})"
            raise WeightsError(message)
    arrays = {name: tensor.float().numpy() for name, tensor in tensors.items()}
    refuse_other_tensors(path, shapes, arrays)
    network.load_state_dict(dict(tensors))
    return network.eval()
