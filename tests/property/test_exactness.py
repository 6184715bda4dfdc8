"""Blocks agree with one pass over the whole volume, both in float64."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import Affine, AffineField, BackendSpec
from blockseg.inference.backends.torch import TorchBackend
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.inference.reference import reference_inference
from blockseg.networks.base import Network
from blockseg.networks.receptive_field import ALIGNMENT
from blockseg.networks.registry import build
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights import load_weights

AFFINE = Affine(200.0, 40.0)
MOST_VOXELS = 100_000
MOST_WINDOWS = 30


@dataclass(frozen=True)
class Case:
    """A volume, how it is cut, and what of it is wanted."""

    shape: Zyx
    block: Zyx
    core: Zyx
    roi: Roi

    @property
    def windows(self) -> int:
        blocks = math.prod(
            -(-n // b) for n, b in zip(self.roi.shape, self.block, strict=True)
        )
        # An unaligned region grows by up to one step on both sides.
        return blocks * math.prod(
            -(-(b + 2 * ALIGNMENT) // c)
            for b, c in zip(self.block, self.core, strict=True)
        )


def lively_network(width: int, seed: int, architecture: str = "sdasn") -> Network:
    """Return a network whose norms and biases make every edge show."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(architecture, width)
        for module in network.modules():
            if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
                # The usual initialisation shrinks signals from layer to layer, and
                # with them what the farthest voxels say.
                nn.init.kaiming_normal_(module.weight, a=0.2)
            if isinstance(module, nn.BatchNorm3d):
                nn.init.normal_(module.bias, std=0.5)
                module.running_mean = torch.randn(module.num_features) * 0.5
                module.running_var = torch.rand(module.num_features) * 0.8 + 0.2
    return network.eval()


