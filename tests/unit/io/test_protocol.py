from __future__ import annotations

import pickle

import numpy as np
import pytest

from blockseg.core.errors import GeometryError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.protocol import ConstantVolume, MemoryVolume


def test_an_array_in_memory_is_a_volume() -> None:
    array = np.arange(24, dtype=">u2").reshape(2, 3, 4)
    volume = MemoryVolume(array)
    assert volume.shape == (2, 3, 4)
    assert volume.dtype.isnative
    part = volume.read(Roi((0, 1, 1), (2, 3, 3)))
    assert part.dtype.isnative
    np.testing.assert_array_equal(part, array[:, 1:3, 1:3])


def test_a_read_does_not_alias_the_array() -> None:
    array = np.zeros((2, 2, 2), "u1")
    MemoryVolume(array).read(Roi.whole(array.shape))[:] = 9
    assert not array.any()


def test_an_array_that_is_not_3d_is_no_volume() -> None:
    with pytest.raises(VolumeError, match="2 axes"):
        MemoryVolume(np.zeros((2, 2)))


def test_a_constant_volume_of_any_size_needs_no_memory() -> None:
    spec = find("constant://30000,40000,50000/uint16/7")
    volume = pickle.loads(pickle.dumps(open_volume(spec)))
    assert volume == ConstantVolume((30000, 40000, 50000), np.dtype("u2"), 7)
    part = volume.read(Roi((29990, 0, 49990), (30000, 3, 50000)))
    assert part.shape == (10, 3, 10)
    assert part.dtype == np.dtype("u2")
    assert (part == 7).all()


@pytest.mark.parametrize(
    "uri", ["constant://1,2/uint16/7", "constant://1,2,3/x/7", "constant://1"]
)
def test_a_misspelt_constant_volume_is_refused_with_the_right_form(uri: str) -> None:
    with pytest.raises(
        VolumeError, match="not of the form constant://Z,Y,X/DTYPE/VALUE"
    ):
        find(uri)


def test_regions_outside_are_refused() -> None:
    for volume in (MemoryVolume(np.zeros((2, 2, 2))), ConstantVolume((2, 2, 2))):
        with pytest.raises(GeometryError, match="does not lie inside"):
            volume.read(Roi((0, 0, 0), (3, 2, 2)))
