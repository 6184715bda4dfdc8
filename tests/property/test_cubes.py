"""A box of cubes has the metrics of its voxels, whatever the blocks."""

from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import block_reduce

from blockseg.core.geometry import Roi, Zyx, ceil_to, floor_to, to_zyx
from blockseg.dhpr.cube_bytes import cubes_from_bytes, cubes_to_bytes
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.dhpr.cubes import CUBE, CubeTable, joined
from blockseg.dhpr.grey_scale import GreyScale
from blockseg.dhpr.metrics import dhpr_features, dhpr_metrics
from blockseg.morphology.centreline import skeleton
from blockseg.morphology.topology import component_count

START: Zyx = (60, 30, 120)  # cubes begin at 64, 64 and 128
SHAPE: Zyx = (8, 70, 80)
REGION = Roi.whole(SHAPE).shifted(START)
SCALE = GreyScale(100.0, 8.0, "uint16", 4095)


def volume(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grey levels, probabilities and a mask with everything in them."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(100, 8, SHAPE)
    smooth = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2)
    probability = np.clip(128 + 4000 * (smooth - 0.02), 0, 255).astype(np.uint8)
    raw += probability / 255 * rng.integers(10, 100)
    raw[rng.random(SHAPE) < 0.01] = 4095
    raw[:, :10] = 0
    inside = ndimage.gaussian_filter(rng.normal(size=SHAPE), 9) > -0.01
    probability[~inside] = 0
    return raw.astype(np.uint16), probability, inside


def cubes_of(region: Roi) -> list[Roi]:
    axes = [
        range(floor_to(a, CUBE), ceil_to(b, CUBE), CUBE)
        for a, b in zip(region.start, region.stop, strict=True)
    ]
    cube = Roi.whole((CUBE,) * 3)
    return [cube.shifted(to_zyx(at)).intersection(region) for at in product(*axes)]


def cut(region: Roi, cuts: list[list[int]]) -> list[Roi]:
    """Cut a region into blocks at the given places of each axis."""
    axes = []
    for a, b, where in zip(region.start, region.stop, cuts, strict=True):
        ends = sorted({a, b, *(n for n in where if a < n < b)})
        axes.append(list(pairwise(ends)))
    return [Roi((z, y, x), (u, v, w)) for (z, u), (y, v), (x, w) in product(*axes)]


def counted(seed: int, blocks: list[Roi]) -> CubeTable:
    raw, probability, inside = volume(seed)
    parts = []
    for block in blocks:
        at = block.slices(START)
        part = count_cubes(raw[at], probability[at], block, SCALE, inside=inside[at])
        data = cubes_to_bytes(part)
        parts.append(cubes_from_bytes(data, SCALE, predicted=True))
    return joined(parts)


def direct(seed: int) -> dict[str, float]:
    """Return the metrics of the whole region from its voxels, formula by formula."""
    raw, probability, inside = volume(seed)
    grey = SCALE.levels()[np.minimum(SCALE.codes(raw), 127)]
    known = inside & (raw != 0)
    foreground = probability >= 128
    plus, background = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    components = length = 0
    for cube in cubes_of(REGION):
        at = cube.slices(START)
        labels, _ = ndimage.label(probability[at] >= 51, np.ones((3, 3, 3)))
        plus[at] = np.isin(labels, np.unique(labels[foreground[at]])) & (labels > 0)
        grown = ndimage.maximum_filter(plus[at], 7, mode="constant")
        background[at] = ~grown
        components += component_count(foreground[at])
        half = block_reduce(foreground[at], 2, np.max)
        length += 2 * int(skeleton(half).sum())
    outside = grey[background & known]
    outside = outside[outside <= outside.mean() + 4 * 8]
    level, sd = outside.mean(), outside.std()
    bright = grey[plus & known]
    p = probability[plus] / 255
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.nan_to_num(-p * np.log2(p) - (1 - p) * np.log2(1 - p))
    return {
        "level": level,
        "sd": sd,
        "low_snr": ((bright - level) / (min(sd, 8) + 1e-5) / 2 < 2).mean(),
        "density": min(1, foreground.sum() / (0.00625 * inside.sum())),
        "entropy": bits.mean(),
        "fragmentation": 100 * components / length,
        "foreground": foreground.sum(),
        "foreground_plus": plus.sum(),
        "saturated": ((raw >= 4095) & inside).sum() / inside.sum(),
        "empty": ((raw == 0) & inside).sum() / inside.sum(),
    }


def same(a: CubeTable, b: CubeTable) -> None:
    for name in ("index", "start", "stop", "sums", "histograms"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
def test_a_box_of_cells_has_the_metrics_of_its_voxels(seed: int) -> None:
    box = counted(seed, [REGION]).boxes((9, 9, 9))
    assert len(box) == 1
    found = dhpr_metrics(box)
    for name, expected in direct(seed).items():
        tolerance = 1e-5 if name == "entropy" else 1e-9
        np.testing.assert_allclose(found[name][0], expected, rtol=tolerance)


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), which=st.sets(st.sampled_from([0, 1, 2])))
def test_blocks_of_whole_cells_give_the_same_counts(seed: int, which: set[int]) -> None:
    borders = [[64], [64], [128, 192]]
    cuts = [border if axis in which else [] for axis, border in enumerate(borders)]
    same(counted(seed, [REGION]), counted(seed, cut(REGION, cuts)))


@settings(max_examples=8)
@given(
    seed=st.integers(0, 1000),
    cuts=st.tuples(*[st.lists(st.integers(31, 199), max_size=2)] * 3),
)
def test_parts_of_cells_add_up_to_them(seed: int, cuts: tuple[list[int], ...]) -> None:
    whole, parts = counted(seed, [REGION]), counted(seed, cut(REGION, list(cuts)))
    for name in ("voxels", "filled", "saturated"):
        np.testing.assert_array_equal(whole.sum(name), parts.sum(name))
    every = ("background", "near", "doubtful", "foreground")
    np.testing.assert_array_equal(whole.histogram(*every), parts.histogram(*every))
    np.testing.assert_array_equal(
        whole.histogram("foreground"), parts.histogram("foreground")
    )


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), first=st.tuples(*[st.integers(-2, 3)] * 3))
def test_boxes_of_boxes_are_boxes(seed: int, first: Zyx) -> None:
    cubes = counted(seed, [REGION])
    boxes = cubes.boxes((2, 2, 2), first)
    at_once = cubes.boxes((4, 6, 2), first)
    by_steps = boxes.boxes((2, 3, 1))
    same(at_once, by_steps)
    assert at_once.edge == by_steps.edge
    assert at_once.origin == by_steps.origin
    np.testing.assert_array_equal(dhpr_features(at_once), dhpr_features(by_steps))
    for row in range(len(boxes)):
        corner = np.array(boxes.origin) + boxes.index[row] * np.array(boxes.edge)
        assert (boxes.start[row] >= corner).all()
        assert (boxes.stop[row] <= corner + np.array(boxes.edge)).all()
    assert boxes.sum("voxels").sum() == cubes.sum("voxels").sum()
