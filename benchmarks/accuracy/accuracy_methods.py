"""What is compared: weights, and what costs nothing but is told the best threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from blockseg.core.specs import ROBUST
from blockseg.inference.reference import reference_inference
from blockseg.networks.weights import load_weights
from blockseg.normalization.affine import affine
from blockseg.normalization.background import estimate_background

if TYPE_CHECKING:
    from blockseg.networks.base import Network
    from blockseg.networks.weights_info import WeightsInfo

Response = Callable[[NDArray[np.generic]], NDArray[np.float32]]


@dataclass(frozen=True)
class Method:
    """One row of the table."""

    name: str
    response: Response
    """High on neurites."""
    threshold: float | None
    """From which response on a voxel is a neurite; None: the best for each set, told by the truth."""


def probability(
    network: Network, image: NDArray[np.generic], info: WeightsInfo
) -> NDArray[np.float32]:
    """Return the probability of each voxel, normalised robustly, in one pass."""
    background = estimate_background(image, image.dtype)
    by = affine(ROBUST, background, info.gain, info.clip)
    return reference_inference(image, network, by, "float32")


def weights(
    path: str, name: str | None = None, gain: float = 1.0, threshold: float = 0.5
) -> Method:
    """Return a network, else at the default threshold of ``blockseg run``."""
    network, info = load_weights(path)
    info = replace(info, gain=info.gain * gain)
    title = name or info.name
    return Method(title, lambda image: probability(network, image, info), threshold)


def top_hat(size: int, sigma: float) -> Method:
    """Return a white top-hat after a Gaussian."""

    def response(image: NDArray[np.generic]) -> NDArray[np.float32]:
        smooth = image.astype(np.float32)
        if sigma:
            smooth = ndimage.gaussian_filter(smooth, sigma)
        hat: NDArray[np.float32] = ndimage.white_tophat(smooth, size=(size,) * 3)
        return hat

    return Method(f"top-hat {size}³, Gaussian {sigma:g}", response, None)


def difference_of_gaussians(narrow: float = 0.8, wide: float = 2.5) -> Method:
    """Return a difference of Gaussians."""

    def response(image: NDArray[np.generic]) -> NDArray[np.float32]:
        grey = image.astype(np.float32)
        difference: NDArray[np.float32] = ndimage.gaussian_filter(
            grey, narrow
        ) - ndimage.gaussian_filter(grey, wide)
        return difference

    return Method(f"difference of Gaussians {narrow:g}, {wide:g}", response, None)


def otsu() -> Method:
    """Return Otsu's own threshold on grey levels: at least 0 is a neurite."""

    def response(image: NDArray[np.generic]) -> NDArray[np.float32]:
        level = float(threshold_otsu(image))  # type: ignore[no-untyped-call]
        return (image.astype(np.float32) - level).astype(np.float32)

    return Method("Otsu", response, 0.0)


def intensity() -> Method:
    """Return the grey level itself."""
    return Method("grey level", lambda image: image.astype(np.float32), None)


def classical() -> list[Method]:
    """Return everything that needs no training."""
    hats = [top_hat(size, sigma) for size in (3, 5, 7) for sigma in (0.0, 0.5, 1.0)]
    return [*hats, difference_of_gaussians(), otsu(), intensity()]
