"""Lengths by region and by voxel, against sampling and against their totals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.atlas.affine import AffineMap
from blockseg.atlas.lengths import Lengths, by_region, by_voxel
from blockseg.atlas.volume import Atlas, AtlasSpec
from blockseg.core.space import Space
from blockseg.core.specs import VolumeSpec
from blockseg.io.protocol import MemoryVolume
from blockseg.morphology.path_pieces import LENGTH_UNIT, Segments, cut, tree_segments
from blockseg.morphology.swc import Tree


def tree_of(position, parent=None):
    n = len(position)
    parent = np.arange(n) - 1 if parent is None else parent
    return Tree(
        "tree", np.asarray(position, float), np.ones(n), np.full(n, 2),
        np.asarray(parent), np.full(n, np.nan, np.float32),
    )  # fmt: skip


def atlas_of(ids, space):
    volume = MemoryVolume(ids, space)
    spec = AtlasSpec(
        VolumeSpec("the array", "memory"), volume.shape, space, ids.dtype.name
    )
    return Atlas(spec, volume)


coordinate = st.one_of(
    st.floats(-4, 12, allow_nan=False), st.integers(-8, 24).map(lambda n: n / 2)
)
place = st.tuples(coordinate, coordinate, coordinate)


@given(st.lists(st.tuples(place, place), min_size=1, max_size=20))
@settings(max_examples=200)
def test_pieces_make_up_their_segments_and_lie_in_their_voxels(pairs):
    start, stop = np.array(pairs).transpose(1, 0, 2)
    pieces = cut(Segments(start, stop))
    total = np.bincount(pieces.segment, pieces.share, len(start))
    assert total == pytest.approx(np.ones(len(start)))
    assert (np.diff(pieces.segment) >= 0).all()
    # The middle of each piece, found anew, lies in the voxel that it names.
    after = np.cumsum(pieces.share) - np.floor(
        np.cumsum(total)[pieces.segment] - total[pieces.segment] + 1e-9
    )
    middle = after - pieces.share / 2
    point = start[pieces.segment] + (stop - start)[pieces.segment] * middle[:, None]
    assert (np.abs(point - pieces.voxel) <= 0.5 + 1e-6).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_lengths_by_voxel_are_those_of_fine_sampling(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, 3).tolist())
    size = tuple(rng.uniform(0.5, 3, 3).tolist())
    space = Space(size, "micrometer", tuple(rng.uniform(-5, 5, 3).tolist()))
    start, stop = rng.uniform(-8, 14, (2, 7, 3))
    tree = tree_of(
        np.stack([start, stop], 1).reshape(-1, 3), np.array([-1, 0] * 7).reshape(7, 2)
        .__add__(2 * np.arange(7)[:, None] * np.array([0, 1])).ravel(),
    )  # fmt: skip
    found = by_voxel(tree, shape, space)
    steps = 20_000
    at = (np.arange(steps) + 0.5)[:, None, None] / steps
    points = (start + (stop - start) * at).reshape(-1, 3)
    voxel = np.floor((points - space.translation) / size + 0.5).astype(int)
    inside = ((voxel >= 0) & (voxel < shape)).all(1)
    number = np.full(len(voxel), -1)
    number[inside] = np.ravel_multi_index(tuple(voxel[inside].T), shape)
    each = np.tile(np.linalg.norm(stop - start, axis=1) / steps, steps)
    wanted = np.bincount(number + 1, each, np.prod(shape) + 1)
    got = np.zeros(len(wanted))
    got[found.key + 1] = found.units * LENGTH_UNIT
    assert got == pytest.approx(wanted, abs=20 * each.max())


@given(
    st.integers(0, 2**32 - 1), st.sampled_from(["uint8", "int32", "uint32", "uint64"])
)
@settings(max_examples=30)
def test_the_lengths_of_all_regions_add_up_to_the_length_of_the_tree(seed, dtype):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 4, rng.integers(1, 9, 3)).astype(dtype)
    ids[ids == 3] = np.iinfo(dtype).max
    space = Space(
        tuple(rng.uniform(0.5, 5, 3)), "micrometer", tuple(rng.normal(size=3))
    )
    tree = tree_of(np.cumsum(rng.normal(size=(300, 3)), axis=0) + 5)
    whole = tree_segments(tree).length.sum()
    atlas = atlas_of(ids, space)
    regions, voxels = by_region(tree, atlas), by_voxel(tree, ids.shape, space)
    assert regions.units.sum() * LENGTH_UNIT == pytest.approx(whole, rel=1e-6)
    # Voxel by voxel it is the same length.
    by_id: dict[int, int] = {}
    for key, units in zip(voxels.key.tolist(), voxels.units.tolist(), strict=True):
        region = 0 if key < 0 else int(ids.ravel()[key])
        by_id[region] = by_id.get(region, 0) + units
    said = {
        atlas.spec.said(key): units
        for key, units in zip(regions.key.tolist(), regions.units.tolist(), strict=True)
    }
    assert said == by_id


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_lengths_are_the_same_in_whatever_parts_a_tree_is_counted(seed):
    rng = np.random.default_rng(seed)
    position = np.cumsum(rng.normal(size=(200, 3)), axis=0) + 5
    space = Space((1.5, 1.0, 2.0), "micrometer")
    whole = by_voxel(tree_of(position), (9, 8, 7), space)
    cut_at = int(rng.integers(1, 199))
    parts = [
        by_voxel(tree_of(some), (9, 8, 7), space)
        for some in (position[cut_at:], position[: cut_at + 1])
    ]
    together = Lengths.sum(parts)
    assert together.to_bytes() == whole.to_bytes()
    assert Lengths.from_bytes(whole.to_bytes()).to_bytes() == whole.to_bytes()


def test_an_affine_map_stretches_lengths_and_keeps_those_of_the_sample():
    twice = AffineMap(((2.0, 0, 0, 10), (0, 2.0, 0, 0), (0, 0, 2.0, 0)))
    tree = tree_of([(0, 0, 0), (0, 3, 4), (0, 3, 10)])
    ids = np.ones((30, 30, 30), np.uint8)
    found = by_region(tree, atlas_of(ids, Space((1, 1, 1), "micrometer")), twice)
    assert found.key.tolist() == [1]
    assert found.units[0] * LENGTH_UNIT == pytest.approx(22)
    assert found.in_sample[0] * LENGTH_UNIT == pytest.approx(11)


def test_the_outline_of_a_soma_is_no_neurite():
    tree = tree_of([(0, 0, 0), (0, 0, 5), (0, 0, 9)])
    tree.kind[:2] = 1
    assert tree_segments(tree).length.tolist() == [4]


def test_a_tree_of_one_node_has_no_length():
    found = by_voxel(tree_of([(1, 1, 1)]), (3, 3, 3), Space())
    assert found.units.sum() == 0


def test_a_path_along_a_face_between_voxels_is_counted_once():
    segments = Segments(np.array([[0.5, 0.5, 0.0]]), np.array([[0.5, 0.5, 3.0]]))
    pieces = cut(segments)
    assert pieces.share.sum() == pytest.approx(1)
    assert pieces.voxel.tolist() == [[1, 1, k] for k in (0, 1, 2, 3)]
