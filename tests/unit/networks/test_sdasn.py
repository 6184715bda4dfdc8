import pytest
import torch
from torch import nn
from torch.nn import functional

from blockseg.networks.folding import folded
from blockseg.networks.receptive_field import ALIGNMENT, REACH, alignment, reach
from blockseg.networks.sdasn import SDASN


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_network_has_the_published_number_of_parameters():
    assert parameters(SDASN()) == 89_075


@pytest.mark.parametrize(
    ("nodes", "count"),
    [
        (("x00",), 1_992),
        (("x10",), 10_152),
        (("x20",), 37_254),
        (("up11", "x11"), 26_586),
        (("up01",), 3_048),
        (("up02", "x02"), 10_008),
        (("head00", "head01", "head02"), 35),
    ],
)
def test_each_node_has_its_published_number_of_parameters(nodes, count):
    network = SDASN()
    assert sum(parameters(getattr(network, node)) for node in nodes) == count


def test_the_output_is_the_sum_of_three_heads(network):
    x = torch.randn(2, 1, 8, 12, 4)
    with torch.inference_mode():
        heads = network.heads(x)
        assert [tuple(h.shape) for h in heads] == [(2, 1, 8, 12, 4)] * 3
        assert torch.equal(network(x), heads[0] + heads[1] + heads[2])


def test_every_parameter_gets_a_gradient():
    network = SDASN()
    network(torch.randn(1, 1, 8, 8, 8)).mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_core_costs_no_more_than_its_own_voxels_in_the_output(network):
    with torch.inference_mode():
        logits = network.core_logits(torch.randn(1, 1, 68, 72, 76))
    assert logits.shape == (1, 1, 4, 8, 12)


def test_the_cropped_form_equals_the_padded_one_inside_a_volume(make_network):
    network = make_network(width=2).double()
    volume = torch.randn(1, 1, 72, 72, 80, dtype=torch.float64)
    with torch.inference_mode():
        whole = network(volume)
        core = network.core_logits(volume[:, :, 4:, :68, 8:])
    difference = whole[:, :, 36:40, 32:36, 40:48] - core
    assert difference.abs().max() < 1e-12


def test_the_cropped_form_with_masks_pads_as_the_padded_one_does(make_network):
    network = make_network(width=2).double()
    shape = (8, 20, 12)  # smaller than the window on every side
    volume = torch.randn(1, 1, *shape, dtype=torch.float64)
    window = functional.pad(volume, (REACH, REACH + 8, REACH, REACH, REACH, REACH + 12))
    inside = []
    for n, length in zip(shape, window.shape[2:], strict=True):
        vector = torch.zeros(1, length, dtype=torch.float64)
        vector[:, REACH : REACH + n] = 1
        inside.append(vector)
    with torch.inference_mode():
        whole = network(volume)
        core = network.core_logits(window, (inside[0], inside[1], inside[2]))
        unmasked = network.core_logits(window)
    assert (core[:, :, :8, :20, :12] - whole).abs().max() < 1e-12
    assert (unmasked[:, :, :8, :20, :12] - whole).abs().max() > 1e-3


def test_reach_and_alignment_follow_from_the_layers():
    assert (REACH, ALIGNMENT) == (32, 4)
    # Two convolutions see two voxels; a pooled level in between sees more.
    assert (reach([(2, "end")]), alignment([(2, "end")])) == (2, 1)
    assert (reach([(1, "pool"), (1, "up"), (0, "end")]), alignment([(1, "pool")])) == (
        5,
        2,
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_perturbed_voxel_reaches_cores_up_to_the_stated_reach_and_no_further(
    make_network, axis
):
    network = make_network(width=2).double()
    shape = [4, 4, 4]
    shape[axis] = 3 * REACH + ALIGNMENT
    core = slice(REACH, REACH + ALIGNMENT)  # aligned; a little longer than REACH behind
    generator = torch.Generator().manual_seed(axis)

    def at_core(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = network(x)
            return logits.movedim(2 + axis, 0)[core]

    # One picture can hide a far voxel behind a maximum of the pooling; several can not.
    reaching: set[int] = set()
    for step in (100, -100, 100, -100):
        volume = torch.randn(1, 1, *shape, dtype=torch.float64, generator=generator)
        before = at_core(volume)
        for position in range(shape[axis]):
            copy = volume.clone()
            copy.movedim(2 + axis, 0)[position] += step
            if not torch.equal(at_core(copy), before):
                reaching.add(position)
    changed = sorted(reaching)
    # Down to 28 below the core and up to exactly REACH above it.
    assert changed[0] == core.start - 28
    assert changed[-1] == core.stop - 1 + REACH
    assert reach() == max(core.start - changed[0], changed[-1] - core.stop + 1)


def test_folding_norms_changes_nothing_but_the_rounding(network):
    network = network.double()
    x = torch.randn(1, 1, 12, 8, 16, dtype=torch.float64)
    with torch.inference_mode():
        bare = folded(network)
        assert not any(isinstance(m, nn.BatchNorm3d) for m in bare.modules())
        assert (bare(x) - network(x)).abs().max() < 1e-12
