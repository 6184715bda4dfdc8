"""Results in Python: images that are read when they are indexed, and a picture."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.job import JobResult
from blockseg.config.view_settings import PreviewSettings
from blockseg.core.geometry import Roi, to_zyx
from blockseg.interface.arguments import options_for
from blockseg.interface.picture import Picture
from blockseg.io.find import find
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Vector
    from blockseg.io.protocol import Volume


class LazyArray:
    """An image on disk that behaves like an array and only reads what is indexed.

    ``array[10:20, :, 5]`` reads that part, and ``numpy.asarray(array)`` all of it. napari
    and ``dask.array.from_array`` accept it as it is.

    Parameters
    ----------
    volume
        The image.
    region
        Part of it to show; all of it if not given.
    """

    ndim = 3

    def __init__(self, volume: Volume, region: Roi | None = None) -> None:
        self._volume = volume
        self._region = region or Roi.whole(volume.shape)

    @property
    def shape(self) -> Zyx:
        """Voxels along (z, y, x)."""
        return self._region.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self._volume.dtype

    @property
    def chunks(self) -> Zyx:
        """Shape of the chunks in storage."""
        return self._volume.chunk_shape

    @property
    def voxel_size(self) -> Vector:
        """Edge lengths of a voxel along (z, y, x), in ``unit``."""
        return self._volume.space.voxel_size

    scale = voxel_size
    """The same, under the name that napari uses."""

    @property
    def unit(self) -> str | None:
        """``micrometer``, or None if the unit is not known."""
        return self._volume.space.unit

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys = (
                *keys[:at],
                *[slice(None)] * (4 - len(keys)),
                *keys[at + 1 :],
            )
        keys = (*keys, *[slice(None)] * (3 - len(keys)))
        if len(keys) != 3:
            message = f"too many indices: 3 axes, {len(keys)} given"
            raise IndexError(message)
        starts, stops, rest = [], [], []
        for one, length in zip(keys, self.shape, strict=True):
            if isinstance(one, slice):
                found = range(*one.indices(length))
                low = min(found[0], found[-1]) if found else 0
                starts.append(low)
                stops.append(max(found[0], found[-1]) + 1 if found else 0)
                first = found[0] - low if found else 0
                last = first + len(found) * found.step
                rest.append(
                    slice(first, last if last >= 0 else None, found.step)
                    if found
                    else slice(0, 0)
                )
                continue
            number = int(one)
            if not -length <= number < length:
                message = f"index {number} is out of bounds for {length} voxels"
                raise IndexError(message)
            starts.append(number % length)
            stops.append(number % length + 1)
            rest.append(0)  # type: ignore[arg-type]
        box = Roi(to_zyx(starts), to_zyx(stops)).shifted(self._region.start)
        if not box.size:
            return np.empty(box.shape, self.dtype)[tuple(rest)]
        return np.asarray(self._volume.read(box))[tuple(rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype)

    def __repr__(self) -> str:
        size = ", ".join(f"{s:g}" for s in self.voxel_size)
        return f"LazyArray(shape={self.shape}, dtype={self.dtype}, voxel_size=({size}))"


@dataclass(frozen=True, slots=True)
class RunResult(JobResult):
    """Outcome of :func:`blockseg.run`, with its images."""

    @classmethod
    def of(cls, result: JobResult) -> RunResult:
        """Return the outcome of a job that segmented."""
        return cls(**{one.name: getattr(result, one.name) for one in fields(result)})

    @property
    def probability(self) -> LazyArray:
        """Probability as uint8, round(255·p)."""
        return self._image("")

    @property
    def mask(self) -> LazyArray:
        """Mask, 1 where the probability reaches the threshold."""
        return self._image("labels/foreground")

    @property
    def image(self) -> LazyArray:
        """Image that was segmented, on the same voxels; the source must still exist.

        Raises
        ------
        VolumeError
            If it does not.
        """
        from blockseg.blockwise.record.record import Paths, RunRecord
        from blockseg.core.errors import VolumeError

        record = RunRecord.of(Paths(self.out))
        if record is None or record.source is None:
            message = f"{self.out} does not say what was segmented"
            raise VolumeError(message)
        return LazyArray(open_volume(record.source.spec), record.roi)

    def show(self, **options: Any) -> Picture:
        """Draw the result; the options are those of :func:`blockseg.preview`."""
        from blockseg.previews import preview

        (settings,) = options_for(PreviewSettings, **options)
        return Picture(preview(str(self.out), None, settings))

    def _image(self, within: str) -> LazyArray:
        place = self.out / within if within else self.out
        return LazyArray(open_volume(find(str(place), mask=True)))

    def _repr_html_(self) -> str:
        """Return the HTML for a notebook: a line, and the picture where there is one."""
        state = "complete" if self.complete else "incomplete"
        written = max(self.totals.get("written", 0), 1)
        share = 100 * self.totals.get("foreground", 0) / written
        line = (
            f"<b>{html.escape(str(self.out))}</b>: {state}, {self.done} of {self.blocks} "
            f"blocks, {share:.2g} % foreground"
        )
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.remarks)
        picture = ""
        if self.complete:
            encoded = base64.b64encode(self.show().path.read_bytes()).decode()
            picture = f'<br><img src="data:image/png;base64,{encoded}">'
        return f"<div>{line}<ul>{notes}</ul>{picture}</div>"
