"""What makes real images hard is in synthetic ones, each by its own parameter."""

from dataclasses import replace

import numpy as np
import pytest

from blockseg.core.geometry import Roi, Zyx
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.fields import stream
from blockseg.synthetic.neurons.profiles import draw_snr
from blockseg.synthetic.params import (
    Background,
    Clutter,
    Morphology,
    Noise,
    SynthParams,
    Tissue,
)
from blockseg.synthetic.presets import preset

SHAPE: Zyx = (40, 64, 64)
WHOLE = Roi.whole(SHAPE)
PLAIN = SynthParams(
    morphology=Morphology(neurons=0, axon_density=0),
    clutter=Clutter(puncta=0, glow=0),
    background=Background(level=1000, uneven=0),
    noise=Noise(sd=5, offset=100),
)


def _expected(params: SynthParams, seed: int = 1) -> np.ndarray:
    return SyntheticBrain(SHAPE, params, seed).block(WHOLE).expected


def test_a_plain_brain_is_empty_and_flat() -> None:
    block = SyntheticBrain(SHAPE, PLAIN, 1).block(WHOLE)
    np.testing.assert_allclose(block.expected, 1000, rtol=1e-5)
    assert not block.labels.any()


def test_uneven_illumination_is_slow_and_as_strong_as_stated() -> None:
    back = Background(level=1000, uneven=0.2, uneven_scale=16)
    seen = _expected(replace(PLAIN, background=back))
    assert seen.std() / 900 == pytest.approx(0.64 * 0.2, rel=0.3)
    assert np.abs(np.diff(seen, axis=2)).max() < 0.15 * 900


def test_tissue_edges_shine_and_saturate() -> None:
    tissue = Tissue(kind="plane", outside_share=0.4, rim=5000.0)
    noise = Noise(sd=5, offset=100, ceiling=4095)
    brain = SyntheticBrain(SHAPE, replace(PLAIN, tissue=tissue, noise=noise), 1)
    block = brain.block(WHOLE)
    assert (block.image == 4095).sum() > 100
    assert not block.labels.any()
    assert not block.image[~block.tissue & (block.expected == 0)].any()


def test_the_outside_may_be_dark_with_noise_instead_of_zero() -> None:
    tissue = Tissue(kind="plane", outside_share=0.4, outside="dark")
    noise = Noise(sd=5, offset=100, read=3)
    image = SyntheticBrain(SHAPE, replace(PLAIN, tissue=tissue, noise=noise), 1).image(
        WHOLE
    )
    assert image.min() > 0
    assert np.percentile(image, 5) == pytest.approx(100, abs=8)


def test_puncta_are_small_bright_and_unlabelled() -> None:
    clutter = Clutter(puncta=200.0, puncta_snr=(20, 21), glow=0)
    block = SyntheticBrain(SHAPE, replace(PLAIN, clutter=clutter), 1).block(WHOLE)
    bright = block.expected > 1000 + 10 * 5
    assert 0.0005 < bright.mean() < 0.05
    assert not block.labels.any()


def test_haze_is_light_around_what_shines_and_leaves_the_truth_as_it_is() -> None:
    axons = Morphology(neurons=0, axon_density=900, bundled=0, snr=((1, 60, 61),))
    params = replace(PLAIN, morphology=axons)
    sharp = SyntheticBrain(SHAPE, params, 1).block(WHOLE)
    optics = replace(params.optics, haze=1.0, haze_width=4.0)
    hazy = SyntheticBrain(SHAPE, replace(params, optics=optics), 1)
    block = hazy.block(WHOLE)
    np.testing.assert_array_equal(block.mask, sharp.mask)
    more = block.expected - sharp.expected
    assert more.min() > -0.1
    beyond = sharp.expected < 1000.1
    assert beyond.any()
    assert more[beyond].max() > 3
    part = Roi((5, 10, 20), (30, 50, 64))
    np.testing.assert_array_equal(hazy.image(part), block.image[part.slices()])


def test_membranes_are_thin_bright_sheets_without_a_label() -> None:
    clutter = Clutter(puncta=0, glow=0, membranes=20, membrane_spacing=30)
    params = replace(PLAIN, clutter=clutter)
    block = SyntheticBrain(SHAPE, params, 1).block(WHOLE)
    bright = block.expected > 1000 + 5 * 5
    # Two to three of some 40 by 64 by 64 voxels, four thick.
    assert 0.05 < bright.mean() < 0.3
    assert not block.labels.any()
    # Of a sheet, unlike of a line, no plane is free, whichever way one cuts.
    for axis in range(3):
        assert bright.any(axis=tuple({0, 1, 2} - {axis})).mean() > 0.9
    part = Roi((5, 10, 20), (30, 50, 64))
    alone = SyntheticBrain(SHAPE, params, 1).image(part)
    np.testing.assert_array_equal(alone, block.image[part.slices()])


def test_somata_are_saturated_and_glow_beyond_their_bodies() -> None:
    body = Morphology(neurons=12, axon_density=0, dendrites=0)
    noise = Noise(sd=5, offset=100, ceiling=4095)
    clutter = Clutter(puncta=0, soma_snr=(2000, 2001), soma_radius=(4, 5), glow=0.05)
    params = replace(PLAIN, morphology=body, clutter=clutter, noise=noise)
    lit = SyntheticBrain(SHAPE, params, 1).block(WHOLE)
    dark = _expected(replace(params, clutter=replace(clutter, glow=0)))
    assert (lit.image == 4095).sum() > 200
    beyond = (lit.labels == 0) & (dark < 1010)
    assert (lit.expected - dark)[beyond].max() > 50


def test_beads_make_axons_vary_along_their_course() -> None:
    spread = []
    for gain in (1.0, 3.0):
        axons = Morphology(
            neurons=0,
            axon_density=900,
            bundled=0,
            fading=0,
            bead_spacing=12,
            bead_gain=gain,
        )
        light = SyntheticBrain(
            SHAPE, replace(PLAIN, morphology=axons), 1
        ).tracing.points.amplitude
        spread.append(np.percentile(light, 95) / np.median(light))
    assert spread[1] > 1.2 * spread[0]


@pytest.mark.parametrize("name", ["fmost", "lightsheet"])
def test_the_snr_of_neurites_follows_the_stated_distribution(name: str) -> None:
    bins = preset(name).morphology.snr
    rng = stream(1, 2)
    drawn = np.array([draw_snr(bins, rng) for _ in range(4000)])
    total = sum(weight for weight, _, _ in bins)
    for weight, low, high in bins:
        inside = (drawn >= low) & (drawn < high)
        assert inside.mean() == pytest.approx(weight / total, abs=0.03)
        assert np.median(drawn[inside]) == pytest.approx((low * high) ** 0.5, rel=0.1)
