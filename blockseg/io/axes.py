"""Reduction of a stored array with channels or time points to a 3-D volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.space import Space

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Index: TypeAlias = tuple[slice, ...]

_CALLED = {"c": "channel", "t": "time point"}
OPTIONS = {"c": "--channel", "t": "--timepoint"}
"""Options that choose an index on an axis."""
_MISNAMED = {
    False: "; if its axes are misnamed, give --axes",
    True: "; if its axes are misnamed, correct its metadata",
}
_DEFAULTS = {
    2: ("y", "x"),
    3: ("z", "y", "x"),
    4: ("c", "z", "y", "x"),
    5: ("t", "c", "z", "y", "x"),
}


def default_axes(ndim: int) -> tuple[str, ...]:
    """Return the usual names of the axes of an array that names none.

    Raises
    ------
    VolumeError
        If there is no usual meaning of so many axes.
    """
    if ndim not in _DEFAULTS:
        message = f"an array of {ndim} axes is no volume; 3 to 5 are understood (tczyx)"
        raise VolumeError(message)
    return _DEFAULTS[ndim]


def named_axes(given: str, stated: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the names of an array's axes: those that the user gave, or else stated.

    Parameters
    ----------
    given
        One letter for each axis; empty if the user gave none.
    stated
        Names by the source.
    where
        How to call the array in messages.

    Raises
    ------
    VolumeError
        If there are not as many as the array has axes.
    """
    if not given:
        return tuple(stated)
    if len(given) != len(stated):
        message = (
            f"--axes {given} names {len(given)} axes, but {where} has {len(stated)}; "
            "give one letter for each"
        )
        raise VolumeError(message)
    return tuple(given)


def renamed_space(space: Space, stated: Sequence[str], given: Sequence[str]) -> Space:
    """Return the space of an array whose axes the user named otherwise.

    A voxel keeps its size along each stored axis; nothing is known of an axis that was
    not one of z, y and x before.
    """
    if tuple(stated) == tuple(given):
        return space
    if any(list(given).count(name) != 1 for name in "zyx"):
        return Space()
    before = [stated[list(given).index(name)] for name in "zyx"]
    if sorted(before) != sorted("zyx"):
        return Space(problem=space.problem)
    order = ["zyx".index(name) for name in before]
    sz, sy, sx = (space.voxel_size[k] for k in order)
    tz, ty, tx = (space.translation[k] for k in order)
    return replace(space, voxel_size=(sz, sy, sx), translation=(tz, ty, tx))


@dataclass(frozen=True, slots=True)
class AxisSelection:
    """Positions of z, y and x among the axes of a stored array, and the index on the others."""

    spatial: Zyx
    """Positions of the axes z, y and x in the stored array."""

    fixed: tuple[tuple[int, int], ...] = ()
    """Pairs (axis, index) of all other axes."""

    @classmethod
    def choose(
        cls,
        names: Sequence[str],
        shape: Sequence[int],
        *,
        channel: int | None,
        timepoint: int | None,
        where: str,
        mask: bool = False,
        options: Mapping[str, str] = OPTIONS,
    ) -> AxisSelection:
        """Select a 3-D volume from an array with named axes.

        Parameters
        ----------
        names
            One letter for each axis of the array.
        shape
            Length of each axis.
        channel, timepoint
            Index on the axes c and t; None takes the only one there is.
        where
            How to call the array in messages.
        mask
            Whether it is one of the volumes whose axes no option names.
        options
            Which option chooses on an axis, by its letter; for messages.

        Raises
        ------
        VolumeError
            If z, y or x is missing, an axis is of no voxels or of no known kind,
            or a choice is missing or beyond the axis.
        """
        if any(n < 1 for n in shape):
            message = f"{where} has no voxels: its shape is {tuple(shape)}"
            raise VolumeError(message)
        missing = [name for name in "zyx" if list(names).count(name) != 1]
        if missing:
            kind = "2-D" if missing == ["z"] else f"{len(shape)}-D"
            message = (
                f"{where} is {kind} (axes {''.join(names)}, shape {tuple(shape)}); "
                "a volume with axes z, y and x is needed"
                f"{'' if len(shape) < 3 else _MISNAMED[mask]}"
            )
            raise VolumeError(message)
        wanted = {"c": channel, "t": timepoint}
        fixed = []
        for axis, (name, length) in enumerate(zip(names, shape, strict=True)):
            if name in "zyx":
                continue
            if name not in wanted and length > 1:
                message = f"{where} has an axis {name!r} of length {length}, not tczyx"
                raise VolumeError(message)
            index = _choice(name, length, wanted.pop(name, None), where, options)
            fixed.append((axis, index))
        for name, index_or_none in wanted.items():
            if index_or_none:
                option = options.get(name, OPTIONS[name])
                message = f"{where} has no {_CALLED[name]} axis; leave out {option}"
                raise VolumeError(message)
        spatial = to_zyx(list(names).index(name) for name in "zyx")
        return cls(spatial, tuple(fixed))

    def pick(self, values: Sequence[int]) -> Zyx:
        """Return the entries for z, y and x of a tuple with one entry an axis."""
        return to_zyx(values[axis] for axis in self.spatial)

    def index(self, roi: Roi) -> Index:
        """Return the slices of the stored array that hold ``roi``."""
        slices = dict(zip(self.spatial, roi.slices(), strict=True))
        slices |= {axis: slice(index, index + 1) for axis, index in self.fixed}
        return tuple(slices[axis] for axis in range(len(slices)))

    def to_zyx(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return an array that was read with :meth:`index` as a 3-D array."""
        others = tuple(axis for axis, _ in self.fixed)
        return stored.transpose(self.spatial + others).reshape(self.pick(stored.shape))

    def position(self, chunk: Zyx, chunks: Sequence[int]) -> tuple[int, ...]:
        """Return the place in the stored array's chunk grid of a zyx chunk.

        Parameters
        ----------
        chunk
            Place along (z, y, x), in chunks.
        chunks
            Shape of a chunk, one entry for each axis of the stored array.
        """
        place = dict(zip(self.spatial, chunk, strict=True))
        place |= {axis: index // chunks[axis] for axis, index in self.fixed}
        return tuple(place[axis] for axis in range(len(place)))


def _choice(
    name: str, length: int, wanted: int | None, where: str, options: Mapping[str, str]
) -> int:
    what, option = _CALLED.get(name, ""), options.get(name)
    if wanted is None:
        if length > 1:
            how = f"choose one with {option}" if option else "write one of them alone"
            message = f"{where} has {length} {what}s; {how}"
            raise VolumeError(message)
        return 0
    if not 0 <= wanted < length:
        message = f"{where} has {length} {what}s; {option} {wanted} is not one of them"
        raise VolumeError(message)
    return wanted
