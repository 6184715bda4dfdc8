import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from blockseg.metrics.centreline import skeleton, skeleton_length
from blockseg.metrics.topology import labelled


@pytest.mark.parametrize("level", [0.0, 0.1, 0.16])
def test_components_thinned_apart_are_as_long_as_thinned_together(level):
    rng = np.random.default_rng(3)
    mask = gaussian_filter(rng.normal(size=(50, 56, 60)), 2) > level
    mask[0, 0, 0] = True
    assert skeleton_length(*labelled(mask)) == skeleton(mask).sum() > 0


def test_few_small_components_are_thinned_in_their_own_boxes(monkeypatch):
    import blockseg.metrics.centreline as module

    seen = []

    def watched(mask):
        seen.append(mask.shape)
        return skeleton(mask)

    monkeypatch.setattr(module, "skeleton", watched)
    mask = np.zeros((64, 64, 64), bool)
    mask[1:4, 1:4, 2:12] = mask[40, 50, 5:60] = mask[9, 9, 9] = True
    assert skeleton_length(*labelled(mask)) == skeleton(mask).sum()
    assert seen == [(3, 3, 10), (1, 1, 55)]


def test_an_empty_mask_has_no_centreline():
    assert skeleton_length(np.zeros((2, 3, 4), np.uint16), 0) == 0
