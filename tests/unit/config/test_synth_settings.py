import pytest

from blockseg.config.merging import read_settings
from blockseg.config.synth_settings import SynthSettings
from blockseg.core.errors import ConfigError


def test_a_brain_is_described_alike_on_the_command_line_and_in_yaml():
    typed = read_settings(
        SynthSettings, {"shape": "64,96,128", "seed": "3", "swc": ("a", "b")}
    )
    stored = read_settings(
        SynthSettings, {"shape": [64, 96, 128], "seed": 3, "swc": ["a", "b"]}
    )
    assert typed == stored
    assert typed == SynthSettings((64, 96, 128), "fmost", 3, ("a", "b"))


def test_one_reconstruction_needs_no_list():
    assert read_settings(SynthSettings, {"swc": "a,b.swc"}).swc == ("a,b.swc",)


def test_a_bad_value_of_a_brain_is_told_with_its_option():
    with pytest.raises(ConfigError, match="--shape '0': must be at least one voxel"):
        read_settings(SynthSettings, {"shape": "0"})
