from dataclasses import replace

import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, AffineField, BackendSpec
from blockseg.inference.backends.device.grey_codes import GreyCodes
from blockseg.inference.block_input import BlockInput
from blockseg.inference.make_engine import make_engine
from blockseg.normalization.affine import normalize

FIELD = AffineField(
    (2, 2, 3),
    (2.0, 3.0, 4.0),
    (6.0, 9.0, 7.0),
    tuple(200.0 + 50 * k for k in range(12)),
    tuple(8.0 + k for k in range(12)),
    -5,
    60,
)
SHAPE = (12, 20, 24)


def image(dtype="u2"):
    rng = np.random.default_rng(4)
    return (300 + rng.gamma(0.6, 150, SHAPE)).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
def test_codes_say_what_the_network_shall_see_to_a_thousandth_of_an_sd(dtype):
    raw = image(dtype)
    wanted, seen = (np.empty(SHAPE, np.float32) for _ in range(2))
    normalize(raw, FIELD, wanted)
    codes = GreyCodes(FIELD)
    normalize(codes.encode(raw, (0, 0, 0)), codes.affine, seen)
    assert np.abs(seen - wanted).max() < 0.6 * (60 + 5) / 65_535


def test_a_voxel_has_the_same_code_in_every_block():
    raw, codes = image(), GreyCodes(FIELD)
    whole = codes.encode(raw, (0, 0, 0))
    part = Roi((3, 7, 5), (9, 20, 18))
    assert np.array_equal(
        codes.encode(raw[part.slices()], part.start), whole[part.slices()]
    )


def test_weights_without_ends_of_their_input_keep_fine_codes():
    affine = GreyCodes(replace(FIELD, low=-1e6, high=1e6)).affine
    assert 1 / affine.scale < 0.01
    assert affine.low <= -32


def test_an_engine_of_a_device_segments_under_a_field_as_one_of_the_cpu_does():
    raw, whole = image(), Roi.whole(SHAPE)
    spec = BackendSpec("fake", "", (8, 8, 8))
    block = BlockInput(raw, whole, whole, SHAPE)
    found = []
    for device in ("cpu", "cuda"):
        engine = make_engine(replace(spec, device=device), FIELD, raw.dtype)
        found.append(engine.segment(block).probability.astype(int))
        engine.close()
    assert found[0].std() > 1
    assert np.abs(found[0] - found[1]).max() <= 1


def test_a_constant_field_is_one_affine():
    codes = GreyCodes(
        AffineField((1, 1, 1), (0, 0, 0), (1, 1, 1), (300.0,), (20.0,), -5, 60)
    )
    raw = image()
    seen, wanted = (np.empty(SHAPE, np.float32) for _ in range(2))
    normalize(codes.encode(raw, (0, 0, 0)), codes.affine, seen)
    normalize(raw, Affine(300.0, 20.0, -5, 60), wanted)
    assert np.abs(seen - wanted).max() < 1e-3
