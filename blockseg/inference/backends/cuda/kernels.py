"""Parts of our Triton kernels: a tile's inputs, its sums, what is kept of them.

A program works on a group of ``TY`` × ``TX`` tiles of one plane (:mod:`blockseg.inference.backends.cuda.plan`).
Vectors along tiles have M = TY · TX entries, those along a tile's sums N: its voxels
(z, y, x) and their channels, in C order. All sizes in capitals are powers of two.

Loads are 16 bytes a lane, along the channels. A plane is found with 64 bits and a voxel
within four planes with 32, which costs half the registers: a plane holds less than 2**29
values. Every
kernel does what its source says on any device of compute capability 8.0 or more, and
in Triton's interpreter.
"""

# Triton finds a kernel's types in what it is called with.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="no-untyped-def,untyped-decorator,import-untyped"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def summed(
    acc, source, size_y, size_x, z, y, x, live, weights,
    SEEN_Z: tl.constexpr, SEEN_Y: tl.constexpr, SEEN_X: tl.constexpr,
    CHANNELS: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr,
    RING: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Add what one source contributes to the sums ``acc (M, N)`` of tiles.

    ``z``, ``y (M,)`` and ``x (M,)`` are the first voxels that the tiles see. One row of
    a tile is contiguous in memory: ``SEEN_X`` voxels and their channels, taken in
    parts of ``BLOCK``. A source with a RING keeps that many planes only.
    """
    parts: tl.constexpr = SEEN_X * CHANNELS // BLOCK
    k = tl.arange(0, BLOCK)
    n = tl.arange(0, N)
    row_stride = size_x * CHANNELS
    plane_stride = tl.cast(size_y * row_stride, tl.int64)
    tiles = ((y * size_x + x) * CHANNELS)[:, None] + k[None, :]
    columns = k[:, None] * N + n[None, :]
    for step in tl.range(0, SEEN_Z * SEEN_Y * parts, num_stages=STAGES):
        row = step // parts
        plane = z + row // SEEN_Y
        if RING > 0:
            plane = plane % RING
        first = plane * plane_stride + (row % SEEN_Y) * row_stride
        first += (step % parts) * BLOCK
        # Neighbours in x, y and z see the same voxels: by way of the first cache.
        a = tl.load(
            source + first + tiles, live[:, None], other=0.0, cache_modifier=".ca"
        )
        b = tl.load(weights + step * (BLOCK * N) + columns)
        acc = tl.dot(a, b, acc)
    return acc


@triton.jit
def grey_summed(
    acc, raw, bounds, size_y, size_x, z, y, x, live, weights,
    offset, scale, low, high, N: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Add what the 4×4×4 normalised grey levels that tiles see contribute to ``acc``.

    0 where there is no voxel. ``raw`` holds uint16 as int16, which every version of
    torch and Triton knows. Taken in parts of ``BLOCK`` levels, to save registers.
    """
    plane = size_y * size_x
    tiles = (y * size_x + x)[:, None]
    columns = tl.arange(0, N)[None, :]
    for first in tl.range(0, 64, BLOCK):
        k = first + tl.arange(0, BLOCK)
        zs = z + k // 16
        ys = y[:, None] + ((k // 4) % 4)[None, :]
        xs = x[:, None] + (k % 4)[None, :]
        known = (zs >= tl.load(bounds)) & (zs < tl.load(bounds + 3))
        known = known[None, :] & live[:, None]
        known = known & (ys >= tl.load(bounds + 1)) & (ys < tl.load(bounds + 4))
        known = known & (xs >= tl.load(bounds + 2)) & (xs < tl.load(bounds + 5))
        at = tiles + (k // 16 * plane + (k // 4) % 4 * size_x + k % 4)[None, :]
        levels = tl.load(raw + z * tl.cast(plane, tl.int64) + at, known, other=0)
        seen = ((levels.to(tl.int32) & 0xFFFF).to(tl.float32) - offset) / scale
        seen = tl.minimum(tl.maximum(seen, low), high)
        seen = tl.minimum(tl.maximum(seen, -65504.0), 65504.0)
        seen = tl.where(known, seen, 0.0).to(tl.float16)
        acc = tl.dot(seen, tl.load(weights + (k * N)[:, None] + columns), acc)
    return acc


@triton.jit
def activated(acc, bias, CHANNELS: tl.constexpr, N: tl.constexpr):
    """Return the sums with their bias, through the leaky ReLU."""
    value = acc + tl.load(bias + tl.arange(0, N) % CHANNELS)[None, :]
    return tl.where(value > 0, value, value * 0.2)


@triton.jit
def inside_only(
    value, bounds, z, y, x,
    CHANNELS: tl.constexpr, TILE_Y: tl.constexpr, N: tl.constexpr, LEVEL: tl.constexpr,
):  # fmt: skip
    """Return ``value (M, N)``, 0 beyond the volume.

    ``z``, ``y``, ``x`` are the tiles' first voxels in the window, in voxels of the
    level. The volume ends at multiples of the coarsest voxel, so none straddles it.
    """
    n = tl.arange(0, N)
    zs = z + n // (2 * CHANNELS * TILE_Y)
    ys = y[:, None] + ((n // (2 * CHANNELS)) % TILE_Y)[None, :]
    xs = x[:, None] + ((n // CHANNELS) % 2)[None, :]
    keep = (zs >= tl.load(bounds + 6) >> LEVEL) & (zs < tl.load(bounds + 9) >> LEVEL)
    keep = keep[None, :]
    keep = keep & (ys >= tl.load(bounds + 7) >> LEVEL)
    keep = keep & (ys < tl.load(bounds + 10) >> LEVEL)
    keep = keep & (xs >= tl.load(bounds + 8) >> LEVEL)
    keep = keep & (xs < tl.load(bounds + 11) >> LEVEL)
    return tl.where(keep, value, 0.0)


@triton.jit
def keep_map(
    target, value, size_y, size_x, z, y, x, live, place,
    STORED: tl.constexpr, CHANNELS: tl.constexpr, TILE_Y: tl.constexpr,
    N: tl.constexpr, RING: tl.constexpr,
):  # fmt: skip
    """Store tiles ``(M, N)`` in a map of ``STORED`` channels, from channel ``place`` on.

    ``z``, ``y``, ``x`` are the tiles' first voxels there. What overflows fp16 is kept
    finite: an infinity would spread as NaN.
    """
    n = tl.arange(0, N)
    row = size_x * STORED
    plane = size_y * row
    if RING > 0:
        z = z % RING
    first = z * tl.cast(plane, tl.int64) + place
    voxel = n // (2 * CHANNELS * TILE_Y) * plane + (n // (2 * CHANNELS)) % TILE_Y * row
    voxel = voxel + (n // CHANNELS) % 2 * STORED + n % CHANNELS
    at = ((y * size_x + x) * STORED)[:, None] + voxel[None, :]
    half = tl.minimum(tl.maximum(value, -65504.0), 65504.0).to(tl.float16)
    tl.store(target + first + at, half, live[:, None])


@triton.jit
def keep_pooled(
    target, value, size_y, size_x, z, y, x, live,
    CHANNELS: tl.constexpr, M: tl.constexpr,
):  # fmt: skip
    """Store the greatest of the eight voxels of each tile; z, y, x count tiles."""
    pooled = tl.max(tl.reshape(value, (M, 8, CHANNELS)), axis=1)
    pooled = tl.minimum(tl.maximum(pooled, -65504.0), 65504.0).to(tl.float16)
    c = tl.arange(0, CHANNELS)
    first = z * tl.cast(size_y * size_x * CHANNELS, tl.int64)
    at = ((y * size_x + x) * CHANNELS)[:, None] + c[None, :]
    tl.store(target + first + at, pooled, live[:, None])


@triton.jit
def keep_logits(
    logits, result, value, head, head_bias, core_z, core_y, core_x, z, y, x, live,
    CHANNELS: tl.constexpr, N: tl.constexpr, M: tl.constexpr, HEAD: tl.constexpr,
):  # fmt: skip
    """Set (HEAD 1) or add to (2) the logits of the core, or end with its bytes (3).

    ``z``, ``y``, ``x`` are the tiles' first voxels in the core; most of a map's margin
    lies outside it.
    """
    share = value * tl.load(head + tl.arange(0, N) % CHANNELS)[None, :]
    share = tl.sum(tl.reshape(share, (M, 8, CHANNELS)), axis=2)
    voxel = tl.arange(0, 8)
    zs = z + voxel // 4
    ys = y[:, None] + ((voxel // 2) % 2)[None, :]
    xs = x[:, None] + (voxel % 2)[None, :]
    keep = ((zs >= 0) & (zs < core_z))[None, :] & live[:, None]
    keep = keep & (ys >= 0) & (ys < core_y) & (xs >= 0) & (xs < core_x)
    plane = core_y * core_x
    first = z * tl.cast(plane, tl.int64)
    at = (y * core_x + x)[:, None]
    at = at + (voxel // 4 * plane + (voxel // 2) % 2 * core_x + voxel % 2)[None, :]
    if HEAD > 1:
        share = share + tl.load(logits + first + at, keep, other=0.0)
    if HEAD < 3:
        tl.store(logits + first + at, share, keep)
    else:
        scaled = 255.0 * tl.sigmoid(share + head_bias)
        # Above 2**23 float32 holds whole numbers: adding it rounds, half to even.
        rounded = (scaled + 8388608.0) - 8388608.0
        tl.store(result + first + at, rounded.to(tl.uint8), keep)
