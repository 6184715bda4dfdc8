"""Lines of blocks are those of the whole image, whatever the blocks."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import cKDTree

from blockseg.core.errors import LedgerError
from blockseg.core.grid import BlockGrid
from blockseg.morphology.topology import labelled
from blockseg.skeletons.block_lines import BlockLines, block_lines, joined
from blockseg.skeletons.cavities import EDGE, filled
from blockseg.skeletons.forest import object_forest, without_spurs
from blockseg.skeletons.graph import graph_of
from blockseg.skeletons.loops import without_cycles
from blockseg.skeletons.neighbourhood import OFFSETS, DeletableTable
from blockseg.skeletons.thinning import thin
from blockseg.skeletons.trees import trees_of

SIZE = (1.0, 0.35, 0.35)


def reader(labels):
    return lambda roi: labels[roi.slices()]


def in_blocks(labels, block, size=SIZE, **how):
    grid = BlockGrid(labels.shape, block)
    return joined(
        block_lines(reader(labels), b.write_roi, labels.shape, size, **how)
        for b in grid
    )


def same(one, other):
    for name in ("component", "voxel", "radius", "core"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    edges = np.unique(one.edges, axis=0)
    np.testing.assert_array_equal(edges, np.unique(other.edges, axis=0))


def tubes(rng, shape, count, radius):
    """A mask of wandering tubes, of any thickness up to ``radius``."""
    out = np.zeros(shape, bool)
    for _ in range(count):
        at = rng.uniform(0, shape)
        way = rng.normal(size=3)
        r = rng.uniform(0.5, radius)
        for _ in range(120):
            way = way + 0.35 * rng.normal(size=3)
            way /= np.linalg.norm(way)
            at = at + way
            lo = np.maximum(np.floor(at - r).astype(int), 0)
            hi = np.minimum(np.ceil(at + r).astype(int) + 1, shape)
            if (lo >= hi).any():
                break
            grid = np.ogrid[tuple(map(slice, lo, hi))]
            near = sum((g - a) ** 2 for g, a in zip(grid, at, strict=True)) <= r * r
            out[tuple(map(slice, lo, hi))] |= near
    return out


def spiral(shape):
    z, y, x = np.indices(shape)
    cy, cx = (shape[1] - 1) / 2, (shape[2] - 1) / 2
    angle = np.arctan2(y - cy, x - cx) / (2 * np.pi)
    distance = np.hypot(y - cy, x - cx)
    turn = (z - shape[0] / 2) / 9 - angle
    return (np.abs(turn - np.round(turn)) < 0.2) & (np.abs(distance - 0.7 * cy) < 2.5)


@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.sampled_from([0.02, 0.1, 0.3, 0.6, 0.95]),
    shape=st.tuples(*[st.integers(1, 40)] * 3),
    block=st.tuples(*[st.integers(7, 30)] * 3),
)
@settings(max_examples=25)
def test_lines_of_random_masks_do_not_depend_on_the_blocks(seed, density, shape, block):
    rng = np.random.default_rng(seed)
    labels = labelled(rng.random(shape) < density)[0].astype(np.uint64)
    whole = in_blocks(labels, shape)
    same(in_blocks(labels, block, halos=(EDGE + 16, EDGE + 147)), whole)


@pytest.mark.parametrize("seed", range(4))
def test_lines_of_tubes_do_not_depend_on_the_blocks(seed):
    rng = np.random.default_rng(seed)
    shape = (70, 90, 110)
    mask = tubes(rng, shape, 14, 6) if seed else spiral(shape)
    labels = labelled(mask)[0].astype(np.uint64)
    whole = in_blocks(labels, shape)
    block = tuple(rng.integers(18, 60, 3).tolist())
    same(in_blocks(labels, block), whole)
    assert len(whole) < 0.3 * np.count_nonzero(mask)


@pytest.mark.parametrize("fill", [0, 1])
def test_lines_of_nothing_and_of_everything(fill):
    labels = np.full((40, 40, 40), fill, np.uint64)
    whole = in_blocks(labels, (40, 40, 40))
    same(in_blocks(labels, (40, 20, 17), halos=(EDGE + 16, EDGE + 147)), whole)
    assert (len(whole) > 0) == bool(fill)


@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.sampled_from([0.05, 0.2, 0.4]),
)
@settings(max_examples=20)
def test_thinning_keeps_components_and_tunnels(seed, density):
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.random((24, 24, 24)), 0.7)
    mask = mask > np.quantile(mask, 1 - density)
    mask = np.pad(mask, 1)
    line = np.zeros(mask.shape, bool)
    line.reshape(-1)[thin(mask.astype(np.uint8)).place] = True
    assert not (line & ~mask).any()
    every = np.ones((3, 3, 3))
    assert ndimage.label(line, every)[1] == ndimage.label(mask, every)[1]
    assert ndimage.label(~line)[1] == ndimage.label(~mask)[1]
    assert euler(line) == euler(mask)


def euler(mask):
    """Euler number of voxels as closed cubes: vertices - edges + faces - cubes."""
    m = np.pad(mask, 1)
    total = 0
    for axes in np.ndindex(2, 2, 2):
        # Cells that span the axes of value 1; present if any cube around them is.
        cell = m
        for axis, spans in enumerate(axes):
            if not spans:
                first = np.moveaxis(cell, axis, 0)
                cell = np.moveaxis(first[:-1] | first[1:], 0, axis)
        total += (-1) ** sum(axes) * np.count_nonzero(cell)
    return total


def test_simple_points_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    codes = np.unique(rng.integers(0, 2**26, 3000, dtype=np.uint32))
    codes = codes & rng.integers(0, 2**26, len(codes), dtype=np.uint32)
    answers = DeletableTable()(codes)
    near = np.array([sum(map(abs, o)) <= 2 for o in OFFSETS])
    for code, answer in zip(codes, answers, strict=True):
        bits = (int(code) >> np.arange(26)) & 1 == 1
        cube = np.zeros((3, 3, 3), bool)
        free = np.zeros((3, 3, 3), bool)
        for k, offset in enumerate(OFFSETS):
            at = tuple(o + 1 for o in offset)
            cube[at] = bits[k]
            free[at] = not bits[k] and near[k]
        parts, _ = ndimage.label(free)
        faces = [parts[0, 1, 1], parts[2, 1, 1], parts[1, 0, 1], parts[1, 2, 1]]
        faces += [parts[1, 1, 0], parts[1, 1, 2]]
        beside = {f for f in faces if f}
        joined_up = ndimage.label(cube, np.ones((3, 3, 3)))[1] == 1
        assert answer == (joined_up and len(beside) == 1 and bits.sum() > 1)


def test_small_cavities_are_filled_and_nothing_else():
    labels = np.zeros((40, 40, 40), np.uint64)
    labels[5:35, 5:35, 5:35] = 7
    labels[10, 10, 10] = 0
    labels[20:24, 20:24, 12:20] = 0
    labels[20:24, 10:14, 20:29] = 0  # too long
    labels[5:8, 30, 30] = 0  # open
    out = filled(labels)
    assert out[10, 10, 10] == 7
    assert (out[20:24, 20:24, 12:20] == 7).all()
    assert (out[20:24, 10:14, 20:29] == 0).all()
    assert (out[5:8, 30, 30] == 0).all()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6])
def test_bars_of_every_width_keep_their_length(width):
    labels = np.zeros((20, 20, 52), np.uint64)
    labels[6 : 6 + width, 6 : 6 + width, 6:46] = 1
    lines = in_blocks(labels, (20, 20, 13))
    assert 40 - 2 * width <= len(lines) <= 40


def test_a_ring_becomes_a_tree_and_a_bump_is_no_branch():
    z, y, x = np.indices((30, 60, 60))
    ring = (np.hypot(y - 30, x - 30) - 18) ** 2 + (z - 15) ** 2 <= 9
    ring[19, 48, 30] = True
    labels = ring.astype(np.uint64)
    size = (1.0, 1.0, 1.0)
    graph = graph_of(in_blocks(labels, (16, 32, 32), size), labels.shape, size)
    tree = without_spurs(without_cycles(graph))
    assert len(tree.edges) == len(tree) - 1
    assert sorted(tree.degrees())[:3] == [1, 1, 2]
    assert max(tree.degrees()) == 2
    assert abs(tree.lengths().sum() / (2 * np.pi * 18) - 1) < 0.1


def image_of(*paths):
    """Return labels of lines a voxel wide through places (z, y, x)."""
    labels = np.zeros((9, 90, 90), np.uint64)
    for path in paths:
        for a, b in itertools.pairwise(path):
            steps = max(abs(q - p) for p, q in zip(a, b, strict=True))
            for k in range(steps + 1):
                at = [p + (q - p) * k // steps for p, q in zip(a, b, strict=True)]
                labels[tuple(at)] = 1
    return labels


def test_neurites_that_touch_twice_are_opened_where_they_touch():
    upper = [(4, 30, 5), (4, 30, 85)]
    lower = [(4, 60, 5), (4, 33, 25), (4, 60, 45), (4, 33, 65), (4, 60, 85)]
    touch = [[(4, 30, x), (4, 33, x)] for x in (25, 65)]
    labels, size = image_of(upper, lower, *touch), (1.0, 1.0, 1.0)
    lines = in_blocks(labels, (9, 45, 30), size)
    graph = graph_of(lines, labels.shape, size)
    # The four ends of the two; a cut anywhere else makes two more.
    assert sorted(graph.degrees())[:5] == [1, 1, 1, 1, 2]
    (tree,) = object_trees(lines, labels.shape, size, (0.0, 0.0, 0.0))
    assert tree.tips == 4
    assert without_cycles(graph).degrees().tolist().count(1) == 6


def test_a_long_loop_is_opened_at_a_branching():
    ring = [(4, 20, 20), (4, 20, 70), (4, 70, 70), (4, 70, 20), (4, 20, 20)]
    tail = [(4, 20, 20), (4, 5, 5)]
    labels, size = image_of(ring, tail), (1.0, 1.0, 1.0)
    lines = in_blocks(labels, labels.shape, size)
    (tree,) = object_trees(lines, labels.shape, size, (0.0, 0.0, 0.0))
    assert tree.tips == 2
    assert tree.length > 200


def object_trees(lines, shape, size, translation, spacing=0.0):
    return trees_of(object_forest(lines, shape, size, translation), spacing)


@pytest.mark.parametrize("seed", range(3))
def test_trees_do_not_depend_on_the_blocks_nor_on_other_objects(seed):
    shape, rng = (60, 70, 80), np.random.default_rng(seed)
    labels = labelled(tubes(rng, shape, 16, 3))[0].astype(np.uint64)
    whole = in_blocks(labels, shape)
    found = list(object_trees(whole, shape, SIZE, (5.0, 0.0, 1.0), 1.0))
    pieces = in_blocks(labels, (33, 21, 47))
    assert len(found) == labels.max()
    for tree in found:
        one = pieces.part(pieces.component == tree.component)
        (alone,) = object_trees(one, shape, SIZE, (5.0, 0.0, 1.0), 1.0)
        for name in ("position", "radius", "kind", "parent"):
            np.testing.assert_array_equal(getattr(tree, name), getattr(alone, name))
        assert tree.parent[0] == -1
        assert (tree.parent[1:] >= 0).all()
        assert (tree.parent < np.arange(len(tree))).all()
        assert tree.tips == tree.branchings == 0 or tree.tips >= 2
    every = list(object_trees(whole, shape, SIZE, (5.0, 0.0, 1.0)))
    for full, sparse in zip(every, found, strict=True):
        assert (full.tips, full.branchings) == (sparse.tips, sparse.branchings)
        assert sparse.length <= full.length <= 1.1 * sparse.length + 0.5


def test_packed_lines_come_back_and_damage_is_told():
    labels = labelled(tubes(np.random.default_rng(5), (40, 40, 40), 5, 3))[0]
    lines = in_blocks(labels.astype(np.uint64), (40, 40, 40))
    same(BlockLines.from_bytes(lines.to_bytes()), lines)
    with pytest.raises(LedgerError, match="damaged"):
        BlockLines.from_bytes(lines.to_bytes()[:-9])
    with pytest.raises(LedgerError, match="damaged"):
        BlockLines.from_bytes(b"something else")


@pytest.mark.parametrize("size", [(1.0, 1.0, 1.0), SIZE])
def test_lengths_of_lone_curves_are_right_within_six_percent(size):
    rng = np.random.default_rng(3)
    shape, edge = (48, 96, 96), np.array(size)
    extent = np.array(shape) * edge
    places = np.indices(shape).reshape(3, -1).T * edge
    ratios = []
    for _ in range(5):
        ends = np.array([0.12, 0.88])[:, None] * extent
        ends[:, 1:] = rng.uniform(0.1, 0.9, (2, 2)) * extent[1:]
        along = np.linspace(0, 1, 2000)[:, None]
        side = np.cross(ends[1] - ends[0], rng.normal(size=3))
        wave = 0.05 * extent.min() * np.sin(9 * along) * side / np.linalg.norm(side)
        curve = ends[0] + (ends[1] - ends[0]) * along + wave
        radius = 2.0 if size[0] == size[2] else 1.2
        away, _ = cKDTree(curve).query(places, distance_upper_bound=radius)
        labels = np.isfinite(away).reshape(shape).astype(np.uint64)
        (tree,) = object_trees(
            in_blocks(labels, shape, size), shape, size, (0.0, 0.0, 0.0), 1.0
        )
        true = np.linalg.norm(np.diff(curve, axis=0), axis=1).sum()
        ratios.append(tree.length / true)
    assert abs(np.mean(ratios) - 1) < 0.06
    assert max(abs(np.array(ratios) - 1)) < 0.12
