import json

import numpy as np
import pytest

from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.sources.inputs import Inputs, memory_source
from blockseg.config.settings import RunSettings
from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, AffineField, Normalization
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.predict import predict

SHAPE = (2, 128, 192)  # 1×4×6 nodes


def uneven(shape=SHAPE):
    rng = np.random.default_rng(0)
    slope = np.linspace(1, 2, shape[2])
    return np.rint(200 * slope + 8 * rng.normal(size=shape)).astype("u2")


def decided(image, tmp_path, normalization="field", **others):
    settings = RunSettings(
        backend="fake",
        block=(32, 32, 32),
        normalization=Normalization(normalization),
        **others,
    )
    roi = settings.roi or Roi.whole(image.shape)
    return decide(Inputs(memory_source(image), tmp_path, roi, None, None, settings))


def test_a_field_survives_being_written_to_the_last_bit(tmp_path):
    decisions = decided(uneven(), tmp_path)
    assert isinstance(decisions.affine, AffineField)
    assert decisions.affine.nodes == (1, 4, 6)
    again = decisions_from(json.loads(json.dumps(decisions.to_plain())))
    assert again == decisions
    assert again.affine == decisions.affine


def test_what_was_found_is_said_in_grey_levels(tmp_path):
    field = decided(uneven(), tmp_path).background.field
    assert field is not None
    low, high = field.level
    assert low == pytest.approx(200 * 1.08, rel=0.05)
    assert high == pytest.approx(200 * 1.92, rel=0.05)
    assert (field.squares, field.left_out) == (2 * 4 * 6, 0)
    assert (field.nodes, field.filled) == (4 * 6, 0)


def test_the_field_does_not_depend_on_the_roi(tmp_path):
    part = Roi((0, 64, 0), (2, 128, 64))
    assert (
        decided(uneven(), tmp_path, roi=part).field == decided(uneven(), tmp_path).field
    )


def test_without_a_field_nothing_varies(tmp_path):
    decisions = decided(uneven(), tmp_path, "robust")
    assert decisions.field is None
    assert isinstance(decisions.affine, Affine)
    assert decisions.affine == decisions.whole
    assert not decisions.note


@pytest.mark.parametrize(
    "image", [uneven((2, 63, 63)), np.full(SHAPE, 9, "u2")], ids=["small", "constant"]
)
def test_where_there_is_no_field_the_user_is_told_and_robust_serves(image, tmp_path):
    field, robust = (decided(image, tmp_path, how) for how in ("field", "robust"))
    assert field.field is None
    assert field.affine == robust.affine
    assert field.empty == robust.empty
    assert "one level and one noise SD" in field.note


@pytest.mark.parametrize(
    "image", [uneven(), uneven((2, 63, 63))], ids=["wide", "small"]
)
def test_by_default_there_is_a_field_wherever_there_can_be_one(image, tmp_path):
    auto, field = (decided(image, tmp_path, how) for how in ("auto", "field"))
    assert RunSettings().normalization == Normalization("auto")
    assert auto.affine == field.affine
    assert not auto.note


def test_a_background_of_exact_zeros_is_said_and_told_by_the_signal(tmp_path):
    image = np.zeros((8, 128, 192), "u1")
    image[:, 60:63] = np.random.default_rng(0).integers(60, 250, (8, 3, 192))
    decisions = decided(image, tmp_path, "auto")
    assert decisions.field is None
    assert decisions.whole.offset == 0
    assert 10 < decisions.whole.scale < 60
    assert "exactly 0" in decisions.note


def test_arrays_are_predicted_with_a_field_in_any_blocks():
    image = uneven()
    whole, cut = (
        predict(
            image,
            RunSettings(
                backend="fake", normalization=Normalization("field"), block=block
            ),
        )
        for block in ((4, 128, 192), (4, 32, 64))
    )
    assert np.array_equal(whole, cut)
    assert whole.any()
    robust = predict(
        image,
        RunSettings(
            backend="fake",
            normalization=Normalization("robust"),
            block=(4, 128, 192),
        ),
    )
    assert not np.array_equal(whole, robust)
