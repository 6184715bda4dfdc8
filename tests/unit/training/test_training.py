"""Truth, loss and scores."""

from dataclasses import replace

import numpy as np
import torch

from blockseg.core.geometry import Roi
from blockseg.core.labels import IGNORE
from blockseg.networks.weights_info import WeightsInfo
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.fields import stream
from blockseg.synthetic.params import Morphology
from blockseg.synthetic.presets import preset
from blockseg.training.data.randomised import cluttered, dendrite_params, random_params
from blockseg.training.data.synth_source import truth
from blockseg.training.learning.losses import bce_dice

INFO = WeightsInfo(name="test", gain=1.0, width=2)


def test_every_random_brain_has_valid_parameters_and_densities_differ() -> None:
    drawn = [random_params(stream(1, i)) for i in range(200)]
    axons = [params.morphology.axon_density for params in drawn]
    assert 5 < axons.count(0.0) < 60
    assert max(axons) > 2500
    assert len({params.background.level for params in drawn}) > 110


def test_brains_of_dendrites_have_bright_thick_neurites_and_glowing_somata() -> None:
    drawn = [dendrite_params(stream(1, i)) for i in range(100)]
    assert min(low for p in drawn for _, low, _ in p.morphology.snr) >= 6
    assert sum(p.morphology.dendrite_radius[1] > 3 for p in drawn) > 25
    assert sum(p.clutter.glow > 0 for p in drawn) > 75
    brain = SyntheticBrain((64, 96, 96), drawn[0], 2)
    assert brain.mask(Roi.whole(brain.shape)).any()


def test_some_random_brains_have_membranes() -> None:
    drawn = [random_params(stream(1, i)).clutter.membranes for i in range(200)]
    assert 10 < np.count_nonzero(drawn) < 60


def test_somata_are_background_and_their_surroundings_do_not_count() -> None:
    params = replace(preset("clean"), morphology=Morphology(neurons=8, axon_density=0))
    brain = SyntheticBrain((64, 64, 64), params, 2)
    whole = Roi.whole(brain.shape)
    target, soma = truth(brain, whole), brain.somata(whole) > 0
    assert soma.any()
    assert not (target[soma] == 1).any()
    assert (target == IGNORE).any()
    assert (target == 1).any()


def test_invisible_neurites_do_not_count() -> None:
    faint = Morphology(neurons=0, axon_density=1400, snr=((1.0, 0.1, 0.2),))
    brain = SyntheticBrain((64, 64, 64), replace(preset("clean"), morphology=faint), 2)
    target = truth(brain, Roi.whole(brain.shape))
    assert (target == IGNORE).any()
    assert not (target == 1).any()


def test_ignored_voxels_do_not_move_the_network() -> None:
    logits = torch.zeros(1, 1, 2, 2, 2, requires_grad=True)
    target = torch.full((1, 1, 2, 2, 2), IGNORE)
    target[0, 0, 0] = 0
    bce_dice(logits, target).backward()
    assert logits.grad is not None
    assert (logits.grad[0, 0, 0] > 0).all()
    assert (logits.grad[0, 0, 1] == 0).all()


def test_a_cluttered_brain_has_far_more_spots_and_half_have_no_neurites() -> None:
    drawn = [cluttered(random_params(stream(1, i)), stream(2, i)) for i in range(60)]
    assert all(params.clutter.puncta >= 200 for params in drawn)
    bare = sum(params.morphology.axon_density == 0 for params in drawn)
    assert 15 < bare < 50
