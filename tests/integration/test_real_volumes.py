"""float32 on real volumes, with the published weights, against float64."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import BackendSpec, Normalization
from blockseg.inference.backends.table import available_backends, make_backend
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.inference.reference import reference_inference
from blockseg.networks.published import import_published
from blockseg.networks.receptive_field import ALIGNMENT, REACH
from blockseg.networks.weights import load_weights
from blockseg.normalization.affine import affine
from blockseg.normalization.background import estimate_background

# Crops with neurites in them, as volumes of their own; no edge is a multiple of 4.
CROPS = {
    "trailmap_chunk/image_160.tif": Roi((20, 30, 40), (91, 103, 115)),
    "neurotorch_olst/image.tif": Roi((0, 90, 100), (62, 173, 181)),
    "dlmbmap/image_sparse.tif": Roi((30, 0, 0), (77, 105, 79)),
}
BLOCK = (48, 64, 64)
CORE = (48, 32, 64)


@pytest.fixture(scope="module")
def weights(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "epoch_24.safetensors"
    import_published(shared_data / "sdasn" / "Fast_MyNet5_Re300_epoch_24.ckpt", path)
    return path


def in_blocks(raw: NDArray[Any], engine: Engine) -> NDArray[np.uint8]:
    out = np.empty(raw.shape, np.uint8)
    z, y, x = raw.shape
    for block in BlockGrid((z, y, x), BLOCK, (REACH,) * 3, alignment=ALIGNMENT):
        voxels = raw[block.read_roi.slices()]
        done = engine.segment(
            BlockInput(voxels, block.read_roi, block.write_roi, (z, y, x))
        )
        out[block.write_roi.slices()] = done.probability
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", CROPS)
def test_float32_in_blocks_is_float64_in_one_piece_up_to_rare_rounding(
    shared_data, weights, name
):
    raw = tifffile.imread(shared_data / "real" / name)[CROPS[name].slices()]
    network, info = load_weights(weights)
    background = estimate_background(list(raw), raw.dtype)
    by = affine(Normalization("robust"), background, info.gain)
    exact = reference_inference(raw, network, by)
    wanted = np.rint(255 * exact).astype(int)
    assert 0.001 < (exact > 0.5).mean() < 0.2  # there is something to compare
    for backend in set(available_backends()) - {"fake"}:
        spec = BackendSpec(backend, str(weights), CORE)
        engine = Engine(make_backend(spec), by)
        got = in_blocks(raw, engine).astype(int)
        engine.close()
        levels = abs(got - wanted)
        assert levels.max() <= 1
        assert np.count_nonzero(levels) < raw.size / 10_000
        flipped = (got >= 128) != (exact >= 0.5)
        assert np.all(abs(exact[flipped] - 0.5) < 1e-4)
