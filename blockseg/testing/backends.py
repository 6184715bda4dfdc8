"""A fake backend: cheap, deterministic, without weights or torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.specs import array_type
from blockseg.inference.backends.memory import linear
from blockseg.inference.backends.table import BackendRow
from blockseg.networks.receptive_field import FIELDS, REACH
from blockseg.testing.trouble import Trouble

if TYPE_CHECKING:
    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import BackendSpec
    from blockseg.inference.backends.protocol import AxisMasks
    from blockseg.networks.weights_info import WeightsInfo

ROW = BackendRow(
    "fake",
    windows="blockseg.testing.backends:made",
    on_device="blockseg.testing.devices:made",
    precisions=("bfloat16", "float16", "float32", "float64"),
    memory="blockseg.testing.backends:window_memory",
    reference=False,
)
"""The row that the table of backends takes for the fake."""


class FakeBackend:
    """Calls probability what is bright: the mean of a voxel and some far ones.

    It looks as far back and ahead on each axis as SDASN, so that a halo that is missing
    or misplaced shows in tests.

    Parameters
    ----------
    core
        Voxels along (z, y, x) that one call writes.
    dtype
        Of windows and probabilities.
    """

    field = FIELDS["sdasn"]

    def __init__(self, core: Zyx, dtype: np.dtype[Any] | None = None) -> None:
        self.core = core
        self.dtype = np.dtype(np.float32) if dtype is None else dtype
        self._out: npt.NDArray[Any] = np.empty(core, self.dtype)
        self._trouble = Trouble.from_environment()

    def infer(
        self, tile: npt.NDArray[Any], inside: AxisMasks | None
    ) -> npt.NDArray[Any]:
        """Return the mean of 7 voxels, clipped to [0, 1]; 0 beyond the volume."""
        del inside  # a window is 0 there already
        centre = tuple(slice(REACH, REACH + n) for n in self.core)
        self._trouble.meet(tile[centre])
        np.copyto(self._out, tile[centre])
        for axis, length in enumerate(self.core):
            for start in (0, 2 * REACH):
                shifted = list(centre)
                shifted[axis] = slice(start, start + length)
                self._out += tile[tuple(shifted)]
        self._out /= 7
        return np.clip(self._out, 0, 1, out=self._out)

    def close(self) -> None:
        """Do nothing."""


def made(spec: BackendSpec) -> FakeBackend:
    """Build the fake that a specification asks for."""
    return FakeBackend(spec.core, np.dtype(array_type(spec.precision)))


def window_memory(
    core: Zyx,
    itemsize: int,
    info: WeightsInfo | None,
    volume: Zyx | None,  # noqa: ARG001
) -> int:
    """Return the bytes of a window."""
    return linear(core, itemsize, info, 0, 12)
