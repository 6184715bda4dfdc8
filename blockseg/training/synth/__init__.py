"""Synthetic brains of any size, with truth."""

from blockseg.training.synth.brain import SynthBlock, SyntheticBrain
from blockseg.training.synth.params import SynthParams
from blockseg.training.synth.presets import PRESETS, preset

__all__ = ["PRESETS", "SynthBlock", "SynthParams", "SyntheticBrain", "preset"]
