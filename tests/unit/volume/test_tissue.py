import numpy as np
import pytest

from blockseg.core.cubes import cube_counts
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.volume import (
    PyramidSpec,
    PyramidWriter,
    create_output,
    find,
    tissue_cubes,
)
from blockseg.volume.tissue import coarser_levels

SHAPE = (96, 160, 160)
EDGE = 16
COUNTS = cube_counts(SHAPE, EDGE)


@pytest.fixture
def stored(tmp_path):
    """Write an image with its levels, and return how to find it."""

    def write(image, zarr_format=3):
        spec = PyramidSpec(
            uri=str(tmp_path / "brain.zarr"),
            shape=SHAPE,
            block=(96, 160, 160),
            dtype="uint16",
            space=Space((1, 1, 1), "micrometer"),
            zarr_format=zarr_format,
            reduce="mean",
        )
        create_output(spec)
        writer = PyramidWriter(spec)
        for block in BlockGrid(SHAPE, spec.block):
            writer.write_block(block.write_roi, image[block.write_roi.slices()])
        for level, grid in spec.second_pass_grids():
            for block in grid:
                writer.write_level_block(level, block.index)
        return find(spec.uri)

    return write


def brain(seed=0):
    """Return tissue that ends at x = 100, with neurites and noise, in dark glass."""
    rng = np.random.default_rng(seed)
    image = rng.normal(110, 5, SHAPE)
    image[:, :, :100] += 90
    image[:, 40:43, :100] += 400
    return image.astype("u2")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_is_dark_and_has_no_bright_neighbour_is_outside(stored, zarr_format):
    tissue = tissue_cubes(stored(brain(), zarr_format), COUNTS, EDGE)
    assert tissue is not None
    assert tissue.level == 1
    assert tissue.mask.shape == COUNTS
    # Tissue up to 100 is in cubes 0 to 6; the seventh lies beside it.
    assert tissue.mask[:, :, :8].all()
    assert not tissue.mask[:, :, 8:].any()


def test_a_neurite_in_the_dark_is_tissue_with_its_surroundings(stored):
    image = brain()
    image[40:48, 60:68, 136:144] += 600
    tissue = tissue_cubes(stored(image), COUNTS, EDGE)
    assert tissue is not None
    assert tissue.mask[1:4, 2:5, 7:10].all()
    assert not tissue.mask[5, 9, 9]


def test_a_volume_of_nothing_but_tissue_has_no_outside(stored):
    rng = np.random.default_rng(1)
    uneven = 200 + 60 * np.sin(np.linspace(0, 3, SHAPE[2]))
    image = (uneven + rng.normal(0, 10, SHAPE)).astype("u2")
    image[30:33, 50:120, 70:73] += 2000
    assert tissue_cubes(stored(image), COUNTS, EDGE) is None


def test_a_constant_volume_has_no_outside(stored):
    assert tissue_cubes(stored(np.full(SHAPE, 7, "u2")), COUNTS, EDGE) is None


def test_without_coarse_levels_nothing_is_known(stored):
    spec = stored(brain())
    assert [level.level for level in coarser_levels(spec)] == [1]
    (coarse,) = coarser_levels(spec)
    assert coarser_levels(coarse) == []
    assert tissue_cubes(coarse, cube_counts((48, 80, 80), EDGE), EDGE) is None
    assert coarser_levels(find("constant://8,8,8/uint16/3")) == []
