"""Protocol of volumes, and two volumes that need no storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from blockseg.core.errors import GeometryError, VolumeError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.space import Space
from blockseg.io.decoded_cache import count_decoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SCHEME = "constant://"


class Volume(Protocol):
    """A 3-D image, axes (z, y, x), that can be read region by region.

    Implementations may be read from several threads at once and can be pickled.
    """

    @property
    def shape(self) -> Zyx:
        """Voxels along (z, y, x)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel, in native byte order."""
        ...

    @property
    def chunk_shape(self) -> Zyx:
        """Voxels that storage decodes as a whole, for however small a read."""
        ...

    @property
    def space(self) -> Space:
        """Voxel size and place; its unit is None where the source states none."""
        ...

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return the voxels of a region.

        Parameters
        ----------
        roi
            A box inside the volume.

        Returns
        -------
        array of ``roi.shape``, in native byte order

        Raises
        ------
        GeometryError
            If the region does not lie inside the volume.
        CorruptDataError
            If stored data cannot be decoded; names the chunk and its file.
        VolumeError
            If storage fails otherwise; a later try may succeed.
        """
        ...


def check_roi(shape: Zyx, roi: Roi) -> None:
    """Raise GeometryError unless ``roi`` lies inside a volume of ``shape`` voxels."""
    if not Roi.whole(shape).contains(roi):
        message = f"region {roi} does not lie inside the volume of shape {shape}"
        raise GeometryError(message)


@dataclass(frozen=True, slots=True, eq=False)
class MemoryVolume:
    """A volume over an array; the fake of the tests and the small-image path.

    Raises
    ------
    VolumeError
        If the array is not 3-D.
    """

    array: NDArray[Any] = field(repr=False)
    """Voxels, axes (z, y, x)."""

    space: Space = field(default_factory=Space)
    """Voxel size and place."""

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            message = (
                f"an array of {self.array.ndim} axes is no volume; pass one of three"
            )
            raise VolumeError(message)

    @property
    def shape(self) -> Zyx:
        """Voxels along (z, y, x)."""
        return to_zyx(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel, in native byte order."""
        return self.array.dtype.newbyteorder("=")

    @property
    def chunk_shape(self) -> Zyx:
        """One voxel: memory decodes nothing."""
        return (1, 1, 1)

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a copy of a region."""
        check_roi(self.shape, roi)
        part = self.array[roi.slices()].astype(self.dtype)
        count_decoded(part.nbytes)
        return part


@dataclass(frozen=True, slots=True)
class ConstantVolume:
    """A volume of any size with one value everywhere, which stores nothing.

    Spelled ``constant://Z,Y,X/DTYPE/VALUE`` where a source is named by text.
    """

    shape: Zyx
    """Voxels along (z, y, x)."""

    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype("uint16"))
    """Type of a voxel."""

    value: float = 0
    """Grey level of every voxel."""

    chunk_shape: Zyx = (1, 1, 1)
    """One voxel: nothing is decoded."""

    space: Space = field(default_factory=Space)
    """Voxel size and place."""

    @classmethod
    def parse(cls, uri: str) -> ConstantVolume:
        """Return the volume that ``constant://Z,Y,X/DTYPE/VALUE`` names.

        Raises
        ------
        VolumeError
            If the text is not of this form.
        """
        try:
            shape, dtype, value = uri.removeprefix(_SCHEME).split("/")
            parsed = cls(
                to_zyx(int(n) for n in shape.split(",")), np.dtype(dtype), float(value)
            )
        except (ValueError, TypeError) as error:
            message = f"{uri} is not of the form {_SCHEME}Z,Y,X/DTYPE/VALUE"
            raise VolumeError(message) from error
        if min(parsed.shape) < 1:
            message = f"{uri} has no voxels; give three positive lengths"
            raise VolumeError(message)
        return parsed

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a region of the value, as one voxel that is seen everywhere."""
        check_roi(self.shape, roi)
        count_decoded(roi.size * self.dtype.itemsize)
        return np.broadcast_to(np.array(self.value, self.dtype), roi.shape)
