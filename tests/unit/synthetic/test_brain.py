"""Synthetic brains show what their parameters say, and know the truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from blockseg.core.errors import ConfigError, GeometryError
from blockseg.core.geometry import Roi, Zyx
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.params import (
    Background,
    Clutter,
    Morphology,
    Noise,
    Optics,
    Stitching,
    SynthParams,
    Tissue,
)
from blockseg.synthetic.presets import PRESETS, preset

SHAPE: Zyx = (64, 96, 96)
WHOLE = Roi.whole(SHAPE)
EMPTY = Morphology(neurons=0, axon_density=0)
BARE = Clutter(puncta=0, glow=0)


def _axons(snr: float) -> Morphology:
    return Morphology(
        neurons=0,
        axon_density=560,
        bundled=0,
        fading=0,
        bead_spacing=0,
        snr=((1, snr, snr),),
    )


def test_the_same_seed_gives_the_same_brain_and_another_gives_another() -> None:
    first, again, other = (
        SyntheticBrain(SHAPE, "lightsheet", seed).image(WHOLE) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_has_its_background_level(name: str) -> None:
    params = replace(preset(name), tissue=Tissue())
    image = SyntheticBrain(SHAPE, params, 1).image(WHOLE)
    assert image.dtype == np.uint16
    level = params.background.level
    assert np.median(image) == pytest.approx(level, rel=0.25)


def test_the_noise_variance_grows_with_the_signal_above_the_offset() -> None:
    for level in (200.0, 1100.0):
        # a = sd²/(level − offset) = 36/100 in both.
        noise = Noise(sd=(0.36 * (level - 100)) ** 0.5, offset=100)
        params = SynthParams(
            morphology=EMPTY,
            clutter=BARE,
            noise=noise,
            background=Background(level=level, uneven=0),
        )
        image = SyntheticBrain(SHAPE, params, 1).image(WHOLE).astype(float)
        assert image.mean() == pytest.approx(level, rel=0.005)
        assert image.var() == pytest.approx(0.36 * (level - 100), rel=0.05)
        beside = np.corrcoef(image[:, :, 1:].ravel(), image[:, :, :-1].ravel())[0, 1]
        assert abs(beside) < 0.02


def test_texture_has_its_spread_and_is_correlated() -> None:
    params = SynthParams(
        morphology=EMPTY,
        clutter=BARE,
        noise=Noise(sd=1, offset=100),
        background=Background(
            level=2000, uneven=0, texture=100, texture_scales=((1.0, 1.5),)
        ),
    )
    image = SyntheticBrain(SHAPE, params, 1).image(WHOLE).astype(float)
    assert image.std() == pytest.approx(100, rel=0.15)
    beside = np.corrcoef(image[:, :, 1:].ravel(), image[:, :, :-1].ravel())[0, 1]
    assert beside == pytest.approx(np.exp(-1 / (4 * 1.5**2)), abs=0.05)


@pytest.mark.parametrize("radius", [0.5, 2.0])
def test_neurites_have_the_stated_contrast_on_their_centreline(radius: float) -> None:
    params = SynthParams(
        morphology=replace(_axons(12), axon_radius=(radius, radius * 1.001)),
        clutter=BARE,
        background=Background(level=1000, uneven=0),
        noise=Noise(sd=10, offset=100),
    )
    brain = SyntheticBrain(SHAPE, params, 2)
    contrast = (brain.image(WHOLE).astype(float) - 1000) / params.contrast_unit
    points = brain.tracing.points
    place = np.rint(points.position).astype(int)
    inside = np.all((place >= 4) & (place < np.array(SHAPE) - 4), axis=1)
    got = contrast[tuple(place[inside].T)]
    snr = brain.tracing.branches.snr[points.branch[inside]]
    assert np.median(got / snr) == pytest.approx(1.0, abs=0.25)


def test_the_point_spread_has_its_widths() -> None:
    # One punctum in the dark: its second moments are those of the Gaussian.
    params = SynthParams(
        optics=Optics(3.0, 6.0),
        morphology=EMPTY,
        clutter=Clutter(
            puncta=0, cells=12, cell_radius=(0.5, 0.5001), cell_snr=(5000, 5001)
        ),
        background=Background(level=1000, uneven=0),
        noise=Noise(sd=1, offset=100),
    )
    image = SyntheticBrain(SHAPE, params, 3).image(WHOLE).astype(float) - 1000
    inner = gaussian_filter(image, 1)[9:-9, 9:-9, 9:-9]
    z, y, x = np.array(np.unravel_index(np.argmax(inner), inner.shape)) + 9
    spot = image[z - 8 : z + 9, y - 8 : y + 9, x - 8 : x + 9]
    axial, lateral = spot.sum(axis=(1, 2)), spot.sum(axis=(0, 1))
    steps = np.arange(-8, 9)
    for profile, fwhm in ((axial, 6.0), (lateral, 3.0)):
        profile = np.clip(profile - np.median(np.sort(profile)[:4]), 0, None)
        centre = (profile * steps).sum() / profile.sum()
        spread = np.sqrt((profile * (steps - centre) ** 2).sum() / profile.sum())
        assert 2.3548 * spread == pytest.approx(fwhm, rel=0.2)


def test_labels_agree_with_the_mask_and_the_centrelines() -> None:
    brain = SyntheticBrain(SHAPE, replace(preset("clean"), morphology=_axons(10)), 4)
    labels, mask = brain.labels(WHOLE), brain.mask(WHOLE)
    assert mask.any()
    np.testing.assert_array_equal(labels > 0, mask > 0)
    points = brain.tracing.points
    place = np.floor(points.position + 0.5).astype(int)
    inside = np.all((place >= 0) & (place < SHAPE), axis=1)
    on = labels[tuple(place[inside].T)]
    own = brain.tracing.branches.neuron[points.branch[inside]]
    assert (on > 0).all()
    assert (on == own).mean() > 0.8  # neurites cross


def test_somata_are_labelled_but_are_no_neurites() -> None:
    params = replace(preset("clean"), morphology=Morphology(neurons=6, axon_density=0))
    brain = SyntheticBrain(SHAPE, params, 1)
    soma = brain.somata(WHOLE) > 0
    assert soma.sum() > 100
    assert not brain.mask(WHOLE)[soma].any()
    assert (brain.labels(WHOLE)[soma] > 0).all()


def test_swc_holds_every_neuron_with_parents_before_children() -> None:
    brain = SyntheticBrain(SHAPE, "lightsheet", 3)
    trees = brain.swc()
    assert set(trees) == set(brain.tracing.branches.neuron) - {0}
    rows = 0
    for text in trees.values():
        table = np.array(
            [line.split() for line in text.splitlines() if line[0] != "#"], dtype=float
        )
        rows += len(table)
        number, parent = table[:, 0], table[:, 6]
        np.testing.assert_array_equal(number, np.arange(1, len(table) + 1))
        assert ((parent == -1) | (parent < number)).all()
        linked = parent > 0
        step = table[linked, 2:5] - table[parent[linked].astype(int) - 1, 2:5]
        assert np.median(np.linalg.norm(step, axis=1)) < 1
    neurites = brain.tracing.branches.neuron[brain.tracing.points.branch] > 0
    assert rows == neurites.sum() + len(brain.tracing.somata.radius)


def test_outside_of_the_brain_is_exactly_zero_and_unlabelled() -> None:
    tissue = Tissue(kind="plane", outside_share=0.4, rim=500.0)
    brain = SyntheticBrain(SHAPE, replace(preset("lightsheet"), tissue=tissue), 1)
    image = brain.image(WHOLE)
    assert 0.1 < (image == 0).mean() < 0.7
    assert not brain.labels(WHOLE)[image == 0].any()


def test_seams_change_the_level_from_tile_to_tile() -> None:
    params = SynthParams(
        morphology=EMPTY,
        clutter=BARE,
        background=Background(level=1000, uneven=0),
        noise=Noise(sd=1, offset=100),
        stitching=Stitching(spacing=48, gain=0.1),
    )
    image = SyntheticBrain(SHAPE, params, 1).image(WHOLE).astype(float)
    columns = image.mean(axis=(0, 1))
    jumps = np.abs(np.diff(columns))
    assert jumps.max() > 10
    assert np.median(jumps) < 1


def test_the_image_saturates_at_the_ceiling() -> None:
    params = replace(
        preset("fmost"),
        tissue=Tissue(),
        morphology=Morphology(neurons=8),
        clutter=Clutter(soma_snr=(5000, 5001)),
    )
    assert SyntheticBrain(SHAPE, params, 1).image(WHOLE).max() == 4095


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'fmos'.*clean, fmost, lightsheet"):
        SyntheticBrain(SHAPE, "fmos")


def test_a_region_outside_is_refused() -> None:
    with pytest.raises(GeometryError, match="does not lie inside"):
        SyntheticBrain(SHAPE, "clean").image(Roi((0, 0, 0), (65, 1, 1)))


def test_a_shape_without_voxels_is_refused() -> None:
    with pytest.raises(GeometryError, match="positive edge lengths"):
        SyntheticBrain((4, 0, 4), "clean")


def test_a_background_below_the_camera_offset_is_refused() -> None:
    with pytest.raises(ConfigError, match="not above the camera offset"):
        SynthParams(background=Background(level=50.0))


def test_noise_below_its_read_noise_is_refused() -> None:
    with pytest.raises(ConfigError, match="below the read noise"):
        SynthParams(noise=Noise(sd=1.0, read=2.0))
