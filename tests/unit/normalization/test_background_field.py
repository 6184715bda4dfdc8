import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blockseg.core.geometry import Roi, Zyx
from blockseg.core.specs import AffineField
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes, sample_rois
from blockseg.normalization.background import estimate_background
from blockseg.normalization.background_field import BackgroundField, estimate_field

SHAPE = (4, 256, 256)  # 1×8×8 nodes


def tissue(
    shape: Zyx = SHAPE, level: Any = 500.0, sd: Any = 20.0, seed: int = 0
) -> NDArray[np.uint16]:
    noise = np.random.default_rng(seed).normal(0, 1, shape)
    image: NDArray[np.uint16] = np.rint(level + sd * noise).clip(0, 65535).astype("u2")
    return image


def found(image: NDArray[Any]) -> BackgroundField | None:
    sample = sample_planes(MemoryVolume(image), threads=1)
    return estimate_field(sample.patches, sample.rois, image.shape, image.dtype)


def grids(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    field = found(image)
    assert field is not None
    return np.reshape(field.level, field.nodes), np.reshape(field.sd, field.nodes)


def test_even_tissue_has_the_same_level_and_noise_at_every_node():
    image = tissue()
    level, sd = grids(image)
    whole = estimate_background(list(image), image.dtype)
    assert level.shape == (1, 8, 8)
    assert level == pytest.approx(whole.level, abs=1)
    assert sd == pytest.approx(whole.sd, rel=0.04)


def test_a_slope_of_level_and_noise_is_followed():
    ramp = np.linspace(1, 2, SHAPE[2])
    level, sd = grids(tissue(level=300 * ramp, sd=40 * ramp))
    # At the centres of eighths; medians pull the ends in a little.
    wanted = 1 + (np.arange(8) + 0.5) / 8
    assert level == pytest.approx(np.broadcast_to(300 * wanted, level.shape), rel=0.05)
    assert np.all(np.diff(level, axis=2) > 10)
    assert np.all(np.diff(sd, axis=2) > 1)


def test_neurites_do_not_move_the_field():
    image = tissue()
    plain = grids(image)[0]
    image[:, ::20] = 5000
    assert grids(image)[0] == pytest.approx(plain, abs=2)


@pytest.mark.parametrize("filling", [0, 95, 65535])
def test_nodes_outside_of_tissue_take_the_values_of_the_tissue_beside_them(filling):
    image = tissue()
    image[:, :, :128] = filling
    level, sd = grids(image)
    assert level == pytest.approx(498, abs=3)
    assert sd == pytest.approx(0.855 * 20, rel=0.05)


def test_dark_tissue_beside_bright_tissue_has_values_of_its_own():
    image = tissue(level=5000, sd=400)
    image[:, :, :128] = tissue((4, 256, 128), level=300, sd=15)
    level, sd = grids(image)
    assert level[:, :, :2] == pytest.approx(300, abs=4)
    assert sd[:, :, :2] == pytest.approx(0.855 * 15, rel=0.1)
    assert level[:, :, 6:] == pytest.approx(4960, abs=60)
    assert sd[:, :, 6:] == pytest.approx(0.855 * 400, rel=0.1)


def test_noise_rises_before_the_light_does_where_tissue_ends():
    image = tissue(level=5000, sd=400)
    image[:, :, :128] = tissue((4, 256, 128), level=100, sd=4)
    level, sd = grids(image)
    steep = np.argmax(np.diff(level[0, 4]))
    # What lies on the wrong side of a node is at most some SDs brighter than it says.
    assert sd[0, 4, steep : steep + 2].min() > 0.09 * (5000 - 100)


def test_a_region_that_neurites_fill_does_not_move_its_nodes():
    image = tissue()
    plain_level, plain_sd = grids(image)
    image[:, 64:96, 64:96] = 3000  # one square of the many around a node
    level, sd = grids(image)
    assert level == pytest.approx(plain_level, abs=3)
    assert sd == pytest.approx(plain_sd, rel=0.05)


def test_there_is_no_field_where_0_is_the_background():
    image = tissue()
    image[image < 520] = 0
    assert estimate_background(list(image), image.dtype).clipped
    assert found(image) is None


def test_nodes_far_from_all_that_counts_are_told_apart():
    image = tissue()
    image[:, :, :160] = 0
    field = found(image)
    assert field is not None
    assert 0 < field.filled < len(field.level)


def test_a_patch_that_is_saturated_or_zero_but_for_a_few_voxels_has_no_say():
    image = tissue()
    image[:, 64:128, 64:128] = 65535
    image[:, 90:100, 90:100] = 20_000
    image[:, :64, :64][np.random.default_rng(1).random((4, 64, 64)) < 0.96] = 0
    field = found(image)
    assert field is not None
    assert field.left_out == 2 * 4 * 4
    assert np.array(field.level) == pytest.approx(498, abs=3)


def test_twelve_bit_saturation_is_judged_by_the_whole_sample():
    image = tissue(level=3900, sd=60).clip(0, 4000)
    image[:, :64, :64] = 4095  # of one patch it is all, of the volume beyond 12 bits
    image[:, 0, 70] = 4096
    image[:, :64, :64:2] -= 100
    field = found(image)
    assert field is not None
    first = np.reshape(field.level, field.nodes)[0, 0, 0]
    assert first > 3985


def test_floats_with_values_that_are_not_finite_are_passed_over():
    image = tissue().astype("f4")
    image[:, ::5], image[:, 1] = np.nan, np.inf
    level, _ = grids(image)
    assert level == pytest.approx(498, abs=3)


def test_noise_below_rounding_has_the_floor_everywhere():
    image = np.full(SHAPE, 50, "u2")
    image[:, ::4, ::4] = 51
    field = found(image)
    assert field is not None
    assert field.sd == pytest.approx([1 / np.sqrt(12)] * 64)


@pytest.mark.parametrize(
    "image",
    [
        np.full(SHAPE, 7, "u2"),
        np.zeros(SHAPE, "u2"),
        tissue((31, 63, 63)),  # one node
        tissue((300, 1, 1)),  # patches of one voxel
    ],
    ids=["constant", "empty", "small", "thin"],
)
def test_where_nothing_varies_from_node_to_node_there_is_no_field(image):
    assert found(image) is None


@pytest.mark.parametrize(
    ("shape", "nodes"),
    [
        ((64, 127, 128), (2, 2, 4)),
        ((1, 400, 10_000), (1, 12, 32)),
        ((500, 512, 511), (15, 16, 14)),
    ],
)
def test_nodes_are_the_centres_of_equal_parts_at_least_a_square_wide(shape, nodes):
    rois = sample_rois(shape)
    plane = tissue((1, 64, 64))[0]
    patches = [plane[: roi.shape[1], : roi.shape[2]] for roi in rois]
    field = estimate_field(patches, rois, shape, "u2")
    assert field is not None
    assert field.nodes == nodes
    for n, k, start, step in zip(shape, nodes, field.start, field.step, strict=True):
        assert step == n / k
        # The last node lies as far from the far end as the first from the near one.
        assert start + 0.5 == pytest.approx(n - 0.5 - (start + (k - 1) * step))


def test_the_order_of_patches_hardly_matters_and_the_same_ones_give_the_same_bits():
    sample = sample_planes(MemoryVolume(tissue()), threads=3)
    one, two = (
        estimate_field(sample.patches, sample.rois, SHAPE, "u2") for _ in range(2)
    )
    other = estimate_field(sample.patches[::-1], sample.rois[::-1], SHAPE, "u2")
    assert one == two
    assert one is not None
    assert other is not None
    assert other.level == pytest.approx(one.level, rel=1e-12)


def test_b_becomes_0_and_s_the_gain_at_every_node():
    field = BackgroundField((1, 1, 2), (0, 0, 3.5), (1, 1, 8), (200, 300), (5, 8), 9, 1)
    assert field.affine(0.5, (-5, 20)) == AffineField(
        field.nodes, field.start, field.step, (200, 300), (10, 16), -5, 20
    )


def test_sampled_regions_come_with_their_places():
    image = np.arange(20 * 70 * 130, dtype="u4").reshape(20, 70, 130).astype("f4")
    sample = sample_planes(MemoryVolume(image), threads=4)
    assert sample.rois == tuple(sample_rois(image.shape))
    for roi, patch in zip(sample.rois, sample.patches, strict=True):
        assert np.array_equal(image[roi.slices()][0], patch)
        assert isinstance(roi, Roi)


def test_a_field_takes_little_memory_beside_its_sample():
    shape = (640, 6400, 640)
    rois = sample_rois(shape)
    patches = [tissue((1, 64, 64), seed=k)[0] for k in range(len(rois))]
    estimate_field(patches[:64], rois[:64], shape, "u2")  # SciPy is loaded
    tracemalloc.start()
    assert estimate_field(patches, rois, shape, "u2") is not None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 10**6
