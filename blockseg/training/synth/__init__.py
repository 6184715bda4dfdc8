"""Synthetic brains of any size, with truth."""

from blockseg.training.synth.brain import SynthBlock, SyntheticBrain
from blockseg.training.synth.params import SynthParams
from blockseg.training.synth.placed import Placed
from blockseg.training.synth.presets import PRESETS, preset
from blockseg.training.synth.reconstruction import read_reconstruction
from blockseg.training.synth.swc import neuron_swc
from blockseg.training.synth.truth import BlockTruth, block_truth

__all__ = [
    "PRESETS",
    "BlockTruth",
    "Placed",
    "SynthBlock",
    "SynthParams",
    "SyntheticBrain",
    "block_truth",
    "neuron_swc",
    "preset",
    "read_reconstruction",
]
