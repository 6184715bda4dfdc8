"""Trace of a network, call by call, written down by torch.fx.

The cropped form is traced, which calls no kernel. So a network is written down once, in its
own file, and a new one of the same layers can be exported without a line for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from blockseg.networks.layers import Convolution, Up

if TYPE_CHECKING:
    from blockseg.networks.base import Network

_ACTIVATIONS = (functional.leaky_relu_, torch.relu_, functional.max_pool3d)

_LEAVES = (Convolution, Up, nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.Identity)


def traced(network: Network, *, edge: bool) -> fx.GraphModule:
    """Return the calls of a network's cropped form, with masks or without."""
    form: nn.Module = _Edge(network) if edge else _Interior(network)
    return fx.GraphModule(form, _Tracer().trace(form))


def behind_activations(graph: fx.GraphModule) -> frozenset[fx.Node]:
    """Return the calls whose result reaches the output through no activation.

    They are the heads, and in VoxResNet the end of the coarsest level.
    """
    found: set[fx.Node] = set()
    modules = dict(graph.named_modules())
    for node in reversed(graph.graph.nodes):
        activates = node.target in _ACTIVATIONS or (
            node.op == "call_module" and isinstance(modules[node.target], Up)
        )
        if node.op == "output" or (not activates and found.issuperset(node.users)):
            found.add(node)
    return frozenset(found)


class _Interior(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, tile: Tensor) -> Tensor:
        return self.network.core_logits(tile)


class _Edge(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, tile: Tensor, z: Tensor, y: Tensor, x: Tensor) -> Tensor:
        return self.network.core_logits(tile, (z, y, x))


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        del module_qualified_name
        return isinstance(m, _LEAVES)
