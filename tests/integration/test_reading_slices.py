"""Slices with planes missing between them, as any process opens them."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.source_files.fingerprint import differences, fingerprint

if TYPE_CHECKING:
    from pathlib import Path

LOST = (2, 3, 7)


def stack(folder: Path, dtype: str = "u2", lost: tuple[int, ...] = LOST) -> np.ndarray:
    data = np.random.default_rng(3).integers(1, 99, (10, 20, 30)).astype(dtype)
    folder.mkdir()
    for z, plane in enumerate(data):
        if z in lost:
            data[z] = 0
        else:
            tifffile.imwrite(folder / f"{z + 4}.tif", plane, compression="zlib")
    return data


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_missing_planes_read_as_zeros_in_their_places(
    dtype: str, tmp_path: Path
) -> None:
    data = stack(tmp_path / "a", dtype)
    volume = open_volume(find(tmp_path / "a", allow_gaps=True))
    assert volume.shape == data.shape
    copy = pickle.loads(pickle.dumps(volume))
    for roi in (
        Roi.whole(data.shape),
        Roi((2, 3, 4), (3, 9, 9)),
        Roi((3, 0, 0), (8, 20, 1)),
    ):
        for one in (volume, copy):
            np.testing.assert_array_equal(one.read(roi), data[roi.slices()])


def test_workers_refuse_gaps_that_were_not_allowed(tmp_path: Path) -> None:
    stack(tmp_path / "a", lost=())
    spec = find(tmp_path / "a")
    (tmp_path / "a" / "8.tif").unlink()
    with pytest.raises(VolumeError, match="1 is missing: 8"):
        open_volume(spec)


def test_a_plane_that_is_filled_in_or_lost_is_another_source(tmp_path: Path) -> None:
    stack(tmp_path / "a")
    stack(tmp_path / "b", lost=(2, 3, 6))
    one, other = (
        fingerprint(find(tmp_path / name, allow_gaps=True)) for name in ("a", "b")
    )
    assert one["slices"] == other["slices"] == 7
    assert one["shape"] == [10, 20, 30]
    assert "metadata have changed" in differences(one, other)
