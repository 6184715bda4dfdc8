"""What a window costs, against counting multiply-adds by hand."""

import pytest

from blockseg.networks.cost import margin_cost, multiply_adds
from blockseg.networks.receptive_field import FIELDS

# SDASN's convolutions for a core of n voxels, worked out from the output back to the
# input: the level's factor, the edge beyond n / factor of the map that each makes (a
# transposed one: takes), and the channels in and out.
CONVOLUTIONS = (
    (1, 62, 1, 8),  # x00
    (1, 60, 8, 8),
    (2, 28, 8, 8),  # x10
    (2, 26, 8, 14),
    (2, 24, 14, 14),
    (4, 10, 14, 14),  # x20
    (4, 8, 14, 28),
    (4, 6, 28, 28),
    (4, 6, 28, 14),  # up11
    (2, 6, 28, 14),  # x11
    (2, 4, 14, 14),
    (2, 4, 14, 8),  # up01
    (2, 4, 14, 8),  # up02
    (1, 2, 24, 8),  # x02
    (1, 0, 8, 8),
)
HEADS = 8 + 16 + 8


def by_hand(core, margins):
    total = HEADS * core[0] * core[1] * core[2]
    for factor, margin, channels_in, channels_out in CONVOLUTIONS:
        voxels = 1
        for n in core:
            voxels *= n // factor + margins * margin
        total += voxels * 27 * channels_in * channels_out
    return total


@pytest.mark.parametrize("core", [(4, 4, 4), (32, 64, 48), (128, 128, 128)])
def test_a_window_costs_what_its_layers_multiply(core):
    assert multiply_adds("sdasn", 8, core) == by_hand(core, margins=1)
    whole = by_hand(core, margins=0)
    assert margin_cost("sdasn", 8, core) == pytest.approx(
        by_hand(core, margins=1) / whole
    )


def test_a_pass_of_the_default_network_takes_13628_multiply_adds_a_voxel():
    core = (64, 64, 64)
    a_voxel = multiply_adds("sdasn", None, core) / margin_cost("sdasn", None, core)
    assert a_voxel / 64**3 == pytest.approx(13_628, abs=0.5)


@pytest.mark.parametrize("architecture", sorted(FIELDS))
def test_margins_cost_less_the_larger_the_window(architecture):
    costs = [margin_cost(architecture, 2, (n, n, n)) for n in (32, 64, 128)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] > 1
