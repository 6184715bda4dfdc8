"""Protocol of backends of devices: grey levels in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.protocol import AxisMasks
    from blockseg.networks.receptive_field import Field


@dataclass(frozen=True, slots=True, eq=False)
class RawWindow:
    """Grey levels of one window, as far as they are known.

    A voxel of the window that ``voxels`` does not reach is 0 *after* normalisation, with
    masks or without: a volume ends inside of its last ``alignment`` voxels, and a halo
    may be too short. ``FakeByteBackend`` says it in NumPy.
    """

    voxels: npt.NDArray[Any]
    """``(z, y, x)``, uint8 or uint16, in the machine's byte order: what is known; not of
    the window's shape where that reaches beyond, and not contiguous."""

    start: Zyx
    """Position of the first of them in the window (z, y, x), in voxels."""

    inside: AxisMasks | None
    """Along each axis of the window 1 inside the volume, grown to the network's
    alignment, and 0 beyond, in float32; None where all of it lies inside. What is beyond
    is 0 in every feature map, after its activation."""


class ByteBackend(Protocol):
    """Normalises, infers and rounds on the device, so that few bytes travel.

    It owns its normalisation. Not safe to call from two threads at once.
    """

    @property
    def field(self) -> Field:
        """Field that a window needs around its core."""
        ...

    @property
    def core(self) -> Zyx:
        """Voxels along (z, y, x) that one window writes."""
        ...

    def stream(self, windows: Iterable[RawWindow]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield 255 p of each window's core, rounded half to even, in their order.

        The next windows may be copied while this one is computed, so ``windows`` is
        read ahead. A result is valid until the next one is asked for.

        Raises
        ------
        DeviceMemoryError
            If the device has too little memory for a window of this shape.
        BackendError
            If the device fails; the process must not use it any more.
        """
        ...

    def close(self) -> None:
        """Release the device; the backend cannot be used any more."""
        ...
