"""Kernels of one layer, and of two in a row whose map between them never leaves the chip."""

# Triton finds a kernel's types in what it is called with.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="no-untyped-def,untyped-decorator,import-untyped"

from __future__ import annotations

import triton
import triton.language as tl

from blockseg.inference.backends.cuda.kernels import (
    activated,
    grey_summed,
    inside_only,
    keep_logits,
    keep_map,
    keep_pooled,
    summed,
)

_SIZES = [
    *("raw_y", "raw_x", "a_y", "a_x", "b_y", "b_x", "target_y", "target_x"),
    *("pooled_y", "pooled_x", "tiles_z", "tiles_y", "tiles_x", "items", "depth"),
    *("core_z", "core_y", "core_x"),
]
"""Sizes that a kernel is not compiled for: windows of all shapes share one."""


@triton.jit(do_not_specialize=_SIZES)
def one_layer(
    raw, bounds, raw_y, raw_x, offset, scale, low, high,
    a, a_y, a_x, a_start, a_weights, b, b_y, b_x, b_start, b_weights, bias,
    target, target_y, target_x, origin, place, tiles_y, tiles_x,
    pooled, pooled_y, pooled_x,
    logits, result, head, head_bias, core_z, core_y, core_x, margin,
    FIRST: tl.constexpr, STEP_Z: tl.constexpr, STEP_Y: tl.constexpr,
    STEP_X: tl.constexpr, SEEN_Z: tl.constexpr, SEEN_Y: tl.constexpr,
    SEEN_X: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
    A_BLOCK: tl.constexpr, B_BLOCK: tl.constexpr,
    TILE_Z: tl.constexpr, TILE_Y: tl.constexpr, CHANNELS: tl.constexpr,
    STORED: tl.constexpr, LEVEL: tl.constexpr, EDGE: tl.constexpr, POOL: tl.constexpr,
    HEAD: tl.constexpr, TY: tl.constexpr, TX: tl.constexpr,
    STAGES: tl.constexpr, GREY: tl.constexpr,
):  # fmt: skip
    """Compute a group of tiles of one layer.

    FIRST reads grey levels; else source ``a`` of A channels and, unless B is 0, ``b``.
    Stored unless STORED is 0; pooled if POOL; HEAD as in ``keep_logits``, 0 without.
    """
    M: tl.constexpr = TY * TX
    N: tl.constexpr = TILE_Z * TILE_Y * 2 * CHANNELS
    groups_x = tl.cdiv(tiles_x, TX)
    groups_y = tl.cdiv(tiles_y, TY)
    group = tl.program_id(0)
    z = group // (groups_x * groups_y)
    m = tl.arange(0, M)
    y = (group // groups_x) % groups_y * TY + m // TX
    x = group % groups_x * TX + m % TX
    live = (y < tiles_y) & (x < tiles_x)

    acc = tl.zeros((M, N), tl.float32)
    zs, ys, xs = z * STEP_Z, y * STEP_Y, x * STEP_X
    if FIRST:
        acc = grey_summed(
            acc, raw, bounds, raw_y, raw_x, zs, ys, xs, live, a_weights,
            offset, scale, low, high, N, GREY,
        )  # fmt: skip
    else:
        acc = summed(
            acc, a, a_y, a_x, zs + a_start, ys + a_start, xs + a_start, live,
            a_weights, SEEN_Z, SEEN_Y, SEEN_X, A, N, A_BLOCK, 0, STAGES,
        )  # fmt: skip
        if B > 0:
            acc = summed(
                acc, b, b_y, b_x, zs + b_start, ys + b_start, xs + b_start, live,
                b_weights, SEEN_Z, SEEN_Y, SEEN_X, B, N, B_BLOCK, 0, STAGES,
            )  # fmt: skip

    value = activated(acc, bias, CHANNELS, N)
    zt, yt, xt = z * TILE_Z, y * TILE_Y, x * 2
    if EDGE:
        value = inside_only(
            value, bounds, zt + origin, yt + origin, xt + origin,
            CHANNELS, TILE_Y, N, LEVEL,
        )  # fmt: skip
    if STORED > 0:
        keep_map(
            target, value, target_y, target_x, zt, yt, xt, live, place,
            STORED, CHANNELS, TILE_Y, N, 0,
        )  # fmt: skip
    if POOL:
        keep_pooled(pooled, value, pooled_y, pooled_x, z, y, x, live, CHANNELS, M)
    if HEAD > 0:
        keep_logits(
            logits, result, value, head, head_bias, core_z, core_y, core_x,
            zt - margin, yt - margin, xt - margin, live, CHANNELS, N, M, HEAD,
        )  # fmt: skip


@triton.jit(do_not_specialize=_SIZES)
def two_layers(
    raw, bounds, raw_y, raw_x, offset, scale, low, high,
    a, a_y, a_x, a_start, a_weights, b, b_y, b_x, b_start, b_weights, bias,
    ring, ring_weights, ring_bias, between_origin,
    target, target_y, target_x, origin, tiles_z, tiles_y, tiles_x, items, depth,
    pooled, pooled_y, pooled_x,
    logits, result, head, head_bias, core_z, core_y, core_x, margin,
    FIRST: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
    A_BLOCK: tl.constexpr, B_BLOCK: tl.constexpr, BLOCK: tl.constexpr,
    CHANNELS: tl.constexpr, STORED: tl.constexpr, EDGE: tl.constexpr,
    POOL: tl.constexpr, HEAD: tl.constexpr, TY: tl.constexpr, TX: tl.constexpr,
    STAGES: tl.constexpr, GREY: tl.constexpr,
):  # fmt: skip
    """Compute two layers of full resolution, marching along z.

    A program takes columns of TY - 1 by TX - 1 tiles, ``depth`` tiles deep. At each
    step it computes two planes of the first layer, one tile wider, and from the last
    four of them one plane of tiles of the second. Those four planes are a ring in a
    part of device memory that belongs to the program and is rewritten all the time:
    it stays in the cache, and only what both layers read and write crosses the bus.
    """
    M: tl.constexpr = TY * TX
    N: tl.constexpr = 8 * CHANNELS
    RING: tl.constexpr = 4
    groups_x = tl.cdiv(tiles_x, TX - 1)
    groups_y = tl.cdiv(tiles_y, TY - 1)
    m = tl.arange(0, M)
    own_y = m // TX
    own_x = m % TX
    ring_size: tl.constexpr = RING * 4 * M * CHANNELS
    ring += tl.cast(tl.program_id(0), tl.int64) * ring_size
    for item in range(tl.program_id(0), items, tl.num_programs(0)):
        y = (item // groups_x) % groups_y * (TY - 1) + own_y
        x = item % groups_x * (TX - 1) + own_x
        between_live = (y <= tiles_y) & (x <= tiles_x)
        live = (y < tiles_y) & (x < tiles_x) & (own_y < TY - 1) & (own_x < TX - 1)
        begin = item // (groups_x * groups_y) * depth
        end = tl.minimum(begin + depth, tiles_z)
        for z in range(begin, end + 1):
            acc = tl.zeros((M, N), tl.float32)
            if FIRST:
                acc = grey_summed(
                    acc, raw, bounds, raw_y, raw_x, z * 2, y * 2, x * 2, between_live,
                    a_weights, offset, scale, low, high, N, GREY,
                )  # fmt: skip
            else:
                acc = summed(
                    acc, a, a_y, a_x, z * 2 + a_start, y * 2 + a_start,
                    x * 2 + a_start, between_live, a_weights, 4, 4, 4, A, N, A_BLOCK,
                    0, STAGES,
                )  # fmt: skip
                acc = summed(
                    acc, b, b_y, b_x, z * 2 + b_start, y * 2 + b_start,
                    x * 2 + b_start, between_live, b_weights, 4, 4, 4, B, N, B_BLOCK,
                    0, STAGES,
                )  # fmt: skip
            value = activated(acc, bias, CHANNELS, N)
            if EDGE:
                value = inside_only(
                    value, bounds, z * 2 + between_origin, y * 2 + between_origin,
                    x * 2 + between_origin, CHANNELS, 2, N, 0,
                )  # fmt: skip
            keep_map(
                ring, value, 2 * TY, 2 * TX, z * 2, own_y * 2, own_x * 2, between_live,
                0, CHANNELS, CHANNELS, 2, N, RING,
            )  # fmt: skip
            tl.debug_barrier()  # all of the ring is written
            if z > begin:
                tile = z - 1
                acc = tl.zeros((M, N), tl.float32)
                acc = summed(
                    acc, ring, 2 * TY, 2 * TX, tile * 2, own_y * 2, own_x * 2, live,
                    ring_weights, 4, 4, 4, CHANNELS, N, BLOCK, RING, STAGES,
                )  # fmt: skip
                value = activated(acc, ring_bias, CHANNELS, N)
                if EDGE:
                    value = inside_only(
                        value, bounds, tile * 2 + origin, y * 2 + origin,
                        x * 2 + origin, CHANNELS, 2, N, 0,
                    )  # fmt: skip
                if STORED > 0:
                    keep_map(
                        target, value, target_y, target_x, tile * 2, y * 2, x * 2,
                        live, 0, STORED, CHANNELS, 2, N, 0,
                    )  # fmt: skip
                if POOL:
                    keep_pooled(
                        pooled, value, pooled_y, pooled_x, tile, y, x, live,
                        CHANNELS, M,
                    )  # fmt: skip
                if HEAD > 0:
                    keep_logits(
                        logits, result, value, head, head_bias, core_z, core_y, core_x,
                        tile * 2 - margin, y * 2 - margin, x * 2 - margin, live,
                        CHANNELS, N, M, HEAD,
                    )  # fmt: skip
            tl.debug_barrier()  # all of the ring is read
