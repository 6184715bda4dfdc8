"""Our kernels compiled for cards that are not here."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from blockseg.core.specs import Affine
from blockseg.inference.backends.cuda.plan import ON_CHIP

triton = pytest.importorskip("triton", reason="Triton is not installed")

from blockseg.inference.backends.cuda.compile_ahead import resources
from blockseg.inference.backends.cuda.fused import FusedNetwork
from blockseg.inference.backends.cuda.tiling import Tiling, stages_for

CORE = (64, 64, 64)

H100, L40 = (9, 0), (8, 9)

SHARED = {H100: 227 * 1024, L40: 99 * 1024}
"""Bytes of shared memory that one program may take (CUDA programming guide)."""


def assembler_is_here() -> bool:
    tools = triton.knobs.nvidia
    return all(Path(tool.path).is_file() for tool in (tools.ptxas, tools.cuobjdump))


@pytest.mark.slow
@pytest.mark.skipif(not assembler_is_here(), reason="Triton came without ptxas")
@pytest.mark.parametrize(
    ("card", "number", "products"),
    [
        (H100, 0, "wgmma"),  # encoder, two layers in one kernel
        (L40, -1, "mma"),  # decoder, the same
    ],
)
def test_kernels_fit_a_card_without_spilling(
    make_network, tmp_path, monkeypatch, card, number, products
):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    tiling = replace(Tiling(16, stages_for(card), 8, 132), on_chip=ON_CHIP)
    on_device = FusedNetwork(
        make_network(), CORE, Affine(168.5, 500.0), torch.device("cpu"), tiling=tiling
    )
    raw = torch.zeros([n + 64 for n in CORE], dtype=torch.int16)
    bounds = torch.zeros(12, dtype=torch.int32)
    out = torch.zeros(CORE, dtype=torch.uint8)
    launch = list(on_device.launches(raw, bounds, out, edge=True))[number]
    found = resources(launch, card)
    assert found.spilled == 0
    assert found.shared <= SHARED[card]
    assert found.registers * tiling.warps * 32 <= 65536
    assert found.products == products
    assert found.barriers >= 2  # of the ring, at least
