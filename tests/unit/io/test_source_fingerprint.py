from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.io.find import find
from blockseg.io.source_files.fingerprint import differences, fingerprint

if TYPE_CHECKING:
    from pathlib import Path


def brain(path: Path) -> Path:
    data = np.random.default_rng(0).integers(1, 99, (16, 16, 16)).astype("u2")
    array = zarr.create_array(path, shape=data.shape, dtype="u2", chunks=(4, 4, 4))
    array[:] = data
    return path


def stack(path: Path) -> Path:
    path.mkdir()
    for z in range(100):
        tifffile.imwrite(path / f"{z}.tif", np.full((6, 7), z, "u2"))
    return path


def test_a_fingerprint_is_plain_json_and_repeatable(tmp_path: Path) -> None:
    spec = find(brain(tmp_path / "a"))
    first = fingerprint(spec)
    assert json.loads(json.dumps(first)) == first == fingerprint(spec)
    assert differences(first, fingerprint(spec)) == []
    assert len(first["chunks"]) == 64  # type: ignore[arg-type]


def test_a_source_that_moved_with_its_times_is_the_same(tmp_path: Path) -> None:
    for name, write in (("a", brain), ("s", stack)):
        source = write(tmp_path / name)
        first = fingerprint(find(source))
        shutil.copytree(source, tmp_path / f"{name}-moved")
        assert differences(first, fingerprint(find(tmp_path / f"{name}-moved"))) == []


def test_changed_chunks_are_noticed_and_named(tmp_path: Path) -> None:
    source = brain(tmp_path / "a")
    first = fingerprint(find(source))
    os.utime(source / "c/1/2/3", ns=(0, 0))
    (source / "c/0/0/0").unlink()
    (line,) = differences(first, fingerprint(find(source)))
    assert "2 sampled files of data have changed, such as c/0/0/0" in line


def test_changed_metadata_are_noticed(tmp_path: Path) -> None:
    source = brain(tmp_path / "a")
    first = fingerprint(find(source))
    file = source / "zarr.json"
    file.write_text(file.read_text().replace('"fill_value": 0', '"fill_value": 7'))
    lines = differences(first, fingerprint(find(source)))
    assert "metadata have changed" in lines


def test_another_shape_or_choice_is_said_with_both_values(tmp_path: Path) -> None:
    a = fingerprint(find(brain(tmp_path / "a")))
    data = np.zeros((16, 16, 17), "u1")
    b = zarr.create_array(
        tmp_path / "b", shape=data.shape, dtype="u1", chunks=(4, 4, 4)
    )
    assert b.shape == data.shape
    lines = differences(a, fingerprint(find(tmp_path / "b")))
    assert "shape was 16×16×16 and is 16×16×17" in lines
    assert "dtype was 'uint16' and is 'uint8'" in lines


def test_files_of_tiff_are_compared_by_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, np.ones((5, 8, 9), "u2"))
    first = fingerprint(find(file))
    os.utime(file, ns=(5, 5))
    (line,) = differences(first, fingerprint(find(file)))
    assert "a.tif" in line


def test_slices_that_were_added_are_noticed(tmp_path: Path) -> None:
    source = stack(tmp_path / "s")
    first = fingerprint(find(source))
    tifffile.imwrite(source / "100.tif", np.full((6, 7), 1, "u2"))
    assert "slices was 100 and is 101" in differences(first, fingerprint(find(source)))


@pytest.mark.parametrize(
    "other", ["constant://4,4,4/uint16/8", "constant://4,4,5/uint16/7"]
)
def test_virtual_volumes_differ_by_what_they_are(other: str) -> None:
    first = fingerprint(find("constant://4,4,4/uint16/7"))
    assert differences(first, fingerprint(find(other)))
