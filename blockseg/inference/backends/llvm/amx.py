"""Kernels in bfloat16: channels lie side by side, and AMX multiplies tiles of them.

A tile of inputs has 16 rows of 32 numbers: all channels of a few neighbours along x, as they
lie in memory. One instruction multiplies it by a tile of weights, 32×16, and adds to a tile of
sums in float32, 16 rows of 16: in a row one voxel of 16 channels, half a voxel of 32, or two
neighbours of 8. The sums of four rows of the image, weights of three, and one tile of inputs,
which up to three of the four need, fill the eight tiles that there are.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from blockseg.inference.backends.llvm.builder import Function
from blockseg.inference.backends.llvm.planar import (
    F32,
    POOL,
    convolved,
    leaky,
)
from blockseg.inference.backends.llvm.sigmoid import sigmoid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from blockseg.inference.backends.llvm.builder import Value

BF16 = 2
"""Bytes of a number."""

ROWS = 16
"""Rows of a tile."""

ROW = 64
"""Bytes of its rows."""

TILE = ROWS * ROW
"""Bytes of a tile."""

IMAGE_ROWS = 4
"""Rows of the image that are computed at a time."""

CHANNELS = 8
"""Channels at full resolution."""

HEAD_VOXELS = 4
"""Voxels in a row of the heads' tiles."""

CONV = (
    *("out", "out_y", "out_step", "ny", "nx", "ni", "in", "in_y", "in_step"),
    *("w", "bias", "tiles"),
)
"""Arguments of convolutions, plain and transposed.

``out`` is the address of the first number to write; ``out_y`` are bytes from one row of the
image to the next, ``out_step`` from one row of a tile. There are ``ny`` rows of ``nx`` numbers,
of which 16 lie together. ``in`` is a table of ``ni`` addresses: of what the first row of the
first tile is made of, for each plane and each 32 numbers; ``in_y`` a table of bytes
from row to row of the image, ``in_step`` those of the tile of inputs. ``w`` are tiles of
weights, for each of ``ni`` as many as the kernel is high; ``bias`` is the tile that sums begin
with, ``tiles`` the configuration.
"""

FIRST = ("out", "out_y", "ny", "nx", "ni", "in", "in_y", "w", "bias")
"""Arguments of the first convolution; inputs as :data:`~.planar.CONV` has them."""

HEAD = ("out", "out_y", "ny", "nx", "ni", "in", "in_y", "w", "bias", "tiles")
"""Arguments of the heads: ``ni`` addresses of first voxels, and as many tiles of weights."""

_LANES = 16
_SHORTS = 2 * _LANES
"""Numbers of 16 bits in a vector."""


def convolution(name: str, height: int) -> str:
    """Return the kernel of a convolution with its activation.

    Parameters
    ----------
    name
        Symbol.
    height
        Rows of the image that add to one.
    """
    f = Function(name, CONV, _LANES)
    scratch = f.emit(f"alloca [{IMAGE_ROWS * TILE} x i8], align {ROW}")
    each = ROWS * _LANES
    with _configured(f), f.loop(f["ny"], IMAGE_ROWS) as y, f.loop(f["nx"], each) as x:
        tile_row = f.emit(f"lshr i64 {x.index}, 4")
        _sum(f, y.index, f.mul(tile_row, f["in_step"]), height)
        for m in range(IMAGE_ROWS):
            _tile_store(f, m, f.at(scratch, m * TILE), ROW)
        to = f.add(f.mul(y.index, f["out_y"]), f.mul(tile_row, f["out_step"]))
        to = f.at(f.pointer(f["out"]), to)
        left, count = f.sub(f["ny"], y.index), f.sub(f["nx"], x.index)
        for m in range(IMAGE_ROWS):
            with f.when(f.below(str(m), left)):
                sums = f.at(scratch, m * TILE)
                _finish(f, sums, f.at(to, f.mul(f["out_y"], m)), count)
    return f.text()


def _sum(f: Function, y: Value, column: Value, height: int) -> None:
    """Add up the tiles of a few rows of the image."""
    for m in range(IMAGE_ROWS):
        _tile_load(f, m, f.pointer(f["bias"]), ROW)
    with f.loop(f["ni"]) as term:
        stride = f.table("in_y", term.index)
        here = f.add(f.mul(y, stride), column)
        row = f.at(f.pointer(f.table("in", term.index)), here)
        weights = f.at(f.pointer(f["w"]), f.mul(term.index, height * TILE))
        for k in range(height):
            _tile_load(f, IMAGE_ROWS + k, f.at(weights, k * TILE), ROW)
        inputs = IMAGE_ROWS + height
        for r in range(IMAGE_ROWS + height - 1):
            row = f.at(row, stride) if r else row
            _tile_load(f, inputs, row, f["in_step"])
            for k in range(height):
                if 0 <= r - k < IMAGE_ROWS:
                    _multiply(f, r - k, inputs, IMAGE_ROWS + k)


