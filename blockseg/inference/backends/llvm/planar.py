"""Kernels of planes: each channel is a plane, or each pair of them; vectors go along x.

So any number of channels fills the registers. A convolution holds up to 24 vectors of sums
in registers, a few channels by a few vectors along x, and reads each input from the cache
once for all of them: 98 % of what ``sgemm`` of the same machine reaches.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from blockseg.inference.backends.llvm.builder import Function, constant
from blockseg.inference.backends.llvm.sigmoid import sigmoid
from blockseg.inference.backends.llvm.words import SINGLE
from blockseg.networks.receptive_field import KERNEL, SLOPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from blockseg.inference.backends.llvm.builder import Value
    from blockseg.inference.backends.llvm.words import Word

F32 = 4
"""Bytes of a number, and of a word."""

CONV = ("out", "out_c", "out_y", "ny", "nx", "blocks", "ni", "in", "in_y", "w", "bias")
"""Arguments of a convolution, and of a transposed one.

A plane holds words (:mod:`.words`): of one channel in float32, or of two in bfloat16. ``out``
is the address of the first voxel to write, ``out_c`` and ``out_y`` are bytes from one plane
of words and one row to the next, ``ny`` rows of ``nx`` voxels in ``blocks`` blocks of
channels. ``in`` is a table: for each of ``ni`` input words the address, in the three planes,
of the voxel one row above and one column left of the first; ``in_y`` one of bytes from row
to row. ``w`` are the weights, as words: block, input word, z, y, x, channel; ``bias`` as many
float32 numbers as channels.
A transposed convolution has ``ni`` combinations of an input word and a row that adds to the
row written, of which ``in`` has one address each; it writes ``2 nx`` voxels a row. Its
weights: block, combination, x, channel.
"""

POOL = ("out", "out_c", "out_y", "ny", "nx", "words", "in", "in2", "in_c", "in_y")
"""Arguments of pooling: ``in`` and ``in2`` lie in the two planes."""

HEAD = ("out", "out_y", "ny", "nx", "ni", "in", "in_y", "w", "bias")
"""Arguments of the heads: an address for each of ``ni`` input words, and a weight in float32
for each of their channels."""

COPY = ("out", "out_y", "ny", "nx", "in", "in_y")
"""Arguments of copying rows of float32."""


def convolution(
    name: str,
    channels: int,
    vectors: int,
    lanes: int,
    *,
    reads: Word = SINGLE,
    writes: Word = SINGLE,
) -> str:
    """Return the kernel of a convolution with its activation.

    Parameters
    ----------
    name
        Symbol.
    channels
        Channels in a block; a multiple of those of a word that is written.
    vectors
        Vectors along x that are computed at a time.
    lanes
        Words in a vector.
    reads, writes
        Words of the maps that are read, and of the one that is written.
    """
    f = Function(name, CONV, lanes)
    with _rows_and_blocks(f, channels, KERNEL**3, writes) as (y, weights, bias, out):
        wide = lanes * vectors
        short = f.below(f["nx"], wide)
        with f.when(short), f.loop(f["nx"], lanes) as x:
            sums = convolved(f, y, x.index, weights, bias, channels, 1, reads)
            left = f.sub(f["nx"], x.index)
            _write(f, sums, out, x.index, writes, f.first_lanes(left, lanes))
        long = f.emit(f"xor i1 {short}, true")
        with f.when(long), f.loop(f["nx"], wide) as x:
            # The last of a row begins early enough to end with it.
            start = f.smallest(x.index, f.sub(f["nx"], wide))
            sums = convolved(f, y, start, weights, bias, channels, vectors, reads)
            _write(f, sums, out, start, writes)
    return f.text()


def transposed(name: str, channels: int, lanes: int, word: Word = SINGLE) -> str:
    """Return the kernel of rows of a transposed convolution with its activation."""
    f = Function(name, CONV, lanes)
    with (
        _rows_and_blocks(f, channels, KERNEL, word) as (y, weights, bias, out),
        f.loop(f["nx"], lanes) as x,
    ):
        start = _biases(f, bias, channels)
        carried = [(f.vector, one) for one in start * 2]
        with f.loop(f["ni"], carried=carried) as term:
            here = f.at(
                f.pointer(f.table("in", term.index)),
                f.add(
                    f.mul(y, f.table("in_y", term.index)),
                    f.mul(x.index, F32),
                ),
            )
            own = f.load(f.vector, here)
            after = f.load(f.vector, f.at(here, F32))
            w = f.at(weights, f.mul(term.index, KERNEL * channels * F32))
            sums = list(term.carried)
            for place, (voxel, parity) in enumerate(((after, 1), (own, 0), (own, 1))):
                for c in range(channels):
                    weight = _weight(f, w, place * channels + c)
                    at = parity * channels + c
                    sums[at] = word.multiplied(f, voxel, weight, sums[at])
            term.after = sums
        left = f.mul(f.sub(f["nx"], x.index), 2)
        masks = (
            f.first_lanes(left, lanes),
            f.first_lanes(f.sub(left, lanes), lanes),
        )
        for n in range(channels // word.channels):
            pair = [
                _activated(f, term.after[parity * channels :], n, word)
                for parity in range(2)
            ]
            row = f.at(out, f.mul(f["out_c"], n))
            row = f.at(row, f.mul(x.index, 2 * F32))
            for half, mask in enumerate(masks):
                places = [
                    lanes * (n % 2) + n // 2
                    for n in range(half * lanes, (half + 1) * lanes)
                ]
                value = f.shuffle("float", lanes, pair, places)
                there = f.at(row, half * lanes * F32)
                f.store_masked("float", lanes, value, there, mask)
    return f.text()


def pooling(name: str, lanes: int, word: Word = SINGLE) -> str:
    """Return the kernel that takes the largest of 2×2×2 voxels."""
    f = Function(name, POOL, lanes)
    planes = (f.pointer(f["in"]), f.pointer(f["in2"]))
    first = f.pointer(f["out"])
    with f.loop(f["words"]) as c, f.loop(f["ny"]) as y, f.loop(f["nx"], lanes) as x:
        at = f.add(f.mul(c.index, f["in_c"]), f.mul(f.mul(y.index, 2), f["in_y"]))
        at = f.add(at, f.mul(x.index, 2 * F32))
        halves = []
        for half in range(2):
            best: list[Value] = []
            for plane in planes:
                for row in range(2):
                    place = f.at(f.at(plane, at), f.mul(f["in_y"], row))
                    here = f.load(f.vector, f.at(place, half * lanes * F32))
                    best = _largest(f, best, word.split(f, here))
            halves.append(best)
        found = []
        for pair in zip(*halves, strict=True):
            even, odd = (
                f.shuffle("float", lanes, pair, range(start, 2 * lanes, 2))
                for start in (0, 1)
            )
            found.append(f.largest(even, odd))
        to = f.add(f.mul(c.index, f["out_c"]), f.mul(y.index, f["out_y"]))
        there = f.at(first, f.add(to, f.mul(x.index, F32)))
        mask = f.first_lanes(f.sub(f["nx"], x.index), lanes)
        f.store_masked("float", lanes, word.joined(f, found), there, mask)
    return f.text()


def heads(name: str, lanes: int, word: Word = SINGLE) -> str:
    """Return the kernel of the heads, and of the sigmoid of their sum."""
    f = Function(name, HEAD, lanes)
    first, weights = f.pointer(f["out"]), f.pointer(f["w"])
    bias = f.same(f.load("float", f.pointer(f["bias"])))
    with f.loop(f["ny"]) as y, f.loop(f["nx"], lanes) as x:
        at = f.mul(x.index, F32)
        with f.loop(f["ni"], carried=((f.vector, bias),)) as term:
            row = f.mul(y.index, f.table("in_y", term.index))
            here = f.at(f.pointer(f.table("in", term.index)), f.add(row, at))
            (total,) = term.carried
            own = f.at(weights, f.mul(term.index, word.channels * F32))
            for n, channel in enumerate(word.split(f, f.load(f.vector, here))):
                total = f.fma(channel, _weight(f, own, n), total)
            term.after = [total]
        there = f.at(first, f.add(f.mul(y.index, f["out_y"]), at))
        mask = f.first_lanes(f.sub(f["nx"], x.index), lanes)
        value = sigmoid(f, term.after[0])
        f.store_masked("float", lanes, value, there, mask)
    return f.text()


def copying(name: str, lanes: int) -> str:
    """Return the kernel that copies rows into a plane."""
    f = Function(name, COPY, lanes)
    to, source = f.pointer(f["out"]), f.pointer(f["in"])
    with f.loop(f["ny"]) as y:
        row = f.at(source, f.mul(y.index, f["in_y"]))
        there = f.at(to, f.mul(y.index, f["out_y"]))
        size = f.mul(f["nx"], F32)
        f.call(
            "void",
            "llvm.memcpy.p0.p0.i64",
            f"ptr {there}",
            f"ptr {row}",
            f"i64 {size}",
            "i1 immarg false",
        )
    return f.text()


@contextmanager
def _rows_and_blocks(
    f: Function, channels: int, taps: int, writes: Word
) -> Iterator[tuple[Value, Value, Value, Value]]:
    """Loop over rows, and in them over blocks of channels.

    Yields the row, and where the block's weights, biases and first voxel of it lie.
    """
    first = f.pointer(f["out"])
    each = f.mul(f["ni"], taps * channels * F32)
    with f.loop(f["ny"]) as y, f.loop(f["blocks"]) as block:
        weights = f.at(f.pointer(f["w"]), f.mul(block.index, each))
        bias = f.at(f.pointer(f["bias"]), f.mul(block.index, channels * F32))
        down = f.mul(y.index, f["out_y"])
        deep = f.mul(f.mul(block.index, channels // writes.channels), f["out_c"])
        yield y.index, weights, bias, f.at(first, f.add(down, deep))


def convolved(
    f: Function,
    y: Value,
    x: Value,
    weights: Value,
    bias: Value,
    channels: int,
    vectors: int,
    reads: Word = SINGLE,
) -> list[list[Value]]:
    """Return the sums of some channels, each some vectors along x."""
    start = _biases(f, bias, channels)
    carried = [(f.vector, one) for one in start for _ in range(vectors)]
    column = f.mul(x, F32)
    with f.loop(f["ni"], carried=carried) as source:
        stride = f.table("in_y", source.index)
        corner = f.add(f.mul(y, stride), column)
        w = f.at(weights, f.mul(source.index, KERNEL**3 * channels * F32))
        sums = list(source.carried)
        tap = 0
        for z in range(KERNEL):
            plane = f.pointer(f.table("in", f.add(f.mul(source.index, KERNEL), z)))
            row = f.at(plane, corner)
            if vectors > 1:
                below = f.at(row, f.mul(stride, KERNEL))
                for v in range(vectors):
                    f.prefetch(f.at(below, F32 * f.lanes * v))
            for dy in range(KERNEL):
                row = f.at(row, stride) if dy else row
                for dx in range(KERNEL):
                    voxels = [
                        f.load(f.vector, f.at(row, F32 * (dx + f.lanes * v)))
                        for v in range(vectors)
                    ]
                    for c in range(channels):
                        weight = _weight(f, w, tap * channels + c)
                        for v in range(vectors):
                            at = c * vectors + v
                            sums[at] = reads.multiplied(f, voxels[v], weight, sums[at])
                    tap += 1
        source.after = sums
    return [source.after[c * vectors : (c + 1) * vectors] for c in range(channels)]


def _write(
    f: Function,
    sums: list[list[Value]],
    out: Value,
    x: Value,
    writes: Word,
    mask: Value | None = None,
) -> None:
    here = f.at(out, f.mul(x, F32))
    for n in range(len(sums) // writes.channels):
        there = f.at(here, f.mul(f["out_c"], n))
        for v, column in enumerate(zip(*sums, strict=True)):
            place = f.at(there, v * f.lanes * F32)
            active = _activated(f, column, n, writes)
            if mask is None:
                f.store(f.vector, active, place)
            else:
                f.store_masked("float", f.lanes, active, place, mask)


def _activated(f: Function, sums: Sequence[Value], word: int, writes: Word) -> Value:
    """Return a word of activations, of the sums of its channels."""
    own = sums[word * writes.channels : (word + 1) * writes.channels]
    return writes.joined(f, [leaky(f, one) for one in own])


def _largest(f: Function, a: Sequence[Value], b: list[Value]) -> list[Value]:
    """Return the larger numbers, channel by channel; ``b`` if there is no ``a``."""
    return [f.largest(x, y) for x, y in zip(a, b, strict=True)] if a else b


def leaky(f: Function, x: Value) -> Value:
    """Write the activation of a vector."""
    return f.largest(x, f.emit(f"fmul {f.vector} {x}, {f.same(constant(SLOPE))}"))


def _biases(f: Function, bias: Value, channels: int) -> list[Value]:
    return [f.same(f.load("float", f.at(bias, F32 * c))) for c in range(channels)]


def _weight(f: Function, weights: Value, place: int) -> Value:
    return f.same(f.load("float", f.at(weights, F32 * place)))
