"""Checks of a result, over drawn shapes and drawn damage."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blockseg.blockwise.record.record import RunRecord
from blockseg.checks.seams.faces import sample_faces, straddling, written_faces
from blockseg.checks.verification.images import JobImages
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.io.output.create import create_output
from blockseg.io.output.proven import StoredProbability
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.stored_images import stored_image
from blockseg.io.output.writer import PyramidWriter
from blockseg.io.output.written_files import damaged_files, stored_file

FORMATS = st.sampled_from([2, 3])
LENGTHS = st.integers(1, 280)
SHAPES = st.tuples(st.integers(1, 40), LENGTHS, LENGTHS)


def record_of(spec: PyramidSpec) -> RunRecord:
    phases = [{"name": "copy", "blocks": len(spec.grid), "grid": spec.grid.counts}]
    phases += [
        {
            "name": f"pyramid-{spec.name}-{level}",
            "blocks": len(grid),
            "grid": grid.counts,
        }
        for level, grid in spec.second_pass_grids()
    ]
    decisions = {"block": list(spec.block)}
    return RunRecord({"settings": {}}, decisions, {}, {"phases": phases})


def written(spec: PyramidSpec, seed: int) -> dict[str, tuple[str, int]]:
    """Write an image; which pass and block wrote each file."""
    create_output(spec)
    writer, random = PyramidWriter(spec), np.random.default_rng(seed)
    files = {}
    for block in spec.grid:
        data = random.integers(0, 3, block.write_roi.shape).astype(np.uint8)
        data[random.random(data.shape) < 0.5] = 0
        if random.random() < 0.3:
            data[:] = 0
        for file in writer.write_block(block.write_roi, data).stored:
            files[file.path] = ("copy", block.number)
    for level, grid in spec.second_pass_grids():
        for block in grid:
            for file in writer.write_level_block(level, block.index).stored:
                files[file.path] = (f"pyramid-{spec.name}-{level}", block.number)
    return files


@settings(max_examples=12)
@given(
    shape=SHAPES,
    block=st.tuples(*[st.sampled_from([8, 12, 32, 64])] * 3),
    zarr_format=FORMATS,
    seed=st.integers(0, 99),
)
def test_each_file_is_attributed_to_the_block_that_wrote_it(
    tmp_path_factory, shape, block, zarr_format, seed
):
    out = tmp_path_factory.mktemp("out")
    spec = PyramidSpec(str(out), shape, block, zarr_format=zarr_format)
    files = written(spec, seed)
    images = JobImages.of(out, record_of(spec))
    assert {file: images.writer_of(file) for file in files} == files
    (image,) = images.images
    for level in image.levels:
        for name in ("zarr.json", "c/0/0", "c/0/0/0/0", "c/00/0/0", "c/9999/0/0", "x"):
            assert level.index_of(f"{level.path}/{name}") is None
    shutil.rmtree(out)


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """One shard of several chunks with the voxels in it."""
    out = tmp_path_factory.mktemp("shard")
    spec = PyramidSpec(str(out), (70, 130, 128), (70, 130, 128))
    random = np.random.default_rng(5)
    data = random.integers(0, 256, spec.shape).astype(np.uint8)
    data[:, :65] *= random.random(data[:, :65].shape) < 0.01
    data[:, 65:, 64:] = 0
    create_output(spec)
    (file, *_) = PyramidWriter(spec).write_block(Roi.whole(spec.shape), data).stored
    return spec, data, Path(out, file.path), file


@settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_and_proves_nothing_wrong(shard, place, bit):
    spec, data, path, file = shard
    good = path.read_bytes()
    torn = bytearray(good)
    torn[int(place * len(torn))] ^= 1 << bit
    try:
        path.write_bytes(torn)
        found = damaged_files(spec.uri, [(0, file)], contents=True)
        assert [one.what for one in found] == ["has another content"]
        # Of what lies on disk nothing is taken over that is not as it was written.
        voxels = StoredProbability(spec, (0, 0, 0)).proven(Roi.whole(spec.shape))
        assert voxels is None or (voxels == data).all()
    finally:
        path.write_bytes(good)


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(length=st.floats(0, 1, exclude_max=True))
def test_a_torn_shard_is_found_and_proves_nothing(shard, length):
    spec, _, path, file = shard
    good = path.read_bytes()
    try:
        path.write_bytes(good[: int(length * len(good))])
        (found,) = damaged_files(spec.uri, [(0, file)], contents=True)
        assert "bytes and had" in found.what
        stored = StoredProbability(spec, (0, 0, 0))
        assert stored.proven(Roi.whole(spec.shape)) is None
    finally:
        path.write_bytes(good)


def test_an_undisturbed_shard_is_taken_over_and_nothing_without_checksums(
    shard, tmp_path
):
    spec, data, path, file = shard
    assert stored_file(spec.uri, file.path) == file
    whole = Roi.whole(spec.shape)
    assert (StoredProbability(spec, (0, 0, 0)).proven(whole) == data).all()
    moved = whole.shifted((8, 16, 24))
    assert (StoredProbability(spec, (8, 16, 24)).proven(moved) == data).all()
    path.rename(tmp_path / "elsewhere")
    assert StoredProbability(spec, (0, 0, 0)).proven(whole) is None
    (tmp_path / "elsewhere").rename(path)
    old = PyramidSpec(str(tmp_path / "old"), (8, 8, 8), (8, 8, 8), zarr_format=2)
    create_output(old)
    PyramidWriter(old).write_block(Roi.whole((8, 8, 8)), np.ones((8, 8, 8), np.uint8))
    assert StoredProbability(old, (0, 0, 0)).proven(Roi.whole((8, 8, 8))) is None


@given(
    counts=st.tuples(*[st.integers(1, 4)] * 3),
    rest=st.tuples(*[st.integers(0, 15)] * 3),
    window=st.tuples(*[st.sampled_from([8, 16, 24, 32])] * 3),
    first=st.tuples(*[st.integers(0, 9)] * 3),
    count=st.integers(1, 40),
    seed=st.integers(0, 9),
)
def test_windows_straddle_faces_of_written_blocks(
    counts, rest, window, first, count, seed
):
    random = np.random.default_rng(seed)
    size = tuple(16 * n - r for n, r in zip(counts, rest, strict=True))
    shape = tuple(n + a + 5 for n, a in zip(size, first, strict=True))
    roi = Roi(first, tuple(a + n for a, n in zip(first, size, strict=True)))
    grid = BlockGrid(shape, (16, 16, 16), (6, 6, 6), roi, 4)
    done = random.random(len(grid)) < 0.8
    faces = written_faces(grid, done)
    pairs = {(one.before, one.behind) for one in faces}
    assert len(pairs) == len(faces)
    for one in grid:
        for axis in range(3):
            index = list(one.index)
            index[axis] += 1
            if index[axis] < grid.counts[axis]:
                behind = grid.id_of(to_zyx(index))
                both = bool(done[one.number] and done[behind])
                assert ((one.number, behind) in pairs) == both
    chosen = sample_faces(faces, done, count, random)
    assert len(chosen) == min(count, len(faces))
    assert len(set(chosen)) == len(chosen)
    for face in chosen:
        block = straddling(face, grid, window, random)
        assert grid.region.contains(block.write_roi)
        assert block.read_roi.contains(block.write_roi)
        at = grid.numbered(face.behind).write_roi.start[face.axis]
        low, high = (
            block.write_roi.start[face.axis],
            block.write_roi.stop[face.axis],
        )
        assert low < at < high or low == grid.region.start[face.axis]
        for axis, n in enumerate(block.write_roi.shape):
            assert n == min(window[axis], grid.region.shape[axis])


def test_metadata_that_cannot_be_read_are_no_image(tmp_path):
    spec = PyramidSpec(str(tmp_path / "o"), (8, 200, 8), (8, 8, 8))
    create_output(spec)
    image = stored_image(tmp_path / "o", "")
    assert image is not None
    assert [level.shape for level in image.levels] == [v.shape for v in spec.levels]
    for text in (
        "",
        "{",
        "[]",
        '{"attributes": {"ome": {"multiscales": 3}}}',
        "[" * 10**5,
    ):
        (tmp_path / "o/zarr.json").write_text(text)
        assert stored_image(tmp_path / "o", "") is None
