from hypothesis import given
from hypothesis import strategies as st

from blockseg.core.text import exact


def test_a_number_has_no_more_digits_than_it_needs():
    assert [exact(n) for n in (0.5, 1.0, 0.1 + 0.2)] == [
        "0.5",
        "1",
        "0.30000000000000004",
    ]


@given(st.floats(allow_nan=False))
def test_a_number_is_the_same_when_it_is_read_again(number):
    assert float(exact(number)) == number
