"""The network that a training starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from blockseg.core.errors import ConfigError
from blockseg.networks.registry import build
from blockseg.networks.weights import load_weights

if TYPE_CHECKING:
    from blockseg.networks.base import Network
    from blockseg.networks.weights_info import WeightsInfo

_RARE = -3.0
"""First logit of everything: neurites are rare."""

_LAST_BIASES = ("head02.bias", "mixes.3.bias", "head.bias")


def first_network(
    architecture: str | None, width: int | None, init: str | None, seed: int
) -> tuple[Network, WeightsInfo | None]:
    """Return the network to train, and the header of the weights that it has.

    Parameters
    ----------
    architecture, width
        Those of ``init``, or ``sdasn`` at its published width, if not given.
    init
        Weights file to go on from; random weights if not given.
    seed
        Of random weights.

    Raises
    ------
    ConfigError
        If there is no such network, or ``init`` is another.
    WeightsError
        If ``init`` cannot be read.
    """
    if init is None:
        torch.manual_seed(seed)
        network = build(architecture or "sdasn", width)
        _expect_background(network)
        return network, None
    network, info = load_weights(init)
    for name, asked, found in (
        ("network", architecture, info.architecture),
        ("width", width, info.width),
    ):
        if asked not in (None, found):
            message = (
                f"--{name} {asked}: {init} is of {name} {found}; leave --{name} out"
            )
            raise ConfigError(message)
    return network, info


@torch.no_grad()
def _expect_background(network: Network) -> None:
    state = network.state_dict()
    for name in _LAST_BIASES:
        if name in state:
            bias = state[name]
            # Of two classes the second is the neurite's.
            spread = [_RARE] if bias.numel() == 1 else [-_RARE / 2, _RARE / 2]
            bias.copy_(torch.tensor(spread))