def _finish(f: Function, sums: Value, to: Value, count: Value) -> None:
    """Apply the activation to a tile of sums, and write what counts of it."""
    few = f.below(count, ROWS * _LANES)
    with f.when(f.emit(f"xor i1 {few}, true")):
        for row in range(ROWS):
            value = _rounded(f, leaky(f, f.load(f.vector, f.at(sums, row * ROW), ROW)))
            place = f.at(to, f.mul(f["out_step"], row))
            f.store(f"<{_LANES} x bfloat>", value, place, BF16)
    with f.when(few), f.loop(str(ROWS)) as line:
        own = f.at(sums, f.mul(line.index, ROW))
        value = _rounded(f, leaky(f, f.load(f.vector, own, ROW)))
        mask = f.first_lanes(f.sub(count, f.mul(line.index, _LANES)), _LANES)
        place = f.at(to, f.mul(f["out_step"], line.index))
        f.store_masked("bfloat", _LANES, value, place, mask)


def first(name: str, vectors: int) -> str:
    """Return the kernel of the first convolution, in float32 from a plane of voxels."""
    f = Function(name, FIRST, _LANES)
    weights, bias = f.pointer(f["w"]), f.pointer(f["bias"])
    voxel = CHANNELS * BF16
    wide = _LANES * vectors
    with f.loop(f["ny"]) as y:
        to = f.at(f.pointer(f["out"]), f.mul(y.index, f["out_y"]))
        short = f.below(f["nx"], wide)
        with f.when(short), f.loop(f["nx"], _LANES) as x:
            sums = convolved(f, y.index, x.index, weights, bias, CHANNELS, 1)
            count = f.mul(f.sub(f["nx"], x.index), CHANNELS)
            here = f.at(to, f.mul(x.index, voxel))
            for n, part in enumerate(_interleaved(f, [row[0] for row in sums])):
                mask = f.first_lanes(f.sub(count, n * _SHORTS), _SHORTS)
                f.store_masked("i16", _SHORTS, part, f.at(here, n * ROW), mask)
        with f.when(f.emit(f"xor i1 {short}, true")), f.loop(f["nx"], wide) as x:
            start = f.smallest(x.index, f.sub(f["nx"], wide))
            sums = convolved(f, y.index, start, weights, bias, CHANNELS, vectors)
            here = f.at(to, f.mul(start, voxel))
            for v in range(vectors):
                for n, part in enumerate(_interleaved(f, [row[v] for row in sums])):
                    place = f.at(here, v * _LANES * voxel + n * ROW)
                    f.store(f"<{_SHORTS} x i16>", part, place, BF16)
    return f.text()


