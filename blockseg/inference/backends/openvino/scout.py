"""Scout on OpenVINO: a chain of convolutions for one shape of window. Extra ``cpu``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.inference.backends.openvino.backend import (
    import_openvino,
    openvino_core,
)
from blockseg.networks.scout import SCOUT_STRIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.networks.scout import ScoutWeights


def openvino_scout(
    weights: ScoutWeights, edge: int, threads: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function that computes the logits of a cubic window; for one thread at a time.

    Parameters
    ----------
    weights
        Of the scout.
    edge
        Averaged voxels of the window's input along each axis.
    threads
        That work on a window.

    Raises
    ------
    MissingExtraError
        If OpenVINO is not installed.
    """
    openvino = import_openvino()
    ops = openvino.opset13
    window = ops.parameter([1, 1, edge, edge, edge], np.float32)
    node, none, ones = window, [0] * 3, [1] * 3
    for number, (weight, bias) in enumerate(weights.layers):
        strides = ones if number else [SCOUT_STRIDE] * 3
        if number:
            node = ops.relu(node)
        constant = ops.constant(np.ascontiguousarray(weight))
        node = ops.convolution(node, constant, strides, none, none, ones)
        node = ops.add(node, ops.constant(bias.reshape(1, -1, 1, 1, 1)))
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    model = openvino.Model([node], [window])
    request: Any = (
        openvino_core().compile_model(model, "CPU", settings).create_infer_request()
    )

    def logits(values: NDArray[np.float32]) -> NDArray[np.float32]:
        request.infer([values[None, None]], share_inputs=True)
        found: NDArray[np.float32] = request.get_output_tensor(0).data[0, 0]
        return found

    return logits
