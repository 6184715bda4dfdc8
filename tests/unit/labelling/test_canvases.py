"""Arrays that are painted and cleared."""

import numpy as np
import pytest

from blockseg.labelling.canvases import Canvases


def test_nothing_of_one_block_is_left_in_the_next() -> None:
    canvases = Canvases("uint64", (4, 4, 4))
    first = np.array([0, 5, 63])
    with canvases.painted((4, 4, 4), first, np.array([7, 8, 9], np.uint64)) as block:
        assert block.ravel()[first].tolist() == [7, 8, 9]
        assert np.count_nonzero(block) == 3
    second = np.array([1])
    with canvases.painted((2, 3, 4), second, np.array([6], np.uint64)) as block:
        assert block.shape == (2, 3, 4)
        assert block.ravel().tolist() == [0, 6] + [0] * 22


def test_two_blocks_at_once_have_an_array_each() -> None:
    canvases = Canvases("uint8", (2, 2, 2))
    one, other = (np.array([n]) for n in (0, 1))
    value = np.ones(1, np.uint8)
    with (
        canvases.painted((2, 2, 2), one, value) as a,
        canvases.painted((2, 2, 2), other, value) as b,
    ):
        assert (a.sum(), b.sum()) == (1, 1)
        assert not np.shares_memory(a, b)


def test_what_was_in_use_when_something_failed_is_not_used_again() -> None:
    canvases = Canvases("uint8", (2, 2, 2))
    place, value = np.array([3]), np.ones(1, np.uint8)

    def failing() -> None:
        with canvases.painted((2, 2, 2), place, value):
            message = "full"
            raise OSError(message)

    with pytest.raises(OSError, match="full"):
        failing()
    with canvases.painted((2, 2, 2), np.array([0]), value) as block:
        assert block.ravel().tolist() == [1] + [0] * 7