def image(shape: Zyx, seed: int) -> NDArray[Any]:
    # Smooth enough that the coarse levels, which see farthest, have their say.
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=[-(-n // 4) for n in shape])
    for axis in range(3):
        coarse = coarse.repeat(4, axis)
    z, y, x = shape
    values = 200 + 60 * coarse[:z, :y, :x] + rng.normal(0, 20, shape)
    return values.clip(0, 65535).astype(np.uint16)


def by_blocks(
    raw: NDArray[Any],
    network: Network,
    case: Case,
    halo: int | None = None,
    affine: Affine | AffineField = AFFINE,
) -> NDArray[Any]:
    """Return the ROI's probability, block by block, in float64."""
    spec = BackendSpec("torch", "", case.core, "float64")
    engine = Engine(TorchBackend(spec, network), affine)
    halo = network.reach if halo is None else halo
    step = network.alignment
    grid = BlockGrid(case.shape, case.block, (halo,) * 3, case.roi, step)
    out = np.full(case.roi.shape, np.nan)
    for block in grid:
        out[block.write_roi.slices(case.roi.start)] = engine.probability(
            BlockInput(
                raw[block.read_roi.slices()],
                block.read_roi,
                block.write_roi,
                case.shape,
            )
        )
    engine.close()
    return out


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # Long on one axis, where blocks and their halos lie apart; short on the others.
    lengths = [
        draw(st.integers(1, 170)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 14)),
    ]
    shape = to_zyx(draw(st.permutations(lengths)))
    block = to_zyx(
        4 * draw(st.integers(max(1, n // 16), max(2, n // 4))) for n in shape
    )
    core = to_zyx(4 * draw(st.integers(1, b // 4)) for b in block)
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    stops = [draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]
    if draw(st.booleans()):
        starts, stops = [0, 0, 0], list(shape)
    case = Case(shape, block, core, Roi(to_zyx(starts), to_zyx(stops)))
    assume(case.windows <= MOST_WINDOWS)
    return case


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(case=cases(), seed=st.integers(0, 3))
def test_blocks_equal_the_whole_volume_whatever_their_shape(case, seed):
    assert math.prod(case.shape) <= MOST_VOXELS
    network = lively_network(width=2, seed=seed)
    raw = image(case.shape, seed)
    whole = reference_inference(raw, network, AFFINE)[case.roi.slices()]
    assert abs(by_blocks(raw, network, case) - whole).max() < 1e-9


def field_over(shape: Zyx, nodes: Zyx, seed: int) -> AffineField:
    """Return a field whose levels and scales vary by more than 2 between nodes."""
    rng = np.random.default_rng(seed)
    count = math.prod(nodes)
    z, y, x = (n / k for n, k in zip(shape, nodes, strict=True))
    return AffineField(
        nodes,
        ((z - 1) / 2, (y - 1) / 2, (x - 1) / 2),
        (z, y, x),
        tuple(rng.uniform(120, 300, count).tolist()),
        tuple(rng.uniform(20, 60, count).tolist()),
    )


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(case=cases(), nodes=st.tuples(*[st.integers(1, 4)] * 3), seed=st.integers(0, 3))
def test_a_background_field_makes_no_seams(case, nodes, seed):
    network = lively_network(width=2, seed=seed)
    raw = image(case.shape, seed)
    field = field_over(case.shape, nodes, seed)
    whole = reference_inference(raw, network, field)[case.roi.slices()]
    assert abs(by_blocks(raw, network, case, affine=field) - whole).max() < 1e-9


FIXED = [
    Case((130, 25, 30), (64, 32, 32), (32, 32, 32), Roi((0, 0, 0), (130, 25, 30))),
    Case((38, 47, 55), (36, 24, 56), (20, 28, 56), Roi((3, 5, 1), (37, 46, 55))),
    Case((1, 170, 75), (4, 88, 76), (4, 88, 76), Roi((0, 0, 0), (1, 170, 75))),
]


@pytest.mark.parametrize("case", FIXED, ids=lambda case: "x".join(map(str, case.shape)))
def test_the_full_network_in_blocks_equals_the_whole_volume(case):
    network = lively_network(width=8, seed=0)
    raw = image(case.shape, 7)
    whole = reference_inference(raw, network, AFFINE)[case.roi.slices()]
    assert whole.std() > 0.05  # not saturated: differences would show
    assert abs(by_blocks(raw, network, case) - whole).max() < 1e-9


def test_the_shipped_weights_in_blocks_equal_the_whole_volume():
    case = Case((21, 38, 27), (12, 20, 28), (12, 20, 28), Roi((1, 0, 2), (21, 38, 27)))
    network, _ = load_weights(default_weights())
    raw = image(case.shape, 3)
    whole = reference_inference(raw, network, AFFINE)[case.roi.slices()]
    assert abs(by_blocks(raw, network, case) - whole).max() < 1e-9


@pytest.mark.parametrize(
    ("architecture", "case"),
    [
        # Wide windows: a few of them, inside on the long axis, at the edge elsewhere.
        (
            "voxresnet",
            Case(
                (179, 9, 14), (16, 16, 16), (16, 16, 16), Roi((75, 0, 3), (90, 9, 14))
            ),
        ),
        (
            "unet3d",
            Case((9, 157, 14), (16, 16, 16), (8, 16, 16), Roi((2, 70, 0), (9, 85, 14))),
        ),
    ],
)
def test_the_other_networks_in_blocks_equal_the_whole_volume(architecture, case):
    network = lively_network(2, 0, architecture)
    raw = image(case.shape, 5)
    whole = reference_inference(raw, network, AFFINE)[case.roi.slices()]
    assert whole.std() > 0.05
    assert abs(by_blocks(raw, network, case) - whole).max() < 1e-9


def test_a_halo_below_the_reach_makes_seams():
    case = Case((136, 8, 8), (68, 8, 8), (68, 8, 8), Roi.whole((136, 8, 8)))
    network = lively_network(width=2, seed=0)
    raw = image(case.shape, 0)
    whole = reference_inference(raw, network, AFFINE)
    errors = {
        halo: abs(by_blocks(raw, network, case, halo) - whole).max()
        for halo in (0, 16, 24, 32)
    }
    assert errors[32] < 1e-9
    assert errors[0] > errors[16] > errors[24] > 1e-4
