"""Metrics of cells estimate what is known of a synthetic brain without noise."""

import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.dhpr.grey_scale import GreyScale
from blockseg.dhpr.metrics import dhpr_metrics
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.truth import block_truth


@pytest.mark.parametrize("preset", ["clean", "lightsheet"])
def test_metrics_agree_with_the_truth(preset):
    brain = SyntheticBrain((64, 128, 128), preset, seed=2)
    block = brain.block(Roi((0, 64, 64), (64, 128, 128)))
    sd = brain.params.contrast_unit
    truth = block_truth(block, sd)
    assert truth.foreground > 200
    perfect = (block.mask > 0).astype(np.uint8) * 255
    scale = GreyScale(truth.background, sd, "uint16", 65535)
    table = count_cubes(block.image, perfect, block.roi, scale)
    found = {name: value[0] for name, value in dhpr_metrics(table).items()}
    assert found["foreground"] == truth.foreground
    assert found["density"] == pytest.approx(truth.density)
    assert found["level"] == pytest.approx(truth.background, rel=0.01)
    # Somata are background to whoever knows neurites only, as far as the clip lets them.
    assert found["sd"] == pytest.approx(truth.background_sd, rel=0.15)
    assert found["low_snr"] == pytest.approx(truth.low_snr, abs=0.1)
    assert found["entropy"] == 0
