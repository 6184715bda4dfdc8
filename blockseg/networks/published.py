"""Import of the published checkpoints of SDASN, pickles, without running them."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from blockseg.core.errors import WeightsError
from blockseg.core.text import first_line
from blockseg.core.untrusted.files import CHECKPOINT_BYTES, opened
from blockseg.networks.sdasn import SDASN
from blockseg.networks.weights import filled, save_weights
from blockseg.networks.weights_info import WeightsInfo, refuse_other_keys

PUBLISHED_GAIN = 15 / 500
"""One SD of the background as the published weights see it: 15 of 500 grey levels."""

PUBLISHED_WIDTH = 8


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
    names = published_names()
    refuse_other_keys(checkpoint, set(names), set(bare))
    network = filled(
        checkpoint, SDASN(PUBLISHED_WIDTH), {names[key]: bare[key] for key in names}
    )
    info = WeightsInfo(
        name=Path(checkpoint).stem,
        gain=PUBLISHED_GAIN,
        training_data="published checkpoint; its training data are not stated",
        licence=licence,
    )
    save_weights(out, network, info)
    return info


def published_names() -> dict[str, str]:
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
    try:
        with warnings.catch_warnings(), opened(path, CHECKPOINT_BYTES) as file:
            # torch wonders about the pickle's protocol; what it refuses, it raises.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        message = f"there is no checkpoint {path}"
        raise WeightsError(message) from error
    except OSError as error:
        message = f"checkpoint {path} cannot be read: {error.strerror or error}"
        raise WeightsError(message) from error
    except pickle.UnpicklingError as error:
        message = (
            f"{path} is refused: it is no checkpoint, or holds more than tensors, and "
            "reading it could run code"
        )
        raise WeightsError(message) from error
    except Exception as error:  # torch lets any error of a damaged file through
        message = f"{path} is damaged or no checkpoint: {first_line(error)}"
        raise WeightsError(message) from error
