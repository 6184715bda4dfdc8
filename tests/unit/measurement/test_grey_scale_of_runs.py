import json
import math

import numpy as np
import pytest

from blockseg.blockwise.record.record import RunRecord
from blockseg.blockwise.sources.background import normalization
from blockseg.blockwise.sources.inputs import Inputs, memory_source
from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings
from blockseg.core.geometry import Roi
from blockseg.measurement.grey_scale import (
    MeasuredCubes,
    grey_scale,
    measured_cubes,
)
from blockseg.normalization.finding import finding_from


def scale_of(image, tmp_path, asked="robust"):
    source = memory_source(image)
    settings = read_settings(RunSettings, {"backend": "fake", "normalization": asked})
    roi = Roi.whole(image.shape)
    inputs = Inputs(source, tmp_path, roi, None, None, settings)
    found = normalization(inputs).found
    read = finding_from(json.loads(json.dumps(found.to_plain())))
    assert read == found
    return grey_scale(inputs, read), found


def noise(dtype, highest=None):
    image = np.random.default_rng(0).normal(200, 10, (3, 70, 140)).astype(dtype)
    if highest is not None:
        image[:, ::9, ::9] = highest  # where the sample must see it
    return image


@pytest.mark.parametrize("asked", ["robust", "field"])
def test_the_scale_is_that_of_the_normalisation(tmp_path, asked):
    scale, found = scale_of(noise("u2"), tmp_path, asked)
    assert (scale.level, scale.sd) == (found.estimate.level, found.estimate.sd)
    assert scale.saturation == 65535


def test_constants_that_tell_no_noise_are_replaced_by_an_estimate(tmp_path):
    scale, _ = scale_of(noise("u2"), tmp_path, "published")
    assert scale == scale_of(noise("u2"), tmp_path, "robust")[0]


def test_given_level_and_noise_are_taken(tmp_path):
    scale, _ = scale_of(noise("u1"), tmp_path, "190,7")
    assert (scale.level, scale.sd, scale.saturation) == (190, 7, 255)


@pytest.mark.parametrize("asked", ["robust", "published"])
def test_a_camera_of_12_bits_saturates_at_its_own_limit(tmp_path, asked):
    assert scale_of(noise("u2", 4095), tmp_path, asked)[0].saturation == 4095


def test_scales_come_back_from_json_as_they_were(tmp_path):
    for dtype in ("u1", "u2", "f4"):
        scale, _ = scale_of(noise(dtype), tmp_path)
        measured = MeasuredCubes(scale, predicted=True)
        text = json.dumps(measured.to_plain(), allow_nan=False)
        record = RunRecord({}, {}, {}, json.loads(text))
        assert measured_cubes(record) == measured
    assert scale.saturation == math.inf


def test_a_constant_volume_has_a_scale_too(tmp_path):
    scale, _ = scale_of(np.full((2, 40, 40), 9, np.uint16), tmp_path)
    assert scale.level == 9
    assert scale.sd > 0
