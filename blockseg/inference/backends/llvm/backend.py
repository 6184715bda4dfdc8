"""SDASN on the CPU, plane by plane, by kernels that are compiled for it."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import ceil_to
from blockseg.inference.backends.llvm.planar_form import PlanarForm
from blockseg.inference.backends.llvm.program import Arena, Program, planned
from blockseg.inference.backends.llvm.vectors import AVX512
from blockseg.inference.backends.llvm.words import Pair
from blockseg.inference.backends.protocol import Slab, check_core, window_shape
from blockseg.inference.processor import processor
from blockseg.networks.receptive_field import ALIGNMENT, FIELDS
from blockseg.networks.sdasn_arrays import folded_arrays, load_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from blockseg.core.specs import BackendSpec
    from blockseg.inference.backends.llvm.layers import Span
    from blockseg.inference.backends.llvm.program import Form, Spans
    from blockseg.inference.backends.protocol import AxisMasks

SLAB = 32
"""Planes of a window that are in memory at a time."""

_PROGRAMS = 8
"""Kinds of windows whose rows of numbers are kept; each takes a few MiB."""


class LlvmBackend:
    """Windows of one shape, each streamed through the network along z.

    Parameters
    ----------
    spec
        What to build.
    form
        Network, and the kind of numbers that computes it; by ``spec`` if not given.

    Raises
    ------
    MissingExtraError
        If llvmlite is not installed.
    ConfigError
        If the core is no multiple of the network's alignment.
    WeightsError
        If the weights cannot be read, or are of another network.
    BackendError
        If the CPU cannot compute in this precision.
    """

    def __init__(self, spec: BackendSpec, form: Form | None = None) -> None:
        self.field = FIELDS["sdasn"]
        check_core(spec.core, self.field.alignment)
        self.core = spec.core
        self.dtype = np.dtype(np.float32)
        self._form = form or _form(spec)
        _, *plane = window_shape(self.core, self.field.reach)
        self._tile = np.empty((SLAB, *plane), np.float32)
        self._out = np.empty((0, 0, 0), np.float32)
        self._whole = np.empty(0, np.float32)
        self._parts = [_Part(self._form) for _ in range(spec.threads)]
        self._pool = ThreadPoolExecutor(spec.threads) if spec.threads > 1 else None

    def infer(
        self, tile: npt.NDArray[Any], inside: AxisMasks | None
    ) -> npt.NDArray[Any]:
        """Return the foreground probability of a window's core."""
        if self._whole.size == 0:
            self._whole = np.empty(self.core, np.float32)
        self._whole[...] = 0  # beyond the volume
        for slab in self.slabs(inside):
            slab.tile[...] = tile[slab.start : slab.start + len(slab.tile)]
            slab.compute()
            there = zip(slab.result_start, slab.result.shape, strict=True)
            self._whole[tuple(slice(a, a + n) for a, n in there)] = slab.result
        return self._whole

    def slabs(self, inside: AxisMasks | None) -> Iterator[Slab]:
        """Yield the slabs of a window; see :class:`~..protocol.SlabBackend`."""
        reach = self.field.reach
        volume = self._inside(inside)
        core = _three(
            (max(reach, a), min(reach + n, b))
            for n, (a, b) in zip(self.core, volume, strict=True)
        )
        if any(a >= b for a, b in core):
            return
        segments = planned(core[0], volume[0]).segments(SLAB)
        height = max(one.results[1] - one.results[0] for one in segments)
        shape = (height, core[1][1] - core[1][0], core[2][1] - core[2][0])
        if self._out.shape != shape:
            self._out = np.empty(shape, np.float32)
        shares = _shares(core[1], len(self._parts))
        programs = [
            part.program(
                (core[0], rows, core[2]),
                volume,
                self._tile,
                self._out[:, rows[0] - core[1][0] : rows[1] - core[1][0]],
            )
            for part, rows in zip(self._parts, shares, strict=False)
        ]
        for number, segment in enumerate(segments):
            first, stop = segment.results
            yield Slab(
                segment.planes[0],
                self._tile[: segment.planes[1] - segment.planes[0]],
                partial(self._compute, programs, number),
                (first - reach, core[1][0] - reach, core[2][0] - reach),
                self._out[: stop - first],
            )

    def close(self) -> None:
        """Give the memory back."""
        self._parts = []
        if self._pool is not None:
            self._pool.shutdown()

    def _inside(self, inside: AxisMasks | None) -> Spans:
        """Return the part of a window inside the volume."""
        if inside is None:
            return _three((0, n) for n in window_shape(self.core, self.field.reach))
        starts = [int(np.argmax(mask > 0)) for mask in inside]
        return _three(
            (start, start + int(np.count_nonzero(mask)))
            for start, mask in zip(starts, inside, strict=True)
        )

    def _compute(self, programs: list[Program], segment: int) -> None:
        if self._pool is None:
            for program in programs:
                program.run(segment)
            return
        done = [self._pool.submit(program.run, segment) for program in programs]
        for future in done:
            future.result()


class _Part:
    """Share of one thread of each window, and its memory."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._arena = Arena()
        self._programs: OrderedDict[Any, Program] = OrderedDict()

    def program(
        self,
        core: Spans,
        volume: Spans,
        tile: npt.NDArray[np.float32],
        out: npt.NDArray[np.float32],
    ) -> Program:
        """Return the program of some rows of a kind of window."""
        key = (core, volume, out.ctypes.data, out.strides)
        if key not in self._programs:
            size = self._arena.size
            made = Program(self._form, core, volume, self._arena, tile, out)
            if self._arena.size != size:
                self._programs.clear()  # their planes have moved
            self._programs[key] = made
            if len(self._programs) > _PROGRAMS:
                self._programs.popitem(last=False)
        self._programs.move_to_end(key)
        return self._programs[key]


def _form(spec: BackendSpec) -> Form:
    arrays = folded_arrays(load_arrays(spec.weights))
    if spec.precision != "bfloat16":
        return PlanarForm(arrays)
    if processor().bfloat16 == "avx512":
        return PlanarForm(arrays, AVX512, Pair(native=True))
    from blockseg.inference.backends.llvm.bfloat16 import TiledBfloat16

    return TiledBfloat16(arrays)


def _shares(rows: Span, count: int) -> list[Span]:
    """Divide rows among threads, in multiples of the network's alignment."""
    first, stop = rows
    each = ceil_to(-(-(stop - first) // count), ALIGNMENT)
    return [(a, min(a + each, stop)) for a in range(first, stop, each)]


def _three(found: Iterable[Span]) -> Spans:
    z, y, x = found
    return z, y, x
