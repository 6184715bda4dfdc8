"""The files of a source: what they are called, which voxels they hold, how they are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.io.downsampled import covering
from blockseg.io.open import open_volume
from blockseg.io.source_files.fingerprint import array_layout, evenly
from blockseg.io.source_files.listing import (
    THREADS,
    Deadline,
    TooSlowError,
    array_rows,
    file_row,
    rows_of,
)
from blockseg.io.source_files.table import ABSENT, FileTable
from blockseg.io.stores.location import RemotePath, inner_of, lies_in
from blockseg.io.tiff.slices import slice_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.layout import ArrayLayout
    from blockseg.io.stores.location import Location

_Lister: TypeAlias = Callable[[Deadline], Iterator[tuple[int, int, int]]]

_FEW = 1000
"""Files that are looked at without asking how long it takes."""


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """A grid of files that each hold a box of a volume's voxels; read-only."""

    root: Location
    """Folder that their names are relative to."""

    shape: Zyx
    """Voxels that are stored of the volume."""

    step: Zyx
    """Voxels of a file along (z, y, x)."""

    path: Callable[[Zyx], Location] = field(repr=False)
    """Path of the file at a place of the grid, if it exists."""

    rows: _Lister = field(repr=False)
    """Lists all that exist: number, size and time of each."""

    places: Callable[[int], Zyx | None] = field(repr=False)
    """Place in the grid of a file that the fingerprint counts as so and so many."""

    factors: Zyx = (1, 1, 1)
    """Stored voxels that one of the volume covers along (z, y, x)."""

    whole: Zyx | None = None
    """Voxels that are stored of the volume, where each file may hold any of them; the
    grid then counts files."""

    @classmethod
    def of(cls, spec: VolumeSpec) -> SourceFiles | None:
        """Return the files of a source; None if it has none.

        Raises
        ------
        VolumeError
            If the source cannot be opened.
        """
        if spec.format == "memory":
            return None
        shape = open_volume(replace(spec, downsample=(1, 1, 1))).shape
        return replace(cls._of(spec, shape), factors=spec.downsample)

    @classmethod
    def _of(cls, spec: VolumeSpec, shape: Zyx) -> SourceFiles:
        if spec.format != "tiff":
            return _array_files(spec, array_layout(spec), shape)
        if Path(spec.uri).is_file():
            return _listed([Path(spec.uri)], shape, shape)
        planes = slice_files(spec.uri, allow_gaps=spec.allow_gaps)
        files = [None if name is None else Path(name) for name in planes]
        return _listed(files, shape, (1, *shape[1:]))

    @property
    def counts(self) -> Zyx:
        """Files along (z, y, x), if none is missing."""
        return to_zyx(-(-n // s) for n, s in zip(self.shape, self.step, strict=True))

    @property
    def expected(self) -> int:
        """Files, if none is missing."""
        return math.prod(self.counts)

    @property
    def single(self) -> bool:
        """Whether one file holds the whole volume, or any may hold any of it."""
        return self.expected == 1 or self.whole is not None

    def file(self, number: int) -> Location:
        """Return the path of a file, if it exists."""
        return self.path(self._place(number))

    def name(self, number: int) -> str:
        """Return the name of a file inside the source."""
        return inner_of(self.file(number), self.root)

    def box(self, number: int) -> Roi:
        """Return the voxels of the volume to which a file contributes."""
        if self.whole is not None:
            return covering(Roi.whole(self.whole), self.factors)
        start = to_zyx(
            i * s for i, s in zip(self._place(number), self.step, strict=True)
        )
        box = Roi((0, 0, 0), self.step).shifted(start)
        return covering(box.intersection(Roi.whole(self.shape)), self.factors)

    def look(self, clock: Callable[[], float] = time.monotonic) -> FileTable | None:
        """Return size and time of all files; None if that would take too long.

        10 s are allowed, and 10 s for each million files, up to a minute. Whether they
        will do is found out on a few files, so that a slow store is not even listed.
        """
        if isinstance(self.root, RemotePath):
            return self._ask_each(clock)
        if self.expected > _FEW:
            some = [self.file(number) for number in evenly(self.expected)]
            pace = Deadline(clock)
            rows = [file_row(number, file) for number, file in enumerate(some)]
            there = max(1, sum(size != ABSENT for _, size, _ in rows))
            files = self.expected * there / len(some)
            seconds = pace.elapsed / len(some) * files / THREADS
            if seconds > Deadline.allowed(files):
                return None
        try:
            found = (row for row in self.rows(Deadline(clock)) if row[1] != ABSENT)
            return FileTable.of(found, complete=True)
        except TooSlowError:
            return None

    def _ask_each(self, clock: Callable[[], float]) -> FileTable | None:
        """Ask a store for every object by its name; None where they are many."""
        if self.expected > _FEW:
            return None
        each = [(number, self.file(number)) for number in range(self.expected)]
        try:
            found = (row for row in rows_of(each, Deadline(clock)) if row[1] != ABSENT)
            return FileTable.of(found, complete=True)
        except TooSlowError:
            return None

    def look_at(self, numbers: Iterable[int]) -> FileTable:
        """Return size and time of some files, whether they exist or not."""
        rows = [file_row(int(number), self.file(int(number))) for number in numbers]
        return FileTable.of(rows, complete=False)

    def sampled(self, lines: Sequence[str]) -> FileTable:
        """Return the facts that a fingerprint states about its files."""
        count = len(lines)
        rows = []
        for nth, line in enumerate(lines):
            place = self.places(nth if count > 1 else 0)
            if place is not None:
                number = int(np.ravel_multi_index(place, self.counts))
                rows.append((number, *_stated(line)))
        return FileTable.of(rows, complete=False)

    def _place(self, number: int) -> Zyx:
        return to_zyx(int(i) for i in np.unravel_index(number, self.counts))


def _array_files(spec: VolumeSpec, layout: ArrayLayout, shape: Zyx) -> SourceFiles:
    if layout.together:
        files = _listed(list(layout.together), (len(layout.together), 1, 1), (1, 1, 1))
        return replace(files, whole=shape)
    selection = layout.selection(spec)
    step = selection.pick(layout.files)
    counts = selection.pick(layout.file_counts)
    fixed = {axis: index // layout.files[axis] for axis, index in selection.fixed}
    weights = [0] * len(layout.shape)
    for k, axis in enumerate(selection.spatial):
        weights[axis] = math.prod(counts[k + 1 :])
    sample = evenly(math.prod(layout.file_counts))

    def place(nth: int) -> Zyx | None:
        position = np.unravel_index(sample[nth], layout.file_counts)
        if any(position[axis] != at for axis, at in fixed.items()):
            return None  # of a channel that is not read
        return selection.pick([int(i) for i in position])

    return SourceFiles(
        root=layout.container,
        shape=shape,
        step=step,
        path=lambda at: layout.chunk_file(selection.position(at, layout.files)),
        rows=lambda deadline: array_rows(layout, weights, fixed, deadline),
        places=place,
    )


def _listed(files: Sequence[Location | None], shape: Zyx, step: Zyx) -> SourceFiles:
    stored = [(number, file) for number, file in enumerate(files) if file is not None]
    root = stored[0][1].parent
    for _, file in stored:
        while not lies_in(file, root):
            root = root.parent
    sample = [stored[nth][0] for nth in evenly(len(stored))]
    return SourceFiles(
        root=root,
        shape=shape,
        step=step,
        path=lambda place: files[place[0]] or root / f"no plane {place[0]}",
        rows=lambda deadline: rows_of(stored, deadline),
        places=lambda nth: (sample[nth], 0, 0),
    )


def _stated(line: str) -> tuple[int, int]:
    """Return size and time from a line of a fingerprint."""
    stated = line.rsplit(": ", 1)[-1]
    if stated == "absent":
        return ABSENT, 0
    size, _, time = stated.partition(" bytes, ")
    return int(size), int(time.removesuffix(" ns"))
