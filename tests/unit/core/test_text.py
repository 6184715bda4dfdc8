import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockseg.core.text import blockseg_command, byte_count, exact, span


def test_a_number_has_no_more_digits_than_it_needs():
    assert [exact(n) for n in (0.5, 1.0, 0.1 + 0.2)] == [
        "0.5",
        "1",
        "0.30000000000000004",
    ]


@given(st.floats(allow_nan=False))
def test_a_number_is_the_same_when_it_is_read_again(number):
    assert float(exact(number)) == number


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (61, "1 min 01 s"),
        (7322, "2 h 02 min"),
    ],
)
def test_durations_read_like_speech(seconds, said):
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (10**9, "1 GB"),
        (1.25e15, "1.25e+03 TB"),
    ],
)
def test_bytes_have_the_unit_in_which_they_are_below_a_thousand(number, said):
    assert byte_count(number) == said


def test_a_command_can_be_pasted_whatever_its_paths_are_called():
    said = blockseg_command("verify", "/my data/it's a brain.zarr", "--repair")
    assert shlex.split(said) == [
        "blockseg",
        "verify",
        "/my data/it's a brain.zarr",
        "--repair",
    ]
    assert blockseg_command("label", "/a/out.zarr") == "blockseg label /a/out.zarr"