def _interleaved(f: Function, rows: Sequence[Value]) -> list[Value]:
    """Return the activations of 8 channels of 16 voxels, a voxel's channels together."""
    values = [
        f.emit(
            f"bitcast <{_LANES} x bfloat> {_rounded(f, leaky(f, row))} to "
            f"<{_LANES} x i16>"
        )
        for row in rows
    ]
    length = _LANES
    while len(values) > 1:
        half = len(values) // 2
        places = [n // 2 + n % 2 * length for n in range(2 * length)]
        values = [
            f.shuffle("i16", length, values[n::half], places) for n in range(half)
        ]
        length *= 2
    return [
        f.shuffle("i16", length, values * 2, range(n, n + _SHORTS))
        for n in range(0, length, _SHORTS)
    ]


def pooling(name: str, channels: int) -> str:
    """Return the kernel that takes the largest of 2×2×2 voxels.

    Of its arguments ``nx`` counts numbers; ``channels``, ``out_c`` and ``in_c`` are not used.
    """
    f = Function(name, POOL, _LANES)
    planes = (f.pointer(f["in"]), f.pointer(f["in2"]))
    vector = f"<{_SHORTS} x i16>"
    with f.loop(f["ny"]) as y, f.loop(f["nx"], _SHORTS) as x:
        at = f.mul(f.mul(y.index, 2), f["in_y"])
        at = f.add(at, f.mul(x.index, 2 * BF16))
        halves = []
        for half in range(2):
            best = ""
            for plane in planes:
                for row in range(2):
                    place = f.at(f.at(plane, at), f.mul(f["in_y"], row))
                    raw = f.load(vector, f.at(place, half * ROW), BF16)
                    value = _ordered(f, raw)
                    best = _larger(f, best, value) if best else value
            halves.append(best)
        pairs = [
            [2 * (n // channels) * channels + n % channels for n in range(_SHORTS)],
            [
                (2 * (n // channels) + 1) * channels + n % channels
                for n in range(_SHORTS)
            ],
        ]
        even, odd = (f.shuffle("i16", _SHORTS, halves, one) for one in pairs)
        result = _ordered(f, _larger(f, even, odd))
        to = f.add(f.mul(y.index, f["out_y"]), f.mul(x.index, BF16))
        mask = f.first_lanes(f.sub(f["nx"], x.index), _SHORTS)
        f.store_masked("i16", _SHORTS, result, f.at(f.pointer(f["out"]), to), mask)
    return f.text()


def heads(name: str) -> str:
    """Return the kernel of the heads, and of the sigmoid of their sum."""
    f = Function(name, HEAD, _LANES)
    scratch = f.emit(f"alloca [{TILE} x i8], align {ROW}")
    each = ROWS * HEAD_VOXELS
    step = HEAD_VOXELS * F32
    with _configured(f), f.loop(f["ny"]) as y, f.loop(f["nx"], each) as x:
        _tile_load(f, 0, f.pointer(f["bias"]), step)
        with f.loop(f["ni"]) as term:
            row = f.mul(y.index, f.table("in_y", term.index))
            row = f.add(row, f.mul(x.index, CHANNELS * BF16))
            here = f.at(f.pointer(f.table("in", term.index)), row)
            _tile_load(f, 1, here, ROW)
            weights = f.at(f.pointer(f["w"]), f.mul(term.index, ROWS * step))
            _tile_load(f, 2, weights, step)
            _multiply(f, 0, 1, 2)
        _tile_store(f, 0, scratch, step)
        to = f.add(f.mul(y.index, f["out_y"]), f.mul(x.index, F32))
        for n in range(0, each, _LANES):
            value = sigmoid(f, f.load(f.vector, f.at(scratch, n * F32), ROW))
            mask = f.first_lanes(f.sub(f["nx"], f.add(x.index, n)), _LANES)
            there = f.at(f.at(f.pointer(f["out"]), to), n * F32)
            f.store_masked("float", _LANES, value, there, mask)
    return f.text()


def _ordered(f: Function, value: Value) -> Value:
    """Turn bits of bfloat16 into integers that have the same order, and back."""
    vector = f"<{_SHORTS} x i16>"
    sign = f.emit(f"ashr {vector} {value}, {_each(15)}")
    flips = f.emit(f"and {vector} {sign}, {_each(0x7FFF)}")
    return f.emit(f"xor {vector} {value}, {flips}")


def _larger(f: Function, a: Value, b: Value) -> Value:
    vector = f"<{_SHORTS} x i16>"
    name = f"llvm.smax.v{_SHORTS}i16"
    return f.call(vector, name, f"{vector} {a}", f"{vector} {b}")


def _each(number: int) -> str:
    return "<" + ", ".join(f"i16 {number}" for _ in range(_SHORTS)) + ">"


def _rounded(f: Function, value: Value) -> Value:
    return f.emit(f"fptrunc {f.vector} {value} to <{_LANES} x bfloat>")


@contextmanager
def _configured(f: Function) -> Iterator[None]:
    f.call("void", "llvm.x86.ldtilecfg", f"ptr {f.pointer(f['tiles'])}")
    yield
    f.call("void", "llvm.x86.tilerelease")


def _tile_load(f: Function, tile: int, address: Value, stride: int | Value) -> None:
    name = "llvm.x86.tileloadd64"
    f.call("void", name, f"i8 immarg {tile}", f"ptr {address}", f"i64 {stride}")


def _tile_store(f: Function, tile: int, address: Value, stride: int | Value) -> None:
    name = "llvm.x86.tilestored64"
    f.call("void", name, f"i8 immarg {tile}", f"ptr {address}", f"i64 {stride}")


def _multiply(f: Function, sums: int, inputs: int, weights: int) -> None:
    tiles = (f"i8 immarg {tile}" for tile in (sums, inputs, weights))
    f.call("void", "llvm.x86.tdpbf16ps", *tiles)
