"""The order of blocks: bar by bar, plane by plane."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockseg.core.errors import GeometryError
from blockseg.core.traversal import TraversalOrder


def test_a_bar_is_done_plane_after_plane_before_the_next_bar():
    traversal = TraversalOrder((1, 4, 3), axis=2, plane=(1, 2, 1))
    assert traversal.ordered(np.arange(12)).tolist() == [
        *(0, 3, 1, 4, 2, 5),
        *(6, 9, 7, 10, 8, 11),
    ]


def test_a_bar_of_everything_along_the_first_axis_is_the_usual_order():
    traversal = TraversalOrder((3, 4, 5), axis=0, plane=(1, 4, 5))
    assert traversal.ordered(np.arange(60)).tolist() == list(range(60))


def test_alike_blocks_of_a_plane_follow_each_other_to_and_fro():
    kinds = ((0, 1), (0, 1, 1, 2), (0,))
    traversal = TraversalOrder((2, 4, 1), axis=0, plane=(1, 4, 1), kinds=kinds)
    assert traversal.ordered(np.arange(8)).tolist() == [0, 1, 2, 3, 7, 5, 6, 4]


def test_changes_are_counted_in_each_stretch_by_itself():
    traversal = TraversalOrder(
        (1, 1, 6), axis=2, plane=(1, 1, 1), kinds=((0,), (0,), (0, 1, 1, 1, 1, 2))
    )
    assert traversal.changes(1) == 3
    assert traversal.changes(2) == 4
    assert traversal.changes(9) == 6


@given(
    st.tuples(*[st.integers(1, 5)] * 3),
    st.integers(0, 2),
    st.integers(1, 6),
    st.integers(1, 6),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_some_blocks_come_in_the_order_in_which_they_come_among_all(
    counts, axis, first, second, alike, random
):
    plane = [first, second]
    plane.insert(axis, 1)
    kinds = tuple(tuple(random.randrange(3) for _ in range(n)) for n in counts)
    traversal = TraversalOrder(counts, axis, tuple(plane), kinds if alike else ())
    every = traversal.ordered(np.arange(np.prod(counts)))
    assert sorted(every.tolist()) == list(range(np.prod(counts)))
    some = [block for block in every.tolist() if random.random() < 0.5]
    shuffled = random.sample(some, len(some))
    assert traversal.ordered(np.array(shuffled, np.int64)).tolist() == some


@pytest.mark.parametrize("plane", [(2, 1, 1), (1, 0, 1)])
def test_a_plane_that_is_none_is_refused(plane):
    with pytest.raises(GeometryError, match="is not across axis 0"):
        TraversalOrder((4, 4, 4), 0, plane)
