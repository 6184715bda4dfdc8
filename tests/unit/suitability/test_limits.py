"""Volumes inside and outside of what weights were trained for."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from blockseg.core.errors import WeightsError
from blockseg.core.space import Space
from blockseg.io.find import find
from blockseg.networks.shipped import DEFAULT, SHIPPED
from blockseg.networks.trained import Trained
from blockseg.networks.weights_info import load_info, parse_header
from blockseg.normalization.structures import Structures
from blockseg.suitability.limits import outside_of, warnings_of
from blockseg.suitability.sampled import Sampled, sample_of

TRAINED = Trained(4.0, 6.0, 0.25, 0.5, 0.1, 4.0)
GOOD = Sampled(
    Structures(
        share=0.05,
        half_width=2.0,
        half_width_high=2.5,
        contrast=8.0,
        contrast_high=20.0,
        neurite_width=2.5,
        somata=0.2,
    ),
    half_depth=None,
    saturated=0.01,
)
CUBES = Space((1.0, 1.0, 1.0), "micrometer")


def with_structures(**changed):
    return replace(GOOD, structures=replace(GOOD.structures, **changed))


@pytest.mark.parametrize(
    ("found", "space", "word"),
    [
        (with_structures(neurite_width=4.1), CUBES, "half-width"),
        (with_structures(contrast_high=5.9), CUBES, "noise SDs"),
        (with_structures(share=0.26), CUBES, "stand out"),
        (with_structures(share=0.0), CUBES, "too dim"),
        (with_structures(somata=0.51), CUBES, "round"),
        (replace(GOOD, saturated=0.11), CUBES, "saturated"),
        (GOOD, Space((4.1, 1.0, 1.0), "micrometer"), "along z"),
        (GOOD, Space((1.0, 4.1, 4.1), "micrometer"), "along z"),
    ],
)
def test_each_limit_is_told_beyond_it(found, space, word):
    (clause,) = outside_of(found, space, TRAINED)
    assert word in clause


@pytest.mark.parametrize(
    ("found", "space"),
    [
        (GOOD, CUBES),
        (with_structures(neurite_width=4.0, contrast_high=6.0), CUBES),
        (with_structures(neurite_width=None, contrast_high=None), CUBES),
        (with_structures(share=0.25, somata=0.5), CUBES),
        (replace(GOOD, saturated=0.1), Space((4.0, 1.0, 1.0), "micrometer")),
        (GOOD, Space((9.0, 1.0, 1.0), None)),
    ],
)
def test_nothing_is_told_inside_of_all_limits(found, space):
    assert outside_of(found, space, TRAINED) == ()


def test_ranges_travel_in_the_header_of_weights(tmp_path, save_bright_network):
    info = save_bright_network(tmp_path / "plain.safetensors", 4.0)
    assert load_info(tmp_path / "plain.safetensors").trained is None
    header = {
        "architecture": "sdasn",
        "format_version": "1",
        "width": "2",
        "gain": "1.0",
        "trained": TRAINED.to_text(),
    }
    assert parse_header("w", header).trained == TRAINED
    for wrong in ("{}", "[]", "no", json.dumps({"half_width": 1})):
        with pytest.raises(WeightsError, match="damaged header"):
            parse_header("w", header | {"trained": wrong})
    nan = TRAINED.to_text().replace("4.0", "NaN", 1)
    with pytest.raises(WeightsError, match="damaged header"):
        parse_header("w", header | {"trained": nan})
    assert info.trained is None


def discs(radius, count=24):
    """Return a noisy volume with round bright bodies of one radius."""
    rng = np.random.default_rng(3)
    volume = rng.normal(200, 6, (24, 256, 256))
    y, x = np.mgrid[:256, :256]
    for cy, cx in rng.integers(20, 236, (count, 2)):
        volume[:, (y - cy) ** 2 + (x - cx) ** 2 < radius**2] = 400
    return volume.astype(np.uint16)


def test_somata_are_told_from_what_is_long(tmp_path):
    tifffile.imwrite(tmp_path / "round.tif", discs(8))
    lines = np.random.default_rng(3).normal(200, 6, (24, 256, 256))
    for row in range(20, 250, 40):
        lines[:, row : row + 14] = 400
    tifffile.imwrite(tmp_path / "long.tif", lines.astype(np.uint16))
    found = {
        name: sample_of(find(str(tmp_path / f"{name}.tif"), axes="zyx"))
        for name in ("round", "long")
    }
    assert found["round"] is not None
    assert found["long"] is not None
    assert found["round"].structures.somata > 0.6
    assert found["long"].structures.somata < 0.3


def test_what_shipped_weights_say_names_what_may_suit_better(tmp_path):
    tifffile.imwrite(tmp_path / "cells.tif", discs(9))
    spec = find(str(tmp_path / "cells.tif"), axes="zyx")
    info = load_info(DEFAULT.path)
    first, *_ = warnings_of(spec, CUBES, DEFAULT.sha256, info)
    assert DEFAULT.purpose in first
    assert "round and wide" in first
    assert "look at the result" in first
    assert warnings_of(spec, CUBES, "of others", info) == ()


def test_all_weights_that_ship_have_ranges():
    for weights in SHIPPED:
        assert Trained.from_text(weights.trained.to_text()) == weights.trained
