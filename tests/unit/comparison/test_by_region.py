"""Differences by region are those of every voxel's place in the atlas."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from blockseg.comparison.by_region import region_counter
from blockseg.comparison.counts import count_cubes
from blockseg.config.regions_settings import CompareSettings
from blockseg.core.errors import ConfigError
from blockseg.core.space import Space
from blockseg.evaluation.prediction import Prediction
from blockseg.io.protocol import MemoryVolume

SHAPE = (40, 60, 90)
SPACE = Space(
    voxel_size=(2.0, 1.0, 1.0), translation=(50.0, 7.0, 0.5), unit="micrometer"
)


def mask(voxels, space=SPACE):
    return Prediction("a mask", MemoryVolume(voxels), None, space, None, ())


@pytest.fixture
def masks():
    rng = np.random.default_rng(3)
    return [mask(rng.random(SHAPE) < share) for share in (0.1, 0.2)]


def atlas(folder, shape=(10, 8, 11), seed=0):
    ids = np.random.default_rng(seed).integers(0, 5, shape).astype(np.uint16)
    tifffile.imwrite(folder / "atlas.tif", ids)
    names = "id,acronym,name\n1,A,first\n2,B,second\n"
    (folder / "names.csv").write_text(names)
    return ids


@pytest.mark.parametrize("corner", [(49.0, 6.5, 0.0), (60.0, 20.0, -30.0)])
def test_every_voxel_counts_in_the_region_that_it_lies_in(tmp_path, masks, corner):
    ids, size = atlas(tmp_path), (8.0, 7.5, 8.0)
    settings = CompareSettings(
        atlas=str(tmp_path / "atlas.tif"), atlas_voxel_size=size, atlas_corner=corner,
        names=str(tmp_path / "names.csv"),
    )  # fmt: skip
    counter = region_counter(settings, masks[0])
    assert counter is not None
    first, second = masks
    count_cubes(first, second, (0, 0, 0), lambda _: False, on_masks=counter)
    found = {one.region.region: one for one in counter.counts()}
    places = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    expected = np.zeros(SHAPE, int)
    inside, index = np.ones(SHAPE, bool), []
    for axis, n in enumerate(places):
        place = SPACE.translation[axis] + n * SPACE.voxel_size[axis]
        at = np.floor((place - corner[axis]) / size[axis]).astype(int)
        inside &= (at >= 0) & (at < ids.shape[axis])
        index.append(np.clip(at, 0, ids.shape[axis] - 1))
    expected = np.where(inside, ids[tuple(index)], 0)
    a, b = (one.volume.array for one in masks)
    for region in np.unique(expected).tolist():
        own, one = expected == region, found.pop(region)
        counted = (one.both, one.first, one.second)
        assert counted == tuple(
            int(np.count_nonzero(own & part)) for part in (a & b, a & ~b, b & ~a)
        )
        assert one.dice == pytest.approx(2 * one.both / (a[own].sum() + b[own].sum()))
    assert not found
    assert counter.counts()[0].changed == max(one.changed for one in counter.counts())
    assert {"first", "second"} <= {one.region.name for one in counter.counts()}


def test_an_atlas_that_cannot_be_laid_over_is_refused_in_a_line(tmp_path, masks):
    atlas(tmp_path)
    asked = CompareSettings(
        atlas=str(tmp_path / "atlas.tif"), atlas_voxel_size=(8.0, 7.5, 8.0)
    )
    with pytest.raises(ConfigError, match="--atlas-corner"):
        region_counter(replace(asked, atlas_voxel_size=(1.0, 1.0, 1.0)), masks[0])
    with pytest.raises(ConfigError, match="nothing in common"):
        region_counter(replace(asked, atlas_corner=(1e6, 0.0, 0.0)), masks[0])
    with pytest.raises(ConfigError, match="no voxel size"):
        region_counter(asked, replace(masks[0], space=Space()))
    with pytest.raises(ConfigError, match="--atlas LABELS is needed"):
        region_counter(CompareSettings(names="names.csv"), masks[0])
    assert region_counter(CompareSettings(), masks[0]) is None
