"""Reference inference in one pass over a volume: every block must agree with it."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.nn import functional

from blockseg.core.geometry import ceil_to
from blockseg.networks.convolution import convolution_for
from blockseg.networks.layers import Convolution
from blockseg.normalization.affine import normalize

if TYPE_CHECKING:
    import numpy.typing as npt

    from blockseg.core.specs import Affine, AffineField
    from blockseg.networks.base import Network


def reference_inference(
    raw: npt.NDArray[Any],
    network: Network,
    affine: Affine | AffineField,
    precision: Literal["float32", "float64"] = "float64",
) -> npt.NDArray[Any]:
    """Return the probability of a volume by the padded network, in one pass.

    This defines what exact means. The normalised volume is padded at its far ends
    to multiples of the network's alignment with zeros. Norms are not folded.

    Parameters
    ----------
    raw
        Grey levels ``(z, y, x)`` of the whole volume; it must fit into memory many
        times over (SDASN takes about 400 bytes a voxel in float64).
    network
        Left as it is.
    affine
        Normalisation.
    precision
        Of the arithmetic and the result.
    """
    dtype = getattr(torch, precision)
    image = np.empty(raw.shape, precision)
    normalize(raw, affine, image)
    copy = deepcopy(network).to(dtype).eval()
    for layer in copy.modules():
        if isinstance(layer, Convolution):
            layer.convolve = convolution_for(torch.device("cpu"), dtype)
    ends = [ceil_to(n, network.alignment) - n for n in reversed(raw.shape)]
    with torch.inference_mode():
        padded = functional.pad(
            torch.from_numpy(image)[None, None], [n for end in ends for n in (0, end)]
        )
        z, y, x = raw.shape
        probability: npt.NDArray[Any] = copy(padded).sigmoid()[0, 0].numpy()
    return probability[:z, :y, :x]
