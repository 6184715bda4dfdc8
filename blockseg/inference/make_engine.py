"""Construction of whatever engine a specification means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.core.specs import Affine
from blockseg.inference.backends.device.engine import ByteEngine
from blockseg.inference.backends.device.grey_codes import GreyCodes
from blockseg.inference.backends.table import (
    make_backend,
    make_byte_backend,
    takes_bytes,
)
from blockseg.inference.engine import Engine

if TYPE_CHECKING:
    import numpy.typing as npt

    from blockseg.core.specs import AffineField, BackendSpec
    from blockseg.inference.engine import Segmenter


def make_engine(
    spec: BackendSpec, affine: Affine | AffineField, dtype: npt.DTypeLike
) -> Segmenter:
    """Build an engine for a volume.

    Parameters
    ----------
    spec
        Which.
    affine
        Normalisation of the run.
    dtype
        Of the volume's grey levels.

    Raises
    ------
    ConfigError
        If the engine is unknown, or cannot do what the specification asks for, or
        takes no grey levels of this type.
    MissingExtraError
        If its library is not installed.
    WeightsError
        If the weights cannot be read.
    BackendError
        If the device is missing or the engine cannot be built.
    """
    if not takes_bytes(spec):
        return Engine(make_backend(spec), affine)
    kind: np.dtype[Any] = np.dtype(dtype)
    if kind.kind != "u" or kind.itemsize > 2:
        message = (
            f"backend {spec.name} in {spec.precision} takes uint8 and uint16, not "
            f"{kind.name}, which needs --backend torch --precision float32"
        )
        raise ConfigError(message)
    if isinstance(affine, Affine):
        return ByteEngine(make_byte_backend(spec, affine))
    codes = GreyCodes(affine)
    return ByteEngine(make_byte_backend(spec, codes.affine), codes)
