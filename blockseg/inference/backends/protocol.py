"""Protocol of backends that infer normalised windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from blockseg.core.errors import ConfigError
from blockseg.core.geometry import to_zyx
from blockseg.networks.receptive_field import REACH, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt

    from blockseg.core.geometry import Zyx

AxisMasks: TypeAlias = "tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]"
"""0/1 vectors along z, y, x of a window; their product says what is inside."""


class Backend(Protocol):
    """Runs a network on windows of one shape.

    Not safe to call from two threads at once: whoever owns the device serialises.
    """

    @property
    def field(self) -> Field:
        """Field that a window needs around its core."""
        ...

    @property
    def core(self) -> Zyx:
        """Voxels along (z, y, x) that one call writes."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of windows and probabilities: float32 or float64."""
        ...

    def infer(
        self, tile: npt.NDArray[Any], inside: AxisMasks | None
    ) -> npt.NDArray[Any]:
        """Return the foreground probability of a window's core.

        Parameters
        ----------
        tile
            Normalised window ``(z, y, x)``, C-contiguous: the core, which starts at a
            multiple of ``field.alignment`` voxels in the volume, and ``field.reach``
            more on every side; 0 beyond the volume.
        inside
            For windows that reach beyond the volume: along each axis 1 inside, 0
            beyond, in the window's dtype. None for all others.

        Returns
        -------
        ndarray
            ``(z, y, x)`` of ``core`` voxels; valid until the next call.
        """
        ...

    def close(self) -> None:
        """Release the device; the backend cannot be used any more."""
        ...


@dataclass(frozen=True, slots=True)
class Slab:
    """Some planes of a window, to be filled by its reader."""

    start: int
    """First of them, in planes of the window."""

    tile: npt.NDArray[Any]
    """Memory for them, ``(z, y, x)``; y and x are the window's."""

    compute: Callable[[], None]
    """To be called once ``tile`` is filled."""

    result_start: Zyx
    """First voxel of ``result``, in voxels of the core."""

    result: npt.NDArray[Any]
    """Probability that is completed, ``(z, y, x)``; there may be none. Valid until the
    next slab is computed."""


@runtime_checkable
class SlabBackend(Backend, Protocol):
    """A backend that never needs a whole window at a time."""

    def slabs(self, inside: AxisMasks | None) -> Iterator[Slab]:
        """Yield the slabs of one window, in order; each is to be computed before the next.

        What of the core no result covers lies beyond the volume.

        Parameters
        ----------
        inside
            As for :meth:`infer`.
        """
        ...


def window_shape(core: Zyx, reach: int = REACH) -> Zyx:
    """Return the shape of the window that a core is computed from."""
    return to_zyx(n + 2 * reach for n in core)


def check_core(core: Zyx, alignment: int) -> None:
    """Raise ConfigError unless a network of this alignment can write such a core."""
    if any(n < alignment or n % alignment for n in core):
        message = (
            f"window {core} is no multiple of {alignment} voxels on each axis, "
            "which the network needs"
        )
        raise ConfigError(message)
