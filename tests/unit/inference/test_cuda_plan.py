from itertools import pairwise

import pytest
import torch
from torch.nn import functional

from blockseg.core.errors import ConfigError
from blockseg.inference.backends.cuda.cost import layer_costs, predicted_seconds
from blockseg.inference.backends.cuda.plan import ON_CHIP, device_bytes, layers, maps
from blockseg.inference.backends.cuda.weights import heads, matrices
from blockseg.networks.cost import multiply_adds
from blockseg.networks.folding import folded

CORES = [(4, 4, 4), (4, 8, 12), (64, 68, 300)]


@pytest.fixture
def network(network):
    """The same with norms that do something, in float64."""
    return network.double()


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("width", [2, 8, 16])
def test_no_tile_sees_beyond_the_maps_it_reads_or_writes_beyond_its_own(core, width):
    found = maps(width)
    for layer in layers(width):
        tiles = layer.tiles(core)
        for source in layer.sources:
            shape = tuple(n + 64 for n in core)
            if source.map != "raw":
                shape = found[source.map].shape(core)
            for count, step, seen, n in zip(
                tiles, layer.step, layer.seen, shape, strict=True
            ):
                assert 0 <= source.start + (count - 1) * step + seen <= n, layer.name
        size = (2, 2, 2) if layer.kind == "up" else (*layer.tile, 2)
        for count, edge, n, used in zip(
            tiles, size, layer.target.shape(core), layer.target.used(core), strict=True
        ):
            assert used <= count * edge <= n, layer.name


@pytest.mark.parametrize("width", [2, 8])
def test_maps_are_stored_with_channels_enough_for_loads_of_16_bytes(width):
    for found in maps(width).values():
        assert found.channels >= 8
        assert found.channels & (found.channels - 1) == 0


def test_pairs_of_layers_follow_each_other():
    plan = layers(8)
    for one, two in pairwise(plan):
        if one.target.name in ON_CHIP:
            assert [s.map for s in two.sources] == [one.target.name]
            assert two.sources[0].start == 0


def test_a_network_too_wide_for_the_registers_is_refused():
    with pytest.raises(ConfigError, match="width 16 at most, not 18"):
        layers(18)


@pytest.mark.parametrize("name", ["x00.0", "x00.1", "x10.1", "x20.2", "x11.0", "x02.0"])
def test_a_layers_matrices_compute_what_its_convolution_does(network, name):
    plan = {layer.name: layer for layer in layers(network.width)}
    layer = plan[name]
    node, index = name.split(".")
    conv = getattr(folded(network), node)[int(index)].conv
    x = torch.randn(1, layer.inputs, *layer.seen, dtype=torch.float64)
    wanted = functional.conv3d(x, conv.weight.detach(), conv.bias.detach())
    torch.testing.assert_close(
        by_matrices(network, layer, x), wanted, rtol=HALF, atol=HALF
    )


@pytest.mark.parametrize("name", ["up11", "up01", "up02"])
def test_a_transposed_convolutions_matrices_compute_what_it_does(network, name):
    layer = next(layer for layer in layers(network.width) if layer.name == name)
    conv = getattr(folded(network), name).conv
    x = torch.randn(1, layer.inputs, 2, 2, 2, dtype=torch.float64)
    # The first of the two voxels and half of the way to the other.
    wanted = conv(x).detach()[..., :2, :2, :2]
    torch.testing.assert_close(
        by_matrices(network, layer, x), wanted, rtol=HALF, atol=HALF
    )


def test_the_heads_shares_add_up_to_the_networks_heads(network):
    shares, bias = heads(network, 8)
    c = network.width
    x00, up01, x02 = torch.randn(3, 1, c, 2, 2, 2, dtype=torch.float64)
    with torch.no_grad():
        wanted = network.head00(x00) + network.head02(x02)
        wanted += network.head01(torch.cat([x00, up01], 1))
    got = bias + sum(
        torch.einsum("bczyx,c->bzyx", x, shares[name][:c].double())
        for name, x in (("x00.1", x00), ("up01", up01), ("x02.1", x02))
    )
    torch.testing.assert_close(got, wanted[:, 0], rtol=1e-6, atol=1e-6)


def test_counted_multiply_adds_are_those_of_the_network():
    core = (64, 96, 128)
    counted = sum(cost.multiply_adds for cost in layer_costs(core))
    assert counted == pytest.approx(multiply_adds("sdasn", 8, core), rel=0.01)


def test_what_stays_on_the_chip_is_neither_read_nor_written():
    core = (256, 256, 256)
    fused, plain = (
        {cost.name: cost for cost in layer_costs(core, on_chip=on_chip)}
        for on_chip in (ON_CHIP, frozenset[str]())
    )
    voxels = 318**3  # of x00a: 8 channels of 2 bytes, to and fro
    assert plain["x00.0"].written - fused["x00.0"].written == 16 * voxels
    assert plain["x00.1"].read - fused["x00.1"].read == 16 * voxels
    assert fused["x00.1"].multiplied > plain["x00.1"].multiplied  # borders, again
    assert predicted_seconds(list(plain.values())) > 0


def test_a_window_takes_memory_for_its_maps_and_three_slots():
    core = (256, 256, 256)
    stored = sum(
        m.channels * 2 * torch.Size(m.shape(core)).numel()
        for m in maps(8).values()
        if m.name not in ON_CHIP | {"x02"}
    )
    slots = 3 * (2 * 320**3 + 256**3)
    assert device_bytes(core, 8, ON_CHIP) == stored + 4 * 256**3 + slots


HALF = 2e-3
"""What rounding of weights to fp16 may make."""


def by_matrices(network, layer, x):
    """Return one tile's voxels (1, channel, z, y, x) from all that it sees."""
    found = matrices(network, (layer,), maps(network.width))[layer.name]
    sums = found.bias.double().repeat(layer.columns // layer.stored)
    first = 0
    for source, matrix in zip(layer.sources, found.weights, strict=True):
        channels = matrix.shape[0] * matrix.shape[1] // torch.Size(layer.seen).numel()
        seen = torch.zeros(*layer.seen, channels, dtype=torch.float64)
        for place, count in source.parts:
            part = x[0, first : first + count].permute(1, 2, 3, 0)
            seen[..., place : place + count] = part
            first += count
        sums = sums + seen.flatten() @ matrix.double().flatten(0, 1)
    size = (2, 2, 2) if layer.kind == "up" else (*layer.tile, 2)
    tile = sums.reshape(*size, layer.stored)[..., : layer.outputs]
    return tile.permute(3, 0, 1, 2)[None]
