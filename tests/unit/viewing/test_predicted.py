"""Prediction where somebody looks is that of the whole."""

from typing import Any

import numpy as np

import blockseg
from blockseg.blockwise.sources.inputs import gather
from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings
from blockseg.core.geometry import Roi
from blockseg.io.tiff.write import write_tiff
from blockseg.segmentation.predict import decided
from blockseg.segmentation.predictor import Predictor
from blockseg.viewing.predicted import PredictedVolume


def test_any_part_is_that_of_the_whole_volume(tmp_path, save_bright_network):
    save_bright_network(tmp_path / "w.safetensors", 3.0)
    voxels = np.random.default_rng(5).normal(200, 9, (70, 80, 90)).astype(np.uint16)
    voxels[20:24, 30:, 40:44] = 900
    named: Any = {
        "weights": str(tmp_path / "w.safetensors"), "normalization": "200,9",
        "backend": "torch", "threads": 1, "voxel_size": (1, 1, 1),
    }  # fmt: skip
    whole = blockseg.predict(voxels, **named)
    small = {"block": (32, 32, 32), "window": (32, 32, 32)}
    settings = read_settings(RunSettings, named | small)
    write_tiff(tmp_path / "a.tif", voxels, space_of(settings))
    inputs = gather(str(tmp_path / "a.tif"), str(tmp_path / "unused"), settings)
    with Predictor(inputs, decided(inputs)) as predictor:
        volume = PredictedVolume(predictor, inputs.source.space)
        assert volume.shape == whole.shape
        for roi in (
            Roi((0, 0, 0), (64, 64, 64)),
            Roi((17, 29, 31), (41, 80, 90)),
            Roi((64, 64, 64), (70, 80, 90)),
        ):
            close = volume.read(roi).astype(int) - whole[roi.slices()].astype(int)
            assert abs(close).max() <= 1
    assert whole.max() > 200


def space_of(settings):
    from blockseg.core.space import Space

    return Space(settings.voxel_size, "micrometer")
