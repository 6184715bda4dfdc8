"""Any network as OpenVINO graphs, by tracing its own code in torch."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from blockseg.inference.backends.protocol import window_shape
from blockseg.networks.bfloat16 import rounded_weights
from blockseg.networks.folding import folded
from blockseg.networks.receptive_field import FIELDS

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.networks.base import Network


def traced_graph(
    openvino: Any,
    network: Network,
    core: Zyx,
    *,
    edge: bool,
    bfloat16: bool = False,
) -> Any:
    """Return the cropped form of a network, behind it the sigmoid.

    Parameters
    ----------
    openvino
        The module.
    network
        Left as it is.
    core
        Voxels along (z, y, x) to compute.
    edge
        For windows that reach beyond the volume: three more inputs, ``(1, n)`` along
        z, y, x: 1 inside the volume, 0 beyond.
    bfloat16
        Rounds the weights to numbers that bfloat16 holds.
    """
    field = FIELDS[network.architecture]
    model = folded(network.float())
    if bfloat16:
        model = _rounded(model)
    # Traced on the smallest window there is, then set to the shape of this run.
    step, inputs = field.alignment, 4 if edge else 1
    smallest = _shapes((step, step, step), field.reach)[:inputs]
    example = tuple(torch.zeros(shape) for shape in smallest)
    shapes = _shapes(core, field.reach)[:inputs]
    with warnings.catch_warnings(), torch.inference_mode():
        # The tracer warns of sizes that it takes as constants; they are.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            _Probability(model), example, check_trace=False
        )
        return openvino.convert_model(traced, example_input=example, input=shapes)


def _rounded(network: Network) -> Network:
    """Return a copy whose kernels are made of numbers that bfloat16 holds."""
    copy = deepcopy(network)
    for layer in copy.modules():
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
            transposed = isinstance(layer, nn.ConvTranspose3d)
            found = rounded_weights(
                layer.weight.detach().numpy(), transposed=transposed
            )
            layer.weight.data = torch.from_numpy(found)
    return copy


def _shapes(core: Zyx, reach: int) -> list[tuple[int, ...]]:
    window = window_shape(core, reach)
    return [(1, 1, *window), *((1, n) for n in window)]


class _Probability(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, tile: Tensor, *inside: Tensor) -> Tensor:
        masks = None
        if inside:
            z, y, x = inside
            masks = (z, y, x)
        return self.network.core_logits(tile, masks).sigmoid()
