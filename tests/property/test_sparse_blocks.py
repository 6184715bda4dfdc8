"""What is not skipped is as it would be if nothing were."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.core.cubes import CubeMask, SkipCriteria, cube_counts, spread
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import Affine, BackendSpec
from blockseg.inference.backends.torch import TorchBackend
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.inference.reference import reference_inference
from blockseg.inference.skip_filter import SkipFilter, infer_filtered
from blockseg.inference.tile_scores.path_opening import path_opening_score
from blockseg.io.protocol import MemoryVolume
from blockseg.networks.receptive_field import ALIGNMENT, FIELDS, REACH
from blockseg.networks.registry import build
from blockseg.testing.backends import FakeBackend

EDGE = 16
AFFINE = Affine(200.0, 20.0)


def lively(seed, architecture="sdasn"):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(architecture, 2)
        for module in network.modules():
            if isinstance(module, (torch.nn.Conv3d, torch.nn.ConvTranspose3d)):
                torch.nn.init.kaiming_normal_(module.weight, a=0.2)
    return network.eval()


def image(shape, seed):
    rng = np.random.default_rng(seed)
    raw = rng.normal(200, 20, shape)
    for _ in range(4):
        z, y, x = (int(rng.integers(0, n)) for n in shape)
        raw[z : z + 3, y : y + 3, x : x + 12] += 200
    return raw.clip(0, 65535).astype(np.uint16)


@st.composite
def cases(draw):
    lengths = (
        draw(st.integers(1, 50)),
        draw(st.integers(1, 30)),
        draw(st.integers(8, 20)),
    )
    shape = to_zyx(draw(st.permutations(lengths)))
    block = to_zyx(4 * draw(st.integers(max(1, n // 8), max(2, n // 4))) for n in shape)
    core = to_zyx(draw(st.sampled_from([16, 32])) for _ in shape)
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    stops = [draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]
    return shape, block, core, Roi(to_zyx(starts), to_zyx(stops))


def far_mean(raw):
    """Return the answer of the fake engine on a whole volume."""
    padded = np.pad((raw - AFFINE.offset) / AFFINE.scale, REACH)
    steps = REACH * np.vstack([np.zeros((1, 3), int), np.eye(3), -np.eye(3)]).astype(
        int
    )
    rois = [Roi.whole(raw.shape).shifted(step + REACH) for step in steps]
    return np.mean([padded[roi.slices()] for roi in rois], axis=0).clip(0, 1)


@settings(max_examples=30, deadline=None)
@given(
    case=cases(),
    seed=st.integers(0, 3),
    rank=st.floats(0, 1),
    with_tissue=st.booleans(),
    with_mask=st.booleans(),
)
def test_cubes_are_skipped_whole_and_the_others_are_as_ever_however_blocks_lie(
    case, seed, rank, with_tissue, with_mask
):
    shape, block, core, roi = case
    raw = image(shape, seed)
    rng = np.random.default_rng(seed)
    found = path_opening_score(
        raw, Roi.whole(shape), Roi.whole(shape), AFFINE, shape, EDGE
    )
    bound = float(np.quantile(found, rank, method="lower"))
    counts = cube_counts(shape, EDGE)
    tissue = rng.random(counts) < 0.7 if with_tissue else np.ones(counts, bool)
    criteria = SkipCriteria(EDGE, bound, CubeMask.of(tissue) if with_tissue else None)
    masked = rng.random(shape) < 0.5 if with_mask else np.ones(shape, bool)
    whole = Roi.whole(shape)
    likely = spread(tissue, Roi.whole(counts), whole, EDGE)
    kept = likely & spread(found > bound, Roi.whole(counts), whole, EDGE)
    expected = np.where(kept & masked, far_mean(raw), 0)

    engine = Engine(FakeBackend(core, np.dtype("f8")), AFFINE)
    skip_filter = SkipFilter(criteria, shape, AFFINE)
    out = np.full(shape, np.nan)
    skipped = 0
    for part in BlockGrid(shape, block, (REACH,) * 3, roi, ALIGNMENT):
        inside = masked[part.write_roi.slices()] if with_mask else None
        place = skip_filter.place(part.write_roi)
        chosen = skip_filter.choose(raw[place.slices()], part.write_roi, inside)
        skipped += chosen.skipped
        out[part.write_roi.slices()] = 0
        if chosen.roi.size:
            around = skip_filter.around(chosen.roi, REACH)
            out[chosen.roi.slices()] = engine.probability(
                BlockInput(raw[around.slices()], around, chosen.roi, shape, chosen.mask)
            )
    assert abs(out - expected)[roi.slices()].max() < 1e-9
    if not with_mask:
        assert skipped == np.count_nonzero((likely & ~kept)[roi.slices()])


def test_a_network_in_sifted_blocks_is_that_on_the_whole_volume():
    shape = (32, 16, 64)
    raw, network = image(shape, 1), lively(1)
    found = path_opening_score(
        raw, Roi.whole(shape), Roi.whole(shape), AFFINE, shape, EDGE
    )
    bound = float(np.median(found))
    criteria = SkipCriteria(EDGE, bound)
    engine = Engine(
        TorchBackend(BackendSpec("torch", "", (16, 16, 16), "float64"), network), AFFINE
    )
    roi = Roi((0, 0, 16), (32, 16, 64))
    done = infer_filtered(
        SkipFilter(criteria, shape, AFFINE), engine, MemoryVolume(raw), roi, 32
    )
    engine.close()
    kept = found[:, :, 1:] > bound
    assert done.computed == kept.sum() * EDGE**3
    assert done.skipped == (~kept).sum() * EDGE**3
    assert np.array_equal(done.raw, raw[roi.slices()])
    assert done.read_bytes == (32 * 16 * 64 + 32 * 16 * 64) * 2
    bytes_ = np.rint(255 * reference_inference(raw, network, AFFINE))[roi.slices()]
    where = spread(kept, Roi.whole(kept.shape), Roi.whole(roi.shape), EDGE)
    assert np.array_equal(done.probability, np.where(where, bytes_, 0))


def test_a_network_that_sees_further_is_sifted_alike():
    architecture = "unet3d"
    shape = (16, 16, 32)
    raw, network = image(shape, 1), lively(1, architecture)
    whole = Roi.whole(shape)
    left, right = path_opening_score(raw, whole, whole, AFFINE, shape, EDGE).ravel()
    engine = Engine(
        TorchBackend(BackendSpec("torch", "", (16, 16, 16), "float64"), network), AFFINE
    )
    criteria = SkipCriteria(EDGE, float(min(left, right)))
    halo = FIELDS[architecture].reach
    done = infer_filtered(
        SkipFilter(criteria, shape, AFFINE), engine, MemoryVolume(raw), whole, halo
    )
    engine.close()
    bytes_ = np.rint(255 * reference_inference(raw, network, AFFINE))
    bytes_[..., slice(0, 16) if left < right else slice(16, 32)] = 0
    assert done.computed == EDGE**3
    assert np.array_equal(done.probability, bytes_)
