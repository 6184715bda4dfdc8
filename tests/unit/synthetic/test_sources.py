"""Brains of any size: neurites drawn site by site, fields drawn where needed."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, Zyx
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.fields import stream
from blockseg.synthetic.neurons.sources import TiledNeurites
from blockseg.synthetic.params import Morphology
from blockseg.synthetic.presets import preset
from blockseg.synthetic.slow_field import SlowField

SHAPE: Zyx = (40, 70, 100)
PARAMS = replace(
    preset("lightsheet"),
    morphology=replace(
        preset("lightsheet").morphology, neurons=8.0, axon_density=1500.0
    ),
)


def _brain(seed: int = 1) -> SyntheticBrain:
    sites = TiledNeurites(SHAPE, PARAMS, seed, site=32)
    return SyntheticBrain(SHAPE, PARAMS, seed, neurites=sites)


def test_a_region_of_a_brain_of_cells_equals_the_crop_of_the_whole() -> None:
    whole = _brain().block(Roi.whole(SHAPE))
    assert len(np.unique(whole.labels)) > 8
    for roi in (Roi((3, 40, 20), (36, 69, 71)), Roi((9, 0, 64), (40, 64, 100))):
        part = _brain().block(roi)
        np.testing.assert_array_equal(part.image, whole.image[roi.slices()])
        np.testing.assert_array_equal(part.labels, whole.labels[roi.slices()])
        np.testing.assert_array_equal(part.branches, whole.branches[roi.slices()])


def test_ids_of_cells_are_ascending_unique_and_belong_to_one_cell() -> None:
    brain = _brain()
    sites = brain.neurites
    owned = [next(sites.owned(unit.index)) for unit in sites.units]
    numbers = np.concatenate([part.branches.number for part in owned])
    assert (np.diff(numbers.astype(np.int64)) > 0).all()
    labels = [set(part.neurons()) for part in owned]
    assert sum(map(len, labels)) == len(set.union(*labels))
    roi = Roi((5, 20, 20), (40, 60, 60))
    assert set(np.unique(brain.labels(roi))) - {0} <= set.union(*labels)


def test_no_neurite_of_a_cell_reaches_beyond_the_next() -> None:
    sites = TiledNeurites((320, 320, 320), PARAMS, 1, site=64)
    tracing = next(sites.owned((2, 2, 2)))
    points = tracing.points.position
    assert len(points) > 1000
    assert points.min() > 64
    assert points.max() < 256


def test_cells_come_back_from_a_pickle_the_same() -> None:
    sites = TiledNeurites(SHAPE, PARAMS, 1, site=32)
    again = pickle.loads(pickle.dumps(sites))
    roi = Roi((0, 0, 0), (20, 20, 20))
    np.testing.assert_array_equal(
        sites.near(roi, 5).points.position, again.near(roi, 5).points.position
    )


def test_any_block_of_a_virtual_terabyte_can_be_had_at_once() -> None:
    sparse = replace(preset("fmost"), morphology=Morphology(0.01, axon_density=4.0))
    brain = SyntheticBrain((20_000, 20_000, 20_000), sparse, 1)
    assert isinstance(brain.neurites, TiledNeurites)
    roi = Roi((10_000, 19_936, 12_345), (10_016, 19_952, 12_361))
    again = SyntheticBrain((20_000, 20_000, 20_000), sparse, 1)
    np.testing.assert_array_equal(brain.image(roi), again.image(roi))


def test_a_brain_with_more_neurites_than_ids_is_refused() -> None:
    with pytest.raises(GeometryError, match="32-bit ids; make a smaller"):
        SyntheticBrain((200_000, 200_000, 200_000), "lightsheet")


def test_a_slow_field_at_points_is_the_field_over_a_region() -> None:
    for shape in ((40, 60, 50), (9_000, 9_000, 9_000)):
        field = SlowField(shape, 24, stream(1, 2), seed=1, purpose=7)
        roi = Roi((5, 0, 17), (36, 50, 40))
        grid = np.stack(
            np.meshgrid(
                *(np.arange(a, b) for a, b in zip(roi.start, roi.stop, strict=True)),
                indexing="ij",
            ),
            -1,
        )
        at = field.at(grid.reshape(-1, 3).astype(np.float32))
        np.testing.assert_allclose(at.reshape(roi.shape), field(roi), atol=1e-5)
        inner = Roi((7, 3, 20), (30, 33, 33))
        np.testing.assert_allclose(
            field(inner), field(roi)[inner.slices(roi.start)], atol=1e-6
        )
