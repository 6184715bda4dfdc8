import json
from collections import Counter
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blockseg.blockwise.planning.sparse_plan import sparse_from
from blockseg.blockwise.sources.inputs import Inputs, Weights, memory_source
from blockseg.config.settings import RunSettings
from blockseg.core.geometry import Roi
from blockseg.core.specs import Normalization
from blockseg.inference import skip_calibration
from blockseg.inference.backends.table import make_backend
from blockseg.inference.engine import Engine
from blockseg.inference.skip_calibration import choose_threshold
from blockseg.inference.skip_filter import SkipFilter, infer_filtered
from blockseg.inference.tile_scores import scout
from blockseg.io.masks.tissue import Tissue
from blockseg.networks.scout import default_scout, save_scout
from blockseg.networks.weights_info import sha256
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.sparse import decisions as sparse
from blockseg.segmentation.sparse import windows as sparse_window
from blockseg.segmentation.sparse.decisions import sparse_decisions
from blockseg.segmentation.sparse.survey import Survey

EDGE = 16
SHAPE = (96, 112, 96)
CUBES = 6 * 7 * 6


@pytest.fixture(scope="module", autouse=True)
def _as_if_cubes_were_large():
    """Windows of such small volumes are mostly calls, and a cube holds few neurites."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skip_calibration, "_UNSEEN", 1)
        patch.setattr(sparse_window, "_CALL", 0)
        patch.setattr(sparse_window, "_LOOK", 0)
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory, save_bright_network):
    """A network that calls what is 6 SDs above the background foreground."""
    path = tmp_path_factory.mktemp("weights") / "local.safetensors"
    return Weights(path, save_bright_network(path, 6), sha256(path))


def neurites(shape=SHAPE, every=48):
    """Return noise with rods so thick that a thousandth of them is some voxels."""
    image = np.random.default_rng(0).normal(200, 10, shape)
    for y in range(3, shape[1], every):
        image[20:28, y : y + 10] += 200
    return image.clip(0, 65535).astype(np.uint16)


def full_of_neurites():
    """Return noise with rods in every cube."""
    image = np.random.default_rng(0).normal(200, 10, SHAPE)
    z, y = (np.flatnonzero(np.arange(n) % 16 // 4 == 1) for n in SHAPE[:2])
    image[np.ix_(z, y)] += 300
    return image.astype(np.uint16)


def inputs_of(image, weights, tmp_path, **given):
    settings = RunSettings(
        normalization=Normalization("given", 200, 10), backend="torch", workers=1, threads=1, sparse=True,
        **given,
    )  # fmt: skip
    roi = given.get("roi") or Roi.whole(image.shape)
    return Inputs(memory_source(image), tmp_path, roi, weights, None, settings)


def sparse_of(inputs, edge=EDGE):
    decided = sparse_decisions(inputs, decide(inputs), 2, edge)
    assert decided.sparse is not None
    return decided, decided.sparse


def again(plain):
    """A plan as a resumed run reads it."""
    found = sparse_from(json.loads(json.dumps(plain)))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def found_whole(weights, tmp_path_factory):
    return sparse_of(inputs_of(neurites(), weights, tmp_path_factory.mktemp("out")))


def test_a_sparse_volume_is_skipped_where_it_is_empty(weights, found_whole):
    image = neurites()
    decided, found = found_whole
    assert found.threshold is not None
    assert (found.cubes, found.inferred) == (CUBES, 24)
    assert 0.8 * CUBES < found.seen < CUBES, "32 of 36 groups"
    assert found.with_foreground >= 6
    assert found.lost <= found.lost_at_most <= 0.001
    assert decided.window == (16, 16, 32), "the rods run along x"
    criteria: Any = decided.criteria
    spec = decided.engine(str(weights.path))
    roi = Roi.whole(image.shape)
    with closing(Engine(make_backend(spec), decided.affine)) as engine:
        skip_filter = SkipFilter(criteria, image.shape, decided.affine)
        done = infer_filtered(skip_filter, engine, memory_source(image).volume, roi, 32)
    bright = image.astype(float) >= 200 + 10 * 6
    assert np.count_nonzero(bright & (done.probability < 128)) <= 0.001 * bright.sum()
    assert done.skipped == pytest.approx(found.empty * image.size, rel=0.1)
    assert done.skipped > 0.5 * image.size
    assert done.computed == pytest.approx(found.computed * image.size, rel=0.2)


def test_where_a_sample_cannot_tell_as_many_cubes_are_inferred_again(
    weights, tmp_path, monkeypatch
):
    asked = []

    def hesitant(cubes, sizes):
        asked.append(len(cubes))
        found = choose_threshold(cubes, sizes)
        return replace(found, threshold=None) if len(asked) == 1 else found

    monkeypatch.setattr(sparse, "choose_threshold", hesitant)
    _, found = sparse_of(inputs_of(neurites(), weights, tmp_path))
    assert asked[0] == 24 < asked[1] == found.inferred
    assert found.threshold is not None
    assert found.lost <= found.lost_at_most <= 0.001


def test_where_nothing_stands_out_no_more_cubes_are_inferred(
    weights, tmp_path, monkeypatch
):
    asked = []

    def never(cubes, sizes):
        asked.append(len(cubes))
        return replace(choose_threshold(cubes, sizes), threshold=None)

    monkeypatch.setattr(sparse, "choose_threshold", never)
    sparse_of(inputs_of(neurites(), weights, tmp_path))
    assert len(asked) == 8, (
        "three times again by either score, where foreground is clear"
    )
    asked.clear()
    sparse_of(inputs_of(full_of_neurites(), weights, tmp_path))
    assert len(asked) == 1, "a volume full of it"


def test_cubes_inferred_again_are_others_of_the_same_strata(
    weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(Survey, "_infer", lambda _, drawn: list(drawn))
    inputs = inputs_of(neurites(), weights, tmp_path)
    survey = Survey(inputs, decide(inputs), EDGE, None)
    drawn: list[Any] = [survey.inferred(2)[0], survey.more(2), survey.more(2)]
    places = [cube[0] for part in drawn for cube in part]
    assert len(places) == len(set(places))
    first, second, _ = (Counter(cube[2] for cube in part) for part in drawn)
    assert second <= first, "as many of each, or what is left"
    assert second[0] == survey.seen // 16 - first[0]
    assert [second[n] for n in range(1, 5)] == [first[n] for n in range(1, 5)]


def test_what_is_outside_of_the_tissue_is_skipped_and_its_loss_is_measured(
    weights, tmp_path, monkeypatch
):
    mask = np.ones((6, 7, 6), bool)
    mask[3:] = False
    monkeypatch.setattr(sparse, "tissue_cubes", lambda *_: Tissue(mask, 2))
    decided, found = sparse_of(inputs_of(neurites(), weights, tmp_path))
    assert found.criteria is not None
    assert (found.level, found.outside) == (2, 0.5)
    criteria: Any = again(decided.sparse.to_plain()).criteria
    assert np.array_equal(criteria.tissue.array(), mask)
    mask[:] = True
    mask[1] = False  # where all neurites are
    decided, found = sparse_of(inputs_of(neurites(), weights, tmp_path))
    assert decided.criteria is None


def test_the_region_of_a_run_does_not_change_what_is_skipped(
    weights, tmp_path, found_whole
):
    decided, whole = found_whole
    roi = Roi((0, 0, 0), (40, 60, 70))
    _, part = sparse_of(inputs_of(neurites(), weights, tmp_path, roi=roi))
    assert part == whole
    assert again(whole.to_plain()) == decided.sparse


def test_an_empty_volume_says_that_nothing_can_be_told(weights, tmp_path):
    image = np.random.default_rng(0).normal(200, 10, SHAPE).astype(np.uint16)
    decided, found = sparse_of(inputs_of(image, weights, tmp_path))
    assert decided.criteria is None
    assert "only 0 of 24 sampled cubes" in found.note
    assert decided.note == f"--sparse: {found.note}"
    assert decided.window == decide(inputs_of(image, weights, tmp_path)).window


def test_a_volume_full_of_neurites_is_not_skipped(weights, tmp_path):
    decided, found = sparse_of(inputs_of(full_of_neurites(), weights, tmp_path))
    assert decided.criteria is None
    assert "too little of the volume is surely empty" in found.note


def test_a_volume_of_a_few_cubes_is_not_skipped(weights, tmp_path):
    image = neurites((32, 64, 32))
    decided, found = sparse_of(inputs_of(image, weights, tmp_path))
    assert 0 < found.inferred <= found.cubes // 4
    assert decided.criteria is None
    assert found.note


def test_a_run_of_an_earlier_version_goes_on_with_whole_cubes():
    criteria: Any = again({"edge": 64, "cubes": 8, "bound": 1.5}).criteria
    assert (criteria.edge, criteria.tile, criteria.threshold) == (64, 64, 1.5)
    newer: Any = again({"edge": 64, "cubes": 8, "bound": 1.5, "tile": 16}).criteria
    assert (newer.edge, newer.tile) == (64, 16)


def untrained(path, seed):
    """Write a scout whose answers mean nothing; of seed 0 always the same one."""
    rng = np.random.default_rng(seed)
    size = 0.0 if seed == 0 else 0.3
    layers = [
        (rng.normal(0, size, (8, 1, 6, 6, 6)), rng.normal(0, size, 8)),
        *((rng.normal(0, size, (8, 8, 3, 3, 3)), np.zeros(8)) for _ in range(3)),
        (rng.normal(0, size, (1, 8, 1, 1, 1)), np.zeros(1)),
    ]
    save_scout(path, layers, -6.0, {})
    return path


@pytest.mark.parametrize("seed", range(4))
def test_a_scout_that_knows_nothing_makes_nothing_be_lost(
    weights, tmp_path, monkeypatch, seed
):
    path = untrained(tmp_path / "scout.safetensors", seed)
    monkeypatch.setattr(scout, "default_scout", lambda: path)
    image = neurites()
    decided, found = sparse_of(inputs_of(image, weights, tmp_path))
    bright = image.astype(float) >= 200 + 10 * 6
    criteria = decided.criteria
    if seed < 3:
        assert criteria is not None, "the path opening takes its place at the least"
        assert seed or criteria.scout is None
    if criteria is None:
        assert "all of it is inferred" in found.note or "to pay" in found.note
        return
    roi = Roi.whole(image.shape)
    with closing(
        Engine(make_backend(decided.engine(str(weights.path))), decided.affine)
    ) as engine:
        skip_filter = SkipFilter(criteria, image.shape, decided.affine)
        done = infer_filtered(skip_filter, engine, memory_source(image).volume, roi, 32)
    assert np.count_nonzero(bright & (done.probability < 128)) <= 0.001 * bright.sum()


def test_a_record_says_by_which_scout_tiles_are_skipped_and_older_ones_have_none(
    found_whole,
):
    _, found = found_whole
    assert found.scout is not None
    assert found.scout.sha256 == sha256(default_scout())
    plain = found.to_plain()
    assert again(plain).criteria == found.criteria
    del plain["scout"]
    older = again(plain).criteria
    assert older is not None
    assert (older.scout, older.threshold) == (None, found.threshold)
