"""Program of a window: each plane of each map as a row of numbers that a kernel takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from blockseg.inference.backends.llvm.compiler import ROW
from blockseg.inference.backends.llvm.layers import LAYERS, spans
from blockseg.inference.backends.llvm.schedule import ZERO, schedule
from blockseg.networks.receptive_field import STRIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from blockseg.inference.backends.llvm.compiler import Kernels
    from blockseg.inference.backends.llvm.layers import Layer, Span
    from blockseg.inference.backends.llvm.schedule import Schedule, Segment, Step

Spans: TypeAlias = "tuple[Span, Span, Span]"
"""Along z, y, x."""

ALIGNED = 64
"""Bytes of a cache line, at multiples of which planes begin."""

_SLACK = 8192
"""Bytes behind the planes: vectors reach beyond the end of the last row."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Memory layout of the planes of a map."""

    y: Span
    """Rows that are computed, in voxels of the map's level."""

    x: Span
    """Columns."""

    bytes: int
    """Size, the margin around included."""

    first: int
    """Bytes from the start of a plane to its voxel at the start of ``y`` and ``x``."""

    row: int
    """Bytes from one row to the next."""

    column: int
    """Bytes from one column to the next."""

    channel: int
    """Bytes from one channel to the next."""

    def at(self, y: int, x: int) -> int:
        """Return the bytes from the start of a plane to a voxel of its first channel."""
        return self.first + (y - self.y[0]) * self.row + (x - self.x[0]) * self.column

    @property
    def ny(self) -> int:
        """Number of rows."""
        return self.y[1] - self.y[0]

    @property
    def nx(self) -> int:
        """Number of columns."""
        return self.x[1] - self.x[0]


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane of a map."""

    address: int
    """Address of its first byte."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Call:
    """One kernel's arguments."""

    kernel: str
    """Symbol."""

    numbers: tuple[int, ...]
    """Arguments, in the kernel's order."""

    tables: tuple[tuple[int, Sequence[int]], ...] = ()
    """For arguments that are tables: the place in ``numbers`` and what it holds."""


