"""What is compared: weights, and what costs nothing but is told the best threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from blockseg.core.geometry import Roi
from blockseg.core.specs import AUTO, BackendSpec
from blockseg.inference.backends.table import backend_row, make_backend
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.inference.reference import reference_inference
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes
from blockseg.networks.weights import load_weights
from blockseg.normalization.background import estimate_background
from blockseg.normalization.background_field import affine_of_volume, estimate_field

if TYPE_CHECKING:
    from blockseg.core.specs import Affine, AffineField
    from blockseg.inference.backends.protocol import Backend
    from blockseg.networks.base import Network
    from blockseg.networks.weights_info import WeightsInfo

Response = Callable[[NDArray[np.generic]], NDArray[np.float32]]

FIXED_SDS = 4.0
"""SDs of its own background from which a top-hat's response is a neurite, in all volumes."""


@dataclass(frozen=True)
class Method:
    """One row of the table."""

    name: str
    response: Response
    """High on neurites."""
    threshold: float | None
    """From which response on a voxel is a neurite; None: the best for each set, told by the truth."""
    at_gain: Callable[[float], Response] | None = None
    """The same at a multiple of its gain; None: it has none."""


def normalised(image: NDArray[np.generic], info: WeightsInfo) -> Affine | AffineField:
    """Return the normalisation of a whole volume, as ``blockseg run`` finds it."""
    sample = sample_planes(MemoryVolume(image))
    background = estimate_background(sample.patches, image.dtype)
    z, y, x = image.shape
    field = estimate_field(sample.patches, sample.rois, (z, y, x), image.dtype)
    return affine_of_volume(AUTO, background, field, info.gain, info.clip)


def probability(
    network: Network, image: NDArray[np.generic], info: WeightsInfo
) -> NDArray[np.float32]:
    """Return the probability of each voxel in one pass of the network in torch."""
    by = normalised(image, info)
    found: NDArray[np.float32] = reference_inference(image, network, by, "float32")
    return found


@cache
def _backend(path: str, threads: int) -> Backend:
    core = (128, 128, 128)
    return make_backend(BackendSpec("llvm", path, core, threads=threads))


def weights(
    path: str,
    name: str | None = None,
    gain: float = 1.0,
    threshold: float = 0.5,
    threads: int = 2,
) -> Method:
    """Return a network, else at the default threshold of ``blockseg run``.

    SDASN goes through the kernels of ``--backend llvm`` where they are installed, else in
    one pass through torch: the answers differ by rounding.
    """
    network, info = load_weights(path)
    row = backend_row("llvm")
    quick = row.installed and row.serves(info.architecture)

    def at_gain(factor: float) -> Response:
        scaled = replace(info, gain=info.gain * gain * factor)

        def response(image: NDArray[np.generic]) -> NDArray[np.float32]:
            if not quick:
                return probability(network, image, scaled)
            whole = Roi.whole(image.shape)
            block = BlockInput(image, whole, whole, whole.shape)
            backend = _backend(str(Path(path).resolve()), threads)
            engine = Engine(backend, normalised(image, scaled))
            found: NDArray[np.float32] = engine.probability(block)
            return found

        return response

    return Method(name or info.name, at_gain(1.0), threshold, at_gain)


def top_hat(size: int, sigma: float) -> Method:
    """Return a white top-hat after a Gaussian."""

    def response(image: NDArray[np.generic]) -> NDArray[np.float32]:
        smooth = image.astype(np.float32)
        if sigma:
            smooth = ndimage.gaussian_filter(smooth, sigma)
        hat: NDArray[np.float32] = ndimage.white_tophat(smooth, size=(size,) * 3)
        return hat

    return Method(f"top-hat {size}³, Gaussian {sigma:g}", response, None)


def fixed(method: Method, sds: float = FIXED_SDS) -> Method:
    """Return a filter with one rule for all volumes instead of a threshold told by truth.

    A voxel is a neurite from b + ``sds``·s of the response on, where b and s are the
    median of the volume's responses and 1.4826 times their median absolute deviation; s
    is at least half a grey level, for where most of a volume is one value.
    """

    def response(image: NDArray[np.generic]) -> NDArray[np.float32]:
        found = method.response(image)
        level = np.median(found)
        sd = max(1.4826 * float(np.median(np.abs(found - level))), 0.5)
        return ((found - level) / sd).astype(np.float32)

    return Method(f"{method.name}, b + {sds:g} s", response, sds)


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
    by_rule = [fixed(hat) for hat in hats]
    return [*hats, *by_rule, difference_of_gaussians(), otsu(), intensity()]
