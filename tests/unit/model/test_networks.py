"""VoxResNet and 3-D U-Net: what is published of them, and that they crop exactly."""

import pytest
import torch
from torch.nn import functional

from blockseg.core.errors import ConfigError
from blockseg.model import FIELDS, load_weights
from blockseg.model.networks import ARCHITECTURES, Network, build
from blockseg.model.reach import reach
from blockseg.model.weights import WeightsInfo, save_weights

OTHERS = tuple(name for name in ARCHITECTURES if name != "sdasn")


@pytest.fixture
def lively(make_network):
    """Return small networks in float64 whose norms and biases make every edge show."""

    def make(architecture: str, seed: int = 0) -> Network:
        network: Network = make_network(2, seed, architecture).double()
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
    network = lively(architecture).float()
    info = WeightsInfo("mine", 0.5, width=2, architecture=architecture)
    save_weights(tmp_path / "w", network, info)
    loaded, said = load_weights(tmp_path / "w")
    assert said == info
    x = torch.randn(1, 1, 8, 8, 8)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))


def test_reach_and_alignment_follow_from_the_layers():
    assert [(f.reach, f.alignment) for f in FIELDS.values()] == [
        (32, 4),
        (72, 8),
        (64, 8),
    ]
    assert reach([(1, "stride"), (0, "end")]) == 2
    assert reach([(0, "stride"), (1, "stride"), (2, "end")]) == 13


@pytest.mark.parametrize("architecture", OTHERS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_cropped_form_equals_the_padded_one_on_every_axis(
    lively, architecture, axis
):
    network = lively(architecture)
    reach, step = network.reach, network.alignment
    shape = [step] * 3
    shape[axis] = 3 * step + 2 * reach
    volume = torch.randn(1, 1, *shape, dtype=torch.float64)
    window, masks = _window(volume, [reach] * 3)
    at = [slice(reach, reach + n) for n in shape]
    with torch.inference_mode():
        whole = network(volume)
        core = network.core_logits(window, masks)
        unmasked = network.core_logits(window)
        # A window inside on the long axis, which is where it is not padded.
        middle = window.narrow(2 + axis, reach + step, step + 2 * reach)
        inside = list(masks)
        inside[axis] = masks[axis][:, reach + step : 2 * step + 3 * reach]
        part = network.core_logits(middle, tuple(inside))
    assert core.shape == whole.shape == (1, 1, *(s.stop - s.start for s in at))
    assert (core - whole).abs().max() < 1e-10
    assert (unmasked - whole).abs().max() > 1e-3
    wanted = whole.narrow(2 + axis, reach + step, step)
    assert (part - wanted).abs().max() < 1e-10
    assert wanted.std() > 1e-2


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
        seen = volume.grad.abs().amax(dim=(0, 1, 2, 3)) > 0
        reaching |= set(seen.nonzero().ravel().tolist())
    assert (core.start - min(reaching), max(reaching) - core.stop + 1) == (low, high)
    assert max(low, high) <= network.reach < max(low, high) + 2 * step


def _window(
    volume: torch.Tensor, margins: list[int]
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Return a window around the whole volume, and what of it lies inside."""
    window = functional.pad(volume, [m for margin in margins for m in (margin, margin)])
    masks = []
    for n, margin in zip(volume.shape[2:], margins, strict=True):
        vector = torch.zeros(1, n + 2 * margin, dtype=volume.dtype)
        vector[:, margin : margin + n] = 1
        masks.append(vector)
    return window, tuple(masks)
