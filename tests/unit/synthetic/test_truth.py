"""What a synthetic brain tells of itself: block truths, SWC, and ids."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blockseg.core.geometry import Roi, Zyx
from blockseg.morphology.swc import read_swc
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.neurons.swc import neuron_swc
from blockseg.synthetic.params import (
    Background,
    Clutter,
    Morphology,
    Noise,
    SynthParams,
    Tissue,
)
from blockseg.synthetic.presets import preset
from blockseg.synthetic.truth import block_truth

SHAPE: Zyx = (48, 64, 64)
WHOLE = Roi.whole(SHAPE)
DENSE = replace(preset("fmost").morphology, neurons=4.0, axon_density=900.0)
BUSY = replace(preset("fmost"), morphology=DENSE)


def test_the_expected_image_is_the_mean_of_the_noise() -> None:
    block = SyntheticBrain(SHAPE, BUSY, 1).block(WHOLE)
    away = (block.image - block.expected)[block.variance > 0]
    sd = np.sqrt(block.variance[block.variance > 0])
    assert abs((away / sd).mean()) < 0.02
    assert (away / sd).std() == pytest.approx(1, abs=0.02)


def test_the_noise_of_a_block_is_what_its_parameters_say() -> None:
    params = SynthParams(
        morphology=Morphology(neurons=0, axon_density=0),
        clutter=Clutter(puncta=0, glow=0),
        background=Background(level=200, uneven=0),
        noise=Noise(sd=7, offset=100),
    )
    brain = SyntheticBrain(SHAPE, params, 1)
    known = block_truth(brain.block(WHOLE), params.contrast_unit)
    assert known.background == pytest.approx(200, rel=1e-4)
    assert known.noise_sd == pytest.approx(7, rel=1e-4)
    assert known.background_sd == pytest.approx(brain.image(WHOLE).std(), rel=0.02)
    assert known.density == known.foreground == known.low_snr == known.neurons == 0


def test_an_estimate_from_the_image_comes_close_to_the_truth() -> None:
    params = replace(BUSY, tissue=Tissue(), clutter=Clutter(puncta=0, glow=0))
    block = SyntheticBrain(SHAPE, params, 2).block(WHOLE)
    known = block_truth(block, params.contrast_unit)
    background = block.image[block.labels == 0].astype(float)
    background = background[background <= background.mean() + 4 * params.contrast_unit]
    assert known.background == pytest.approx(background.mean(), rel=0.02)
    assert known.background_sd == pytest.approx(background.std(), rel=0.15)
    assert known.foreground == block.mask.sum()
    assert known.density == min(1.0, block.mask.sum() / (0.00625 * block.roi.size))


def test_the_low_snr_ratio_falls_as_neurites_get_brighter() -> None:
    ratios = []
    for snr in (1.0, 4.0, 30.0):
        shape = replace(DENSE, neurons=0, snr=((1, snr, snr),))
        params = replace(BUSY, morphology=shape, tissue=Tissue())
        known = block_truth(
            SyntheticBrain(SHAPE, params, 1).block(WHOLE), params.contrast_unit
        )
        ratios.append(known.low_snr)
        assert known.snr == pytest.approx(snr, rel=0.5)
    assert ratios[0] > 0.9
    assert ratios[0] > ratios[1] > ratios[2]


def test_a_block_without_tissue_has_an_empty_background() -> None:
    params = replace(preset("fmost"), tissue=Tissue(kind="plane", outside_share=0.97))
    brain = SyntheticBrain((32, 32, 32), params, 1)
    block = replace(
        brain.block(Roi.whole(brain.shape)), tissue=np.zeros((32, 32, 32), bool)
    )
    known = block_truth(block, params.contrast_unit)
    assert np.isnan(known.background)
    assert len(known.row().split(",")) == len(known.columns().split(","))
    assert ",," in known.row()


def test_labels_branches_and_snr_of_a_block_agree_with_the_tracing() -> None:
    brain = SyntheticBrain(SHAPE, BUSY, 3)
    block, table = brain.block(WHOLE), brain.tracing.branches
    there = block.branches > 0
    np.testing.assert_array_equal(there, block.mask > 0)
    rows = table.rows(block.branches[there])
    np.testing.assert_array_equal(table.number[rows], block.branches[there])
    np.testing.assert_array_equal(table.neuron[rows], block.labels[there])
    np.testing.assert_array_equal(table.snr[rows], block.snr[there])
    np.testing.assert_array_equal(block.snr, brain.snr(WHOLE))
    assert not block.snr[~there].any()


def test_swc_nodes_lie_on_their_own_branch_and_in_the_tissue(tmp_path: Path) -> None:
    brain = SyntheticBrain(SHAPE, BUSY, 4)
    block, size = brain.block(WHOLE), (2.0, 0.5, 0.5)
    on, nodes = 0, 0
    for neuron in brain.tracing.neurons():
        tree = neuron_swc(brain.tracing, neuron, voxel_size=size, inside=brain.inside)
        if tree is None:
            continue
        path = tmp_path / "n.swc"
        path.write_text(tree.text)
        read = read_swc(path)
        place = np.rint(read.position / size).astype(int)
        assert ((place >= 0) & (place < SHAPE)).all()
        assert block.tissue[tuple(place.T)].all()
        neurite = read.kind != 1
        snr = {b.branch: b.snr for b in tree.branches}
        told = read.snr[neurite][:, None] - np.array([*snr.values()])
        assert (np.abs(told).min(axis=1) < 1e-3).all()
        here = block.branches[tuple(place[neurite].T)]
        on += np.isin(here, [*snr]).sum()
        nodes += neurite.sum()
    assert nodes > 500
    assert on / nodes > 0.75  # neurites cross, and somata cover roots


def test_a_path_that_leaves_and_comes_back_is_cut_not_bridged() -> None:
    brain = SyntheticBrain(SHAPE, BUSY, 5)
    neuron = int(brain.tracing.branches.neuron[brain.tracing.points.branch[0]])

    def half(position):
        return (position[:, 2] // 8) % 2 == 0

    whole = neuron_swc(brain.tracing, neuron)
    cut = neuron_swc(brain.tracing, neuron, inside=half)
    assert whole is not None
    assert cut is not None
    rows = np.array([r.split() for r in cut.text.splitlines() if r[0] != "#"], float)
    linked = rows[:, 6] > 0
    step = rows[linked, 2:5] - rows[rows[linked, 6].astype(int) - 1, 2:5]
    assert np.median(np.linalg.norm(step, axis=1)) < 1
    assert (rows[:, 6] == -1).sum() > 1
    assert sum(b.length for b in cut.branches) < sum(b.length for b in whole.branches)
