"""The pyramid against a NumPy oracle, for shapes that do not fit."""

import pickle
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tensorstore as ts
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from blockseg.core.geometry import Roi, Zyx
from blockseg.core.grid import BlockGrid
from blockseg.io.output.create import create_output, missing_files, predicted_files
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter

if TYPE_CHECKING:
    from blockseg.io.stores.location import Location

EXTENTS = st.sampled_from([1, 2, 3, 7, 16, 33, 100, 129, 150, 263])
SHAPES = st.tuples(EXTENTS, EXTENTS, EXTENTS).filter(
    lambda shape: shape[0] * shape[1] * shape[2] <= 300_000
)
EDGES = st.sampled_from([4, 8, 12, 64, 68, 96, 128, 192, 256])
BLOCKS = st.tuples(EDGES, EDGES, EDGES)


def oracle(data: NDArray[Any], reduce: str) -> NDArray[Any]:
    """Voxel by voxel groups, on a copy padded with what does not count."""
    z, y, x = (n + n % 2 for n in data.shape)
    padded = np.full((z, y, x), np.nan)
    padded[tuple(slice(0, n) for n in data.shape)] = data
    groups = padded.reshape(z // 2, 2, y // 2, 2, x // 2, 2)
    axes = (1, 3, 5)
    result = np.nanmax(groups, axes) if reduce == "max" else np.nanmean(groups, axes)
    if data.dtype.kind != "f":
        result = np.rint(result)
    coarse: NDArray[Any] = result.astype(data.dtype)
    return coarse


def sparse(shape: Zyx, dtype: str, seed: int) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, shape).astype(dtype)
    data[rng.random(shape) < 0.7] = 0
    data[: shape[0] // 2, :, : shape[2] // 3] = 0
    return data


def write_all(spec: PyramidSpec, data: NDArray[Any], order: list[int]) -> None:
    writer = PyramidWriter(spec)
    for block_id in order:
        roi = spec.grid.numbered(block_id).write_roi
        writer.write_block(roi, data[roi.slices()])
    for level, grid in spec.second_pass_grids():
        for block in grid:
            writer.write_level_block(level, block.index)


def read(spec: PyramidSpec, level: int) -> NDArray[Any]:
    store = ts.open(
        {
            "driver": "zarr3" if spec.zarr_format == 3 else "zarr",
            "kvstore": {"driver": "file", "path": f"{spec.uri}/{level}/"},
        }
    ).result()
    data: NDArray[Any] = store.read().result()
    return data


def data_files(spec: PyramidSpec) -> list[Path]:
    return [
        path
        for path in Path(spec.uri).rglob("*")
        if path.is_file() and path.name.isdigit()
    ]


@settings(deadline=None, max_examples=60)
@given(shape=SHAPES, block=BLOCKS)
def test_every_chunk_and_shard_is_written_by_exactly_one_block(
    shape: Zyx, block: Zyx
) -> None:
    for zarr_format in (2, 3):
        spec = PyramidSpec("/nowhere", shape, block, zarr_format=zarr_format)
        spec.check_grid(BlockGrid(shape, block))
        for level in spec.levels:
            writers: Counter[Location] = Counter()
            for shard in level.grid:
                writers.update(spec.stored_files(level, shard.write_roi))
            whole = spec.stored_files(level, Roi.whole(level.shape))
            assert set(writers) == set(whole)
            assert set(writers.values()) == {1}


@settings(deadline=None, max_examples=200)
@given(
    shape=st.tuples(*[st.integers(1, 20_000)] * 3),
    block=st.tuples(*[st.integers(1, 160).map(lambda n: 4 * n)] * 3),
)
def test_levels_halve_to_the_coarsest_and_chunks_divide_the_block(
    shape: Zyx, block: Zyx
) -> None:
    spec = PyramidSpec("/nowhere", shape, block)
    assert spec.levels[0].shape == shape
    assert spec.levels[0].shard == block
    for b, c in zip(block, spec.levels[0].chunk, strict=True):
        assert c == max(d for d in range(1, 65) if b % d == 0)
    for level in spec.levels:
        factor = 2**level.index
        assert level.shape == tuple(-(-n // factor) for n in shape)
        footprint_fits = all(
            b % (c * factor) == 0
            for b, c in zip(block, spec.levels[0].chunk, strict=True)
        )
        assert level.inline == footprint_fits
        if level.inline:
            assert tuple(s * factor for s in level.shard) == block
            assert level.chunk == spec.levels[0].chunk
    extents = [max(level.shape) for level in spec.levels]
    assert extents[-1] <= 128
    assert all(extent > 128 for extent in extents[:-1])


@settings(deadline=None, max_examples=40)
@given(
    shape=SHAPES,
    block=BLOCKS,
    reduce=st.sampled_from(["max", "mean"]),
    dtype=st.sampled_from(["uint8", "uint16", "uint32", "int16", "float32"]),
    zarr_format=st.sampled_from([2, 3]),
    seed=st.integers(0, 2**16),
)
def test_the_pyramid_equals_the_oracle_whatever_the_order_of_blocks(
    shape: Zyx,
    block: Zyx,
    reduce: Literal["max", "mean"],
    dtype: Literal["uint8", "uint16", "uint32", "int16", "float32"],
    zarr_format: Literal[2, 3],
    seed: int,
) -> None:
    # enough blocks to have seams, few enough files to be quick
    block = tuple(max(b, -(-n // 12) * 4) for b, n in zip(block, shape, strict=True))  # type: ignore[assignment]
    data = sparse(shape, dtype, seed)
    with tempfile.TemporaryDirectory() as folder:
        spec = PyramidSpec(
            f"{folder}/out", shape, block, dtype, zarr_format=zarr_format, reduce=reduce
        )
        create_output(spec)
        order = list(range(len(spec.grid)))
        random.Random(seed).shuffle(order)
        write_all(pickle.loads(pickle.dumps(spec)), data, order)
        expected = data
        for level in spec.levels:
            if level.index:
                expected = oracle(expected, reduce)
            np.testing.assert_array_equal(read(spec, level.index), expected)
            empty = [
                file.exists()
                for roi in (b.write_roi for b in level.grid)
                for file in spec.stored_files(level, roi)
                if zarr_format == 3 and not expected[roi.slices()].any()
            ]
            assert not any(empty)
        filled = [
            i for i, b in enumerate(spec.grid) if data[b.write_roi.slices()].any()
        ]
        assert missing_files(spec, order) == tuple(i for i in order if i not in filled)
        assert len(
            [path for path in Path(spec.uri).rglob("*") if path.is_file()]
        ) <= predicted_files(spec, len(filled))
