"""What is advised for values without a meaning, followed."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.config.values import parse_label_map
from blockseg.core.errors import VolumeError
from blockseg.core.labels import IGNORE
from blockseg.io.protocol import MemoryVolume
from blockseg.training.annotations.labels import LabelCodes
from blockseg.training.annotations.values import likely_neurites
from blockseg.training.data.scan import look, scan

SHAPE = (32, 40, 48)
BACKGROUND, NEURITE, SOMA, VESSEL, EDGE = range(5)


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return an image, and what lies where."""
    rng = np.random.default_rng(seed)
    kind = np.full(SHAPE, BACKGROUND)
    for k in range(4):
        at = [slice(a, a + 2) for a in rng.integers(3, 27, 3)]
        at[k % 3] = slice(None)
        kind[tuple(at)] = NEURITE
    kind[20:28, 24:32, 36:44] = SOMA
    kind[4:10, 30:36, :] = VESSEL
    grey = np.array([200, 320, 420, 180, 250])[kind]
    return (grey + rng.normal(0, 10, SHAPE)).astype(np.uint16), kind


def message(image: np.ndarray, labels: np.ndarray, given: Any = None) -> str:
    volumes = MemoryVolume(image), MemoryVolume(labels)
    with pytest.raises(VolumeError) as caught:
        scan(*volumes, LabelCodes(given), "a.tif")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def followed(image: np.ndarray, labels: np.ndarray, given: Any = None) -> np.ndarray:
    """Return what training takes labels for under the advice that is given."""
    found = re.search(r"--label-map (\S+)", message(image, labels, given))
    assert found is not None
    codes = LabelCodes(parse_label_map("label-map", found[1]))
    assert not codes.unknown(codes.counts(labels))
    return codes.codes(labels)


def stored(kind: np.ndarray, values: Mapping[int, int], dtype: str) -> np.ndarray:
    labels = np.full(kind.shape, values[BACKGROUND])
    for what, value in values.items():
        labels[kind == what] = value
    return labels.astype(dtype)


@given(
    st.permutations([1, 2, 3, 7, 9, 100, 200]),
    st.booleans(),
    st.sampled_from(["uint8", "int16", "float32"]),
    st.integers(0, 3),
)
@settings(max_examples=30)
def test_two_classes_of_any_values_become_background_and_neurite(
    values: list[int], zero: bool, dtype: str, seed: int
) -> None:
    image, kind = scene(seed)
    kind[kind != NEURITE] = BACKGROUND
    first = 0 if zero else values[0]
    labels = stored(kind, {BACKGROUND: first, NEURITE: max(values[1], 2)}, dtype)
    if len(np.unique(labels)) == 2:
        np.testing.assert_array_equal(followed(image, labels), kind == NEURITE)


def test_labels_of_one_and_two_are_said_with_both_meanings() -> None:
    image, kind = scene()
    labels = stored(kind, {BACKGROUND: 1, NEURITE: 2}, "uint8")
    said = message(image, labels)
    assert "holds the values 1, 2, and 2 means nothing" in said
    assert said.endswith("--label-map 1:0,2:1")


def test_two_classes_whose_neurite_comes_first_are_told_apart_by_the_image() -> None:
    image, kind = scene()
    labels = stored(kind, {BACKGROUND: 2, NEURITE: 1}, "uint8")
    assert message(image, labels).endswith("--label-map 2:0")
    np.testing.assert_array_equal(followed(image, labels), kind == NEURITE)


@pytest.mark.parametrize("along", [0, 1, 2])
def test_zero_is_not_annotated_where_another_value_is_background(along: int) -> None:
    image, kind = scene()
    sparse = np.zeros(SHAPE, np.uint8)
    planes = [slice(None)] * 3
    planes[along] = slice(4, None, 12)
    codes = np.array([1, 2, 2, 1, 4], np.uint8)
    sparse[tuple(planes)] = codes[kind][tuple(planes)]
    expected = np.array([IGNORE, 0, 1])[sparse]
    np.testing.assert_array_equal(followed(image, sparse), expected)


