"""Contrast of voxels by a background that varies over the volume."""

import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.core.specs import AffineField
from blockseg.labelling.background import Background

FIELD = AffineField(
    (2, 2, 2),
    (0.0, 0.0, 0.0),
    (20.0, 10.0, 30.0),
    tuple(np.linspace(100.0, 240.0, 8).tolist()),
    tuple(np.linspace(2.0, 5.0, 8).tolist()),
)


@pytest.mark.parametrize("field", [None, FIELD])
def test_contrast_is_that_of_each_voxel_by_itself(field):
    rng = np.random.default_rng(1)
    roi = Roi((3, 2, 5), (8, 9, 11))
    voxels = rng.integers(150, 400, roi.shape).astype(np.uint16)
    mask = rng.random(roi.shape) < 0.3
    mask[2] = False  # a plane without foreground
    background = Background(200.0, 10.0, field, gain=2.5)
    contrast, snr = background.contrast(voxels, roi, np.flatnonzero(mask))
    level = np.full(roi.shape, 200.0)
    noise = np.full(roi.shape, 10.0)
    if field is not None:
        place = np.indices(roi.shape) + np.reshape(roi.start, (3, 1, 1, 1))
        ends = np.array(field.step).reshape(3, 1, 1, 1)
        share = np.clip(place / ends, 0, 1)
        level, noise = (
            sum(
                np.reshape(values, (2, 2, 2))[node]
                * np.prod(
                    [s if n else 1 - s for s, n in zip(share, node, strict=True)],
                    axis=0,
                )
                for node in np.ndindex(2, 2, 2)
            )
            for values in (field.offset, field.scale)
        )
        noise = 2.5 * noise
    above = voxels[mask] - level[mask]
    np.testing.assert_allclose(contrast, above / 10.0)
    np.testing.assert_allclose(snr, above / noise[mask])
