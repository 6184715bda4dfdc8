import re

import numpy as np
import pytest
import zarr

from blockseg.core.cubes import cube_counts
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.io.find import find
from blockseg.io.masks.tissue import coarser_levels, tissue_cubes
from blockseg.io.masks.tissue_check import WRONG, Claim, compare
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.io.protocol import MemoryVolume

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


def uniform(seed=0):
    """Return nothing but tissue, with neurites all along x."""
    image = np.random.default_rng(seed).normal(200, 10, SHAPE)
    image[:, 40:43] += 400
    return image.astype("u2")


def levelled(spec, change):
    """Rewrite level 1 of a store as ``change`` makes it from what it holds."""
    level = zarr.open_array(f"{spec.uri}/1", mode="r+")
    level[:] = change(level[:])


def zero_half(level):
    level[level.shape[0] // 2 :] = 0
    return level


def zero_box(level):
    level[8:40, 16:56, 0:40] = 0
    return level


def dark_box(level):
    """As dark as what is outside, and beside it."""
    level[:, :, 20:] = level[:, :, 60:].mean()
    return level


def zero_by_chunks(level):
    """As if every other chunk of 24 had never been written."""
    places = np.indices(level.shape) // 24
    level[places.sum(0) % 2 == 1] = 0
    return level


LIES = {
    "zero in half of z": zero_half,
    "a box of zeros": zero_box,
    "a box of what is outside": dark_box,
    "chunks that are missing": zero_by_chunks,
    "shifted": lambda level: np.roll(level, 40, 2),
    "mirrored": lambda level: level[:, :, ::-1],
    "inverted": lambda level: level.max() - level,
    "of an earlier image": lambda level: np.where(
        np.indices(level.shape)[1] < 30, 200, 110
    ),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("image", [brain, uniform])
def test_a_level_that_is_dark_where_the_volume_is_bright_is_not_trusted(
    stored, lie, image
):
    spec = stored(image())
    levelled(spec, LIES[lie])
    tissue = tissue_cubes(spec, COUNTS, EDGE)
    if tissue is None:
        return  # it shows nothing to be outside
    assert tissue.mask.all()
    assert "level 1 does not tell tissue from what is outside" in tissue.doubt
    assert "\n" not in tissue.doubt


def test_the_line_says_where_a_level_differs_and_how_often(stored):
    spec = stored(brain())
    levelled(spec, zero_box)
    tissue = tissue_cubes(spec, COUNTS, EDGE)
    assert tissue is not None
    assert re.search(
        r"around voxel \d+,\d+,\d+ it is 0 and level 0 \d\d\d", tissue.doubt
    )
    assert f"of the {tissue.seen} cubes compared" in tissue.doubt


def test_one_wrong_cube_outside_is_found_wherever_it_lies(stored):
    image = brain()
    spec = stored(image)
    fine = zarr.open_array(f"{spec.uri}/0", mode="r+")
    for place in ((0, 0, 9), (5, 9, 9), (2, 7, 8)):
        inner = tuple(slice(EDGE * n, EDGE * (n + 1)) for n in place)
        fine[inner] = 220
        tissue = tissue_cubes(spec, COUNTS, EDGE)
        assert tissue is not None
        assert "1 of the" in tissue.doubt
        fine[inner] = image[inner]
    tissue = tissue_cubes(spec, COUNTS, EDGE)
    assert tissue is not None
    assert not tissue.doubt


def pooled(how):
    def change(_):
        blocks = brain().reshape(48, 2, 80, 2, 80, 2)
        return how(blocks)

    return change


HONEST = {
    "maxima": pooled(lambda blocks: blocks.max((1, 3, 5))),
    "minima": pooled(lambda blocks: blocks.min((1, 3, 5))),
    "every other voxel": pooled(lambda blocks: blocks[:, 1, :, 0, :, 1]),
    "medians": pooled(lambda blocks: np.median(blocks, (1, 3, 5))),
    "scaled": lambda level: level // 2 + 1000,
    "clipped": lambda level: np.clip(level, 130, 220),
    "moved by a voxel": lambda level: np.roll(level, 1, 2),
}


@pytest.mark.parametrize("way", HONEST)
def test_a_level_may_be_made_in_any_way_that_keeps_what_is_dark_dark(stored, way):
    spec = stored(brain())
    levelled(spec, HONEST[way])
    tissue = tissue_cubes(spec, COUNTS, EDGE)
    assert tissue is not None
    assert not tissue.doubt
    assert tissue.seen == np.count_nonzero(~tissue.mask) == 120
    assert tissue.wrong == 0


def test_zeros_around_what_was_imaged_are_no_lie(stored):
    image = brain()
    image[:, :, :100] += 400
    image[:, :, 121:] = 0
    image[:13] = 0
    tissue = tissue_cubes(stored(image), COUNTS, EDGE)
    assert tissue is not None
    assert not tissue.doubt
    assert not tissue.mask[:, :, 8:].any()


def test_in_a_large_volume_few_cubes_say_how_many_may_be_wrong():
    shape = (20, 40, 40)
    tissue = np.zeros(shape, bool)
    tissue[:, :, :20] = True
    mean = np.where(tissue, 200.0, 100.0)
    flat = np.zeros(shape, bool)
    image = np.broadcast_to(
        mean.repeat(2, 0).repeat(2, 1).repeat(2, 2), [2 * n for n in shape]
    )
    volume = MemoryVolume(image.astype("u2"))
    found = compare(volume, Claim(tissue, tissue, flat, mean, 1), 2)
    assert not found.doubt
    # 16000 inside: 8 may be wrong, and so many miss all of them in one of twenty times.
    share = found.seen / 16000
    assert found.seen < 8000
    assert 0 < found.wrong <= WRONG
    assert (1 - found.seen / 16000) ** (found.wrong * 16000) >= 0.05
    assert share > 0.3
