import pytest

from blockseg.blockwise.watching import _rates


@pytest.mark.parametrize(
    ("recent", "expected"),
    [
        ([], (0.0, 0.0)),
        ([(100.1, 5), (100.0, 5)], (2 / 10.1, 10 / 10.1)),
        ([(90.0, 5)], (0.0, 0.0)),
        ([(200.0 - n, 7) for n in range(64)], (1.0, 7.0)),
        ([(200.0, 7)] * 64, (0.0, 0.0)),
    ],
)
def test_a_burst_at_the_start_promises_nothing_and_later_the_last_blocks_count(
    recent, expected
):
    assert _rates(recent, 90.0) == pytest.approx(expected)