def test_soma_and_dendrite_are_both_no_background_and_a_vessel_is() -> None:
    image, kind = scene()
    labels = stored(kind, {BACKGROUND: 0, NEURITE: 2, SOMA: 1, VESSEL: 3}, "uint8")
    expected = (kind == NEURITE) | (kind == SOMA)
    np.testing.assert_array_equal(followed(image, labels), expected)


def test_what_is_grey_in_a_map_of_black_grey_and_white_is_not_annotated() -> None:
    image, kind = scene()
    labels = stored(kind, {BACKGROUND: 0, NEURITE: 255, SOMA: 127}, "uint8")
    expected = np.where(kind == SOMA, IGNORE, kind == NEURITE)
    np.testing.assert_array_equal(followed(image, labels), expected)


@pytest.mark.parametrize(
    ("dtype", "first", "step", "extra"),
    [
        ("uint8", 1, 1, None),
        ("uint16", 1, 1, 65535),
        ("uint16", 240, 5, None),
        ("int32", 1000, 77, -1),
        ("uint64", 2**40, 1, 2**64 - 1),
        ("float32", 3, 2, None),
    ],
)
def test_ids_of_many_neurites_are_all_neurites(
    dtype: str, first: int, step: int, extra: int | None
) -> None:
    image, kind = scene()
    labels = np.zeros(SHAPE, dtype)
    neurites = np.flatnonzero(kind == NEURITE)
    for number, part in enumerate(np.array_split(neurites, 9)):
        labels.flat[part] = first + step * number
    expected = (labels != 0).astype(np.uint8)
    if extra is not None:
        labels[0, :4] = extra
        expected[0, :4] = IGNORE
    assert "others:1" in message(image, labels)
    np.testing.assert_array_equal(followed(image, labels), expected)


def test_of_ids_without_a_zero_the_most_frequent_is_background() -> None:
    image, kind = scene()
    labels = np.where(kind == NEURITE, 2 + np.arange(SHAPE[2]) // 4, 1).astype(np.uint8)
    np.testing.assert_array_equal(followed(image, labels), labels != 1)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "uint16"])
def test_probabilities_and_grey_levels_are_no_labels(dtype: str) -> None:
    image, kind = scene()
    rng = np.random.default_rng(3)
    chance = np.clip((kind == NEURITE) * 0.8 + rng.uniform(0, 0.2, SHAPE), 0, 1)
    scale = 1 if dtype == "float32" else 255
    said = message(image, (chance * scale).astype(dtype))
    assert "a probability or an image, not labels" in said
    assert "--label-map" not in said


def test_what_was_said_before_stays_said() -> None:
    image, kind = scene()
    labels = stored(kind, {BACKGROUND: 4, NEURITE: 6, SOMA: 9}, "uint8")
    expected = np.where(kind == SOMA, IGNORE, kind == NEURITE)
    np.testing.assert_array_equal(followed(image, labels, {9: 255}), expected)


def test_labels_of_another_volume_are_told_apart_by_number() -> None:
    image, _ = scene()
    kind = np.zeros(SHAPE, int)
    kind[4:10, 30:36] = 1  # where it is dark
    labels = stored(kind, {0: 1, 1: 2}, "uint8")
    np.testing.assert_array_equal(followed(image, labels), kind)


@pytest.mark.parametrize(("neurite", "other"), [(255, 0), (0, 255)])
def test_black_and_white_are_told_apart_by_the_image(neurite: int, other: int) -> None:
    image, kind = scene()
    labels = stored(kind, {BACKGROUND: other, NEURITE: neurite}, "uint8")
    seen = look(MemoryVolume(image), MemoryVolume(labels), LabelCodes())
    assert likely_neurites(seen) == {neurite: 1, other: 0}
    labels[kind != NEURITE] = neurite
    labels[kind == NEURITE] = other
    labels[:, :20] = neurite
    seen = look(MemoryVolume(image[::-1, ::-1]), MemoryVolume(labels), LabelCodes())
    assert (likely_neurites(seen) or {neurite: 0})[neurite] == 0
