"""Gaps between ends that point at each other."""

import numpy as np
import pytest

from blockseg.skeletons.bridges import Tips, find_bridges, no_bridges, tips_of
from blockseg.skeletons.graph import Graph
from blockseg.skeletons.trees import trees_of


def chain(component, first, places):
    """A graph of one line, its voxels numbered from ``first``."""
    count = len(places)
    return Graph(
        np.full(count, component, np.uint64),
        np.arange(first, first + count),
        np.asarray(places, float),
        np.ones(count),
        np.zeros(count, bool),
        np.stack([np.arange(count - 1), np.arange(1, count)], axis=1),
    )


def together(*graphs):
    counts = np.cumsum([0, *map(len, graphs)])

    def every(name):
        return np.concatenate([getattr(graph, name) for graph in graphs])

    edges = [graph.edges + n for graph, n in zip(graphs, counts, strict=False)]
    return Graph(
        component=every("component"),
        number=every("number"),
        position=every("position"),
        radius=every("radius"),
        core=every("core"),
        edges=np.concatenate(edges),
    ).sorted()


def straight(component, first, start, stop, y=0.0):
    x = np.arange(start, stop)
    return chain(component, first, np.stack([0 * x, 0 * x + y, x], axis=1))


def bright(_a, _b):
    return 0.0


def dark(_a, _b):
    return 1.0


LINES = together(
    straight(1, 0, 0, 20), straight(2, 100, 25, 40), straight(3, 200, 60, 80)
)


def test_ends_point_out_of_their_line():
    tips = tips_of(LINES)
    assert tips.number.tolist() == [0, 19, 100, 114, 200, 219]
    np.testing.assert_allclose(tips.direction[:, 2], [-1, 1] * 3)
    same = Tips.from_bytes([tips.to_bytes()])
    for name in ("component", "number", "position", "direction"):
        np.testing.assert_array_equal(getattr(same, name), getattr(tips, name))


@pytest.mark.parametrize(
    ("reach", "dimness", "pairs"),
    [
        (5.0, bright, []),
        (6.0, bright, [[19, 100]]),
        (6.0, dark, []),
        (12.0, dark, [[19, 100]]),
        (22.0, bright, [[19, 100], [114, 200]]),
    ],
)
def test_gaps_are_closed_as_far_as_they_may_cost(reach, dimness, pairs):
    found = find_bridges(tips_of(LINES), reach, dimness)
    assert found.pairs.tolist() == pairs


def test_joined_objects_have_the_least_of_their_ids_and_are_one_tree():
    found = find_bridges(tips_of(LINES), 22.0, bright)
    ids = np.array([1, 2, 3, 4], np.uint64)
    assert found.leads(ids).tolist() == [1, 1, 1, 4]
    (tree,) = trees_of(found.joined(LINES))
    assert tree.component == 1
    assert (tree.length, tree.tips) == (79, 2)
    assert len(list(trees_of(no_bridges().joined(LINES)))) == 3


def test_ends_that_do_not_face_each_other_stay():
    beside = together(straight(1, 0, 0, 20), straight(2, 100, 12, 32, y=4.0))
    assert not len(find_bridges(tips_of(beside), 10.0, bright).pairs)


def test_each_end_is_joined_once_and_no_ring_is_made():
    graph = together(
        straight(1, 0, 0, 20), straight(2, 100, 24, 40), straight(3, 200, 26, 40, y=0.5)
    )
    found = find_bridges(tips_of(graph), 10.0, bright)
    assert found.pairs.tolist() == [[19, 100]]
    around = np.linspace(0, 1.9 * np.pi, 60)
    ring = chain(
        5, 0, np.stack([0 * around, 9 * np.cos(around), 9 * np.sin(around)], 1)
    )
    assert not len(find_bridges(tips_of(ring), 10.0, bright).pairs)
