"""Width of neurites in real volumes, as info tells it."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

import blockseg
from blockseg.core.choices import SourceChoices
from blockseg.core.geometry import Roi, to_zyx
from blockseg.inspection import inspect
from blockseg.io.downsampled import cell_means
from blockseg.morphology.block_scores import score_block
from blockseg.morphology.measures import measure

ZYX = SourceChoices(axes="zyx")


def test_thick_dendrites_are_to_be_read_on_a_coarser_grid(shared_data: Path) -> None:
    found = inspect(shared_data / "real" / "confocal_dendrite" / "image.tif", ZYX)
    assert found.downsample == (2, 2, 2)
    assert found.weights == "dendrites"


def test_dendrites_of_a_block_face_are_averaged_within_planes_alone(
    shared_data: Path,
) -> None:
    found = inspect(shared_data / "real" / "neurotorch_olst" / "image.tif", ZYX)
    assert found.downsample == (1, 2, 2)
    assert found.weights == "dendrites"


@pytest.mark.parametrize(
    "name",
    [
        "trailmap_chunk/image_160.tif",
        "trailmap_train/image.tif",
        "trailmap_chunk2/image.tif",
        "dlmb_B/image.tif",
        "dlmbmap/image_sparse.tif",
    ],
)
def test_axons_of_cleared_brains_are_read_as_they_are(
    shared_data: Path, name: str
) -> None:
    found = inspect(shared_data / "real" / name, ZYX)
    assert found.downsample == (1, 1, 1)
    assert found.weights == "axons"
    assert found.structures is not None
    assert (found.structures.contrast or 0) > 5


def test_what_is_recommended_draws_thick_dendrites(shared_data: Path) -> None:
    folder = shared_data / "real" / "confocal_dendrite"
    image, true = (
        tifffile.imread(folder / name) for name in ("image.tif", "mask_otsu.tif")
    )
    advice = inspect(folder / "image.tif", ZYX)
    assert advice.downsample is not None
    found = blockseg.predict(
        image, weights=advice.weights, downsample=advice.downsample
    )
    coarse = cell_means((true > 0).astype(np.uint8) * 200, advice.downsample) >= 100
    rows = score_block(
        found >= 128,
        coarse,
        np.ones_like(coarse),
        Roi.whole(to_zyx(coarse.shape)).slices(),
        2.0,
    )
    scores = {m.name: m.value for m in measure(np.array([rows.row()]))}
    assert scores["centreline_f1"] > 0.93
