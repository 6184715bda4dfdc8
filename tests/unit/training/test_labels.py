"""What values of annotations mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockseg.config.values import parse_label_map
from blockseg.core.errors import ConfigError
from blockseg.core.labels import IGNORE
from blockseg.training.annotations.labels import RING, LabelCodes, ringed, spelt


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "bool"])
def test_zero_one_and_255_mean_themselves_in_every_type(dtype: str) -> None:
    stored = np.array([[[0, 1, 1, 0, 255]]]).astype(dtype)
    expected = np.array([[[0, 1, 1, 0, 1 if dtype == "bool" else 255]]])
    codes = LabelCodes()
    np.testing.assert_array_equal(codes.codes(stored), expected)
    assert codes.codes(stored).dtype == np.uint8
    assert not codes.unknown(codes.counts(stored))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
def test_a_map_renames_values_before_they_mean_themselves(dtype: str) -> None:
    stored = np.array([0, 1, 2, 4, 255], dtype)
    codes = LabelCodes({0: 255, 1: 0, 2: 1, 4: 255})
    np.testing.assert_array_equal(codes.codes(stored), [255, 0, 1, 255, 255])


def test_values_above_a_byte_can_be_mapped() -> None:
    stored = np.array([0, 1000, 3], np.int64)
    codes = LabelCodes({1000: 1, -1: 255})
    np.testing.assert_array_equal(codes.codes(stored), [0, 1, IGNORE])
    assert codes.unknown(codes.counts(stored)) == [3]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint64", "float32"])
def test_others_are_all_values_without_a_meaning_of_their_own(dtype: str) -> None:
    stored = np.array([0, 1, 7, 200, 255], dtype)
    codes = LabelCodes({"others": 1, 7: 0})
    np.testing.assert_array_equal(codes.codes(stored), [0, 1, 0, 1, IGNORE])
    assert not codes.unknown(codes.counts(stored))
    assert [codes.meaning(v) for v in (0, 1, 7, 200, 255, np.nan)] == [
        0, 1, 0, 1, IGNORE, IGNORE,
    ]  # fmt: skip
    np.testing.assert_array_equal(codes.codes(np.array([np.nan, 3.0])), [IGNORE, 1])


meanings = st.dictionaries(
    st.integers(-2, 300), st.sampled_from([0, 1, IGNORE]), min_size=1, max_size=20
)


@given(meanings)
def test_a_map_that_is_spelt_means_what_it_was_made_of(
    wanted: dict[float, int],
) -> None:
    text = spelt(wanted)
    codes = LabelCodes(parse_label_map("label-map", text) if text else None)
    stored = np.array(list(wanted), np.int64)
    assert not codes.unknown(codes.counts(stored))
    np.testing.assert_array_equal(codes.codes(stored), list(wanted.values()))


def test_a_map_to_anything_but_a_meaning_is_refused() -> None:
    with pytest.raises(ConfigError, match="--label-map 3:2 maps to 2"):
        LabelCodes({3: 2})


def test_background_that_touches_a_neurite_by_a_face_is_ring() -> None:
    target = np.zeros((3, 3, 4), np.uint8)
    target[1, 1, 1] = 1
    target[0, 1, 1] = IGNORE
    seen = ringed(target)
    touching = [(2, 1, 1), (1, 0, 1), (1, 2, 1), (1, 1, 0), (1, 1, 2)]
    assert sorted(map(tuple, np.argwhere(seen == RING).tolist())) == sorted(touching)
    assert seen[0, 1, 1] == IGNORE
    assert seen[1, 1, 1] == 1
    assert (target != RING).all()