class Form(Protocol):
    """One kind of numbers: how maps lie in memory, and what computes them."""

    @property
    def kernels(self) -> Kernels:
        """Compiled kernels."""
        ...

    def shape(self, layer: Layer, y: Span, x: Span) -> Shape:
        """Return the memory layout of the planes of a map."""
        ...

    def calls(
        self, layer: Layer, z: int, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> Sequence[Call]:
        """Return the kernel that computes a plane from those of its sources.

        Parameters
        ----------
        layer
            What computes it.
        z
            Place of the plane, in voxels of its level.
        to
            Where it is written.
        sources
            Planes of each source, as :class:`~.schedule.Step` has them.
        """
        ...


class Arena:
    """Memory for the planes of windows of several kinds, one kind at a time."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)
        self._user: object = None

    @property
    def size(self) -> int:
        """Bytes that it has."""
        return self._memory.size

    def grow(self, size: int) -> None:
        """Have at least ``size`` bytes; addresses taken before are no longer valid."""
        self._memory = np.empty(0, np.uint8)  # first give back, then take more
        self._memory = np.empty(size + ALIGNED, np.uint8)
        self._user = None

    @property
    def address(self) -> int:
        """Address of the first byte, at a multiple of :data:`ALIGNED`."""
        address: int = self._memory.ctypes.data
        return address + -address % ALIGNED

    def lend(self, user: object) -> None:
        """Clear the memory unless the same user had it last."""
        if self._user is not user:
            self._memory[...] = 0
            self._user = user


class Program:
    """All that is done for the windows of one shape in one place of the volume.

    Parameters
    ----------
    form
        Kind of numbers.
    core
        Voxels along z, y, x whose probability is wanted, in the window's voxels.
    volume
        Voxels inside the volume.
    arena
        Where the planes lie; grows if it must.
    tile
        Planes of the window that are there at a time, float32 ``(z, y, x)``.
    out
        Takes the planes of ``core`` that a segment completes, float32 ``(z, y, x)``.
    """

    def __init__(
        self,
        form: Form,
        core: Spans,
        volume: Spans,
        arena: Arena,
        tile: npt.NDArray[np.float32],
        out: npt.NDArray[np.float32],
    ) -> None:
        self._form = form
        self._kept = (tile, out)  # their addresses are in the rows
        along = [spans(a, b) for a, b in zip(core, volume, strict=True)]
        plan = planned(core[0], volume[0])
        self._results = along[1]["head"], along[2]["head"]
        self._segments = plan.segments(len(tile))
        self._shapes = {
            layer.name: form.shape(layer, along[1][layer.name], along[2][layer.name])
            for layer in LAYERS
        }
        self._place(plan, arena, tile, out)
        self._write(plan)

    def run(self, segment: int) -> None:
        """Compute a segment from the planes that lie in ``tile``; in order, all of them."""
        if not segment:
            self._arena.lend(self)
        first, stop = self._rows_of[segment]
        address = self._rows.ctypes.data + 8 * ROW * first
        self._form.kernels.run(address, stop - first)

    def _place(
        self,
        plan: Schedule,
        arena: Arena,
        tile: npt.NDArray[np.float32],
        out: npt.NDArray[np.float32],
    ) -> None:
        """Give each slot of each map an address."""
        held = [name for name, count in plan.slots.items() if count]
        starts, total = {}, 0
        for name in held:
            starts[name] = total
            # One more, which stays zero, for what lies beyond the volume along z.
            total += (plan.slots[name] + 1) * self._shapes[name].bytes
        if arena.size < total + _SLACK:
            arena.grow(total + _SLACK)
        self._arena, base = arena, arena.address
        self._first = {name: base + start for name, start in starts.items()}
        whole = [(0, n) for n in tile.shape[1:]]
        self._tile = Plane(tile.ctypes.data, _flat(whole[0], whole[1], tile))
        y, x = self._results
        self._out = Plane(out.ctypes.data, _flat(y, x, out))

    def _plane(self, name: str, slot: int) -> Plane:
        shape = self._shapes[name]
        place = slot + 1 if slot != ZERO else 0
        return Plane(self._first[name] + place * shape.bytes, shape)

    def _calls(self, step: Step, segment: Segment) -> Sequence[Call]:
        layer = step.layer
        if layer.kind == "input":
            above = _moved(self._tile, step.z - segment.planes[0])
            to = self._plane(layer.name, step.slot)
            return self._form.calls(layer, step.z, to, [[above]])
        sources = [
            [self._plane(name, slot) for slot in slots]
            for name, slots in zip(layer.sources, step.planes, strict=True)
        ]
        to = self._out
        if layer.kind != "head":
            to = self._plane(layer.name, step.slot)
        return self._form.calls(layer, step.z, to, sources)

    def _write(self, plan: Schedule) -> None:
        table = _Rows(self._form.kernels.address)
        self._rows_of = []
        for segment in self._segments:
            start = len(table)
            for step in plan.steps[slice(*segment.steps)]:
                # Slots come round again, and with them all that a row says but the
                # places in the window and in the result.
                key: Any = (step.layer.name, step.z % STRIDE, step.slot, step.planes)
                if step.layer.kind == "input":
                    key = (step.layer.name, step.z - segment.planes[0], step.slot)
                elif step.layer.kind == "head":
                    key = (step.layer.name, step.planes)
                if not table.again(key):
                    table.add(key, self._calls(step, segment))
                if step.layer.kind == "head":
                    beyond = step.z - segment.results[0]
                    table.move_output(beyond * self._out.shape.bytes)
            self._rows_of.append((start, len(table)))
        self._rows, self._tables = table.written()


class _Rows:
    """Rows of numbers that are being written, and the tables that they point to."""

    def __init__(self, address: Mapping[str, int]) -> None:
        self._address = address
        self._rows: list[list[int]] = []
        self._known: dict[Any, list[tuple[list[int], list[tuple[int, int]]]]] = {}
        self._tables: list[int] = []
        self._pointers: list[tuple[int, int, int]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def again(self, key: Any) -> bool:
        """Write the rows of a key once more; return whether it is known."""
        known = self._known.get(key)
        for row, tables in known or ():
            self._pointers += [(len(self._rows), *where) for where in tables]
            self._rows.append(row)
        return known is not None

    def add(self, key: Any, calls: Sequence[Call]) -> None:
        """Write the rows of calls, and remember them."""
        self._known[key] = found = []
        for call in calls:
            row = [self._address[call.kernel], *call.numbers]
            row += [0] * (ROW - len(row))
            tables = []
            for place, numbers in call.tables:
                tables.append((place + 1, len(self._tables)))
                self._tables += numbers
            found.append((row, tables))
        self.again(key)

    def move_output(self, distance: int) -> None:
        """Let the last row write somewhere else."""
        kernel, out, *others = self._rows[-1]
        self._rows[-1] = [kernel, out + distance, *others]

    def written(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return all rows, and the tables in memory that they hold addresses of."""
        rows, tables = np.array(self._rows, np.int64), np.array(self._tables, np.int64)
        number, place, start = np.array(self._pointers, np.int64).T
        rows[number, place] = tables.ctypes.data + 8 * start
        return rows, tables


@lru_cache(maxsize=8)
def planned(core: Span, volume: Span) -> Schedule:
    """Return the schedule for spans along z of a core and of the volume."""
    return schedule(spans(core, volume), volume)


def _flat(y: Span, x: Span, array: npt.NDArray[np.float32]) -> Shape:
    """Return the memory layout of the planes of an array ``(z, y, x)``."""
    plane, row, column = array.strides
    return Shape(y, x, plane, 0, row, column, 0)


def _moved(plane: Plane, planes: int) -> Plane:
    return Plane(plane.address + planes * plane.shape.bytes, plane.shape)
