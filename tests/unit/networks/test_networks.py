"""VoxResNet and 3-D U-Net: what is published of them, and that they crop exactly."""

import pytest
import torch
from torch.nn import functional

from blockseg.core.errors import ConfigError
from blockseg.networks.base import Network
from blockseg.networks.convolution import convolution_for
from blockseg.networks.layers import Convolution
from blockseg.networks.receptive_field import ARCHITECTURES, FIELDS, reach
from blockseg.networks.registry import build
from blockseg.networks.weights import load_weights, save_weights
from blockseg.networks.weights_info import WeightsInfo

OTHERS = tuple(name for name in ARCHITECTURES if name != "sdasn")


@pytest.fixture
def lively(make_network):
    """Return small networks whose norms and biases make every edge show."""

    def make(architecture: str, dtype: torch.dtype = torch.float64) -> Network:
        network: Network = make_network(2, 0, architecture).to(dtype)
        for layer in network.modules():
            if isinstance(layer, Convolution):
                layer.convolve = convolution_for(torch.device("cpu"), dtype)
        return network

    return make


@pytest.mark.parametrize(
    ("architecture", "count", "heads"),
    [("sdasn", 89_075, 3), ("voxresnet", 1_714_688, 4), ("unet3d", 8_162_658, 1)],
)
def test_each_network_is_as_large_as_published(architecture, count, heads):
    network = build(architecture)
    assert (network.architecture, network.width) == (
        architecture,
        FIELDS[architecture].width,
    )
    assert sum(p.numel() for p in network.parameters()) == count
    small = build(architecture, 2).eval()
    assert small.width == 2
    assert len(small.heads(torch.zeros(1, 1, 8, 8, 8))) == heads


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_heads_add_up_to_one_logit_a_voxel(lively, architecture):
    network = lively(architecture)
    x = torch.randn(2, 1, 8, 16, 24, dtype=torch.float64)
    with torch.inference_mode():
        heads = network.heads(x)
        assert {tuple(head.shape) for head in heads} == {(2, 1, 8, 16, 24)}
        assert torch.allclose(network(x), torch.stack(heads).sum(0))


def test_two_classes_become_the_logit_of_their_softmax(lively):
    network = lively("unet3d")
    x = torch.randn(1, 1, 8, 8, 8, dtype=torch.float64)
    seen = []
    network.head.register_forward_hook(lambda _m, _i, classes: seen.append(classes))
    with torch.inference_mode():
        p = network(x).sigmoid()
    assert torch.allclose(p, seen[0].softmax(1)[:, 1:])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_of_every_network_gets_a_gradient(architecture):
    network = build(architecture, 2)
    network(torch.randn(1, 1, 16, 16, 16)).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_an_unknown_network_or_width_is_one_line_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no network 'vox-resnet'.*'voxresnet'"):
        build("vox-resnet")
    with pytest.raises(ConfigError, match=r"no network 'UNet'.*'unet3d'"):
        build("UNet")
    with pytest.raises(ConfigError, match="no unet3d has width 1"):
        build("unet3d", 1)


@pytest.mark.parametrize("architecture", OTHERS)
def test_a_network_comes_back_from_its_file(tmp_path, lively, architecture):
    network = lively(architecture, torch.float32)
    info = WeightsInfo("mine", 0.5, width=2, architecture=architecture)
    save_weights(tmp_path / "w", network, info)
    loaded, said = load_weights(tmp_path / "w")
    assert said == info
    mine, theirs = network.state_dict(), loaded.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_reach_and_alignment_follow_from_the_layers():
    assert [(f.reach, f.alignment) for f in FIELDS.values()] == [
        (32, 4),
        (72, 8),
        (64, 8),
    ]
    assert reach([(1, "stride"), (0, "end")]) == 2
    assert reach([(0, "stride"), (1, "stride"), (2, "end")]) == 13


@pytest.mark.parametrize("architecture", OTHERS)
def test_the_cropped_form_with_masks_pads_as_the_padded_one_does(lively, architecture):
    network = lively(architecture, torch.float32)
    volume = torch.randn(1, 1, 8, 24, 16)
    window, masks = _window(volume, network.reach)
    with torch.inference_mode():
        whole = network(volume)
        core = network.core_logits(window, masks)
        unmasked = network.core_logits(window)
    assert core.shape == whole.shape == volume.shape
    assert (core - whole).abs().max() < 1e-3
    assert (unmasked - whole).abs().max() > 0.1


@pytest.mark.parametrize("architecture", OTHERS)
def test_the_cropped_form_equals_the_padded_one_inside_a_volume(lively, architecture):
    network = lively(architecture, torch.float32)
    reach, step = network.reach, network.alignment
    volume = torch.randn(1, 1, *(2 * reach + n * step for n in (1, 2, 3)))
    start = (0, step, step)
    window = volume[:, :, :, start[1] :, start[2] : start[2] + 2 * reach + step]
    with torch.inference_mode():
        whole = network(volume)
        core = network.core_logits(window)
    assert core.shape == (1, 1, step, step, step)
    z, y, x = (slice(reach + a, reach + a + step) for a in start)
    assert whole[:, :, z, y, x].std() > 1
    assert (whole[:, :, z, y, x] - core).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("architecture", "low", "high"), [("voxresnet", 66, 59), ("unet3d", 46, 54)]
)
def test_a_perturbed_voxel_reaches_no_further_than_the_stated_reach(
    lively, architecture, low, high
):
    network = lively(architecture)
    step = network.alignment
    start = network.reach + step
    length = 2 * start + step
    core = slice(start, start + step)
    generator = torch.Generator().manual_seed(1)
    shape = (step, step, length)
    reaching: set[int] = set()
    # One picture can hide a far voxel behind a maximum or an activation.
    for _ in range(3):
        volume = torch.randn(1, 1, *shape, dtype=torch.float64, generator=generator)
        volume = volume.requires_grad_()
        network(volume)[..., core].square().sum().backward()
        assert volume.grad is not None
        seen = volume.grad.abs().amax(dim=(0, 1, 2, 3)) > 0
        reaching |= set(seen.nonzero().ravel().tolist())
    assert (core.start - min(reaching), max(reaching) - core.stop + 1) == (low, high)
    assert max(low, high) <= network.reach < max(low, high) + 2 * step


def _window(
    volume: torch.Tensor, margin: int
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Return a window around a whole volume, and what of it lies inside."""
    masks = [functional.pad(torch.ones(1, n), [margin] * 2) for n in volume.shape[2:]]
    window = functional.pad(volume, [margin] * 6)
    return window, tuple(mask.to(volume.dtype) for mask in masks)
