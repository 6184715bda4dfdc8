from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tensorstore as ts
import tifffile
import zarr

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.source_files import listing as file_listing
from blockseg.io.source_files.files import SourceFiles
from blockseg.io.source_files.fingerprint import fingerprint
from blockseg.io.source_files.table import FileTable

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.core.specs import VolumeSpec

SHAPE = (10, 21, 34)


def voxels(*leading: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 99, (*leading, *SHAPE)).astype("u2")


def zarr_of(path: Path, version: int, separator: str, channels: bool) -> VolumeSpec:
    data = voxels(2) if channels else voxels()
    name = {2: "v2", 3: "default"}[version]
    zarr.create_array(
        path,
        data=data,
        chunks=(1, 4, 8, 16)[4 - data.ndim :],
        zarr_format=version,  # type: ignore[arg-type]
        chunk_key_encoding={"name": name, "separator": separator},
    )
    return find(path, channel=1 if channels else None)


def n5(path: Path) -> VolumeSpec:
    metadata = {
        "dimensions": SHAPE[::-1],
        "blockSize": [16, 8, 4],
        "dataType": "uint16",
        "compression": {"type": "raw"},
    }
    spec = {"driver": "n5", "kvstore": f"file://{path}/", "metadata": metadata}
    ts.open(spec, create=True).result()[...] = voxels().T
    return find(path)


def slices(path: Path) -> VolumeSpec:
    path.mkdir()
    for z, plane in enumerate(voxels()):
        tifffile.imwrite(path / f"{z}.tif", plane)
    return find(path)


def single(path: Path) -> VolumeSpec:
    tifffile.imwrite(path.with_suffix(".tif"), voxels())
    return find(path.with_suffix(".tif"))


KINDS = {
    "zarr2.": lambda p: zarr_of(p, 2, ".", False),
    "zarr2/": lambda p: zarr_of(p, 2, "/", False),
    "zarr3.": lambda p: zarr_of(p, 3, ".", False),
    "zarr3/": lambda p: zarr_of(p, 3, "/", False),
    "channels2.": lambda p: zarr_of(p, 2, ".", True),
    "channels3/": lambda p: zarr_of(p, 3, "/", True),
    "n5": n5,
    "slices": slices,
    "single": single,
}


@pytest.fixture(params=KINDS)
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> VolumeSpec:
    return KINDS[request.param](tmp_path / "a")


def files_of(spec: VolumeSpec) -> SourceFiles:
    files = SourceFiles.of(spec)
    assert files is not None
    return files


def test_all_files_are_listed_with_their_boxes_which_tile_the_volume(
    spec: VolumeSpec,
) -> None:
    files = files_of(spec)
    table = files.look()
    assert table is not None
    assert len(table) == files.expected
    covered = np.zeros(SHAPE, int)
    for number, size in zip(table.numbers, table.sizes, strict=True):
        assert files.file(int(number)).stat().st_size == size
        covered[files.box(int(number)).slices()] += 1
    assert (covered == 1).all()


def test_the_box_of_a_file_is_what_its_loss_empties(spec: VolumeSpec) -> None:
    files = files_of(spec)
    if spec.format == "tiff":
        pytest.skip("a TIFF file that is lost is no missing chunk")
    files.file(files.expected // 2).unlink()
    lost = open_volume(spec).read(Roi.whole(SHAPE)) == 0
    wanted = np.zeros(SHAPE, bool)
    wanted[files.box(files.expected // 2).slices()] = True
    np.testing.assert_array_equal(lost, wanted)
    table = files.look()
    assert table is not None
    assert files.expected // 2 not in table.numbers.tolist()


def test_what_changed_comes_or_goes_is_told_by_name(spec: VolumeSpec) -> None:
    files = files_of(spec)
    before = files.look()
    assert before is not None
    os.utime(str(files.file(0)), ns=(5, 5))
    changed = {0}
    if spec.format != "tiff":
        files.file(3).unlink()
        changed.add(3)
    now = files.look()
    assert now is not None
    assert set(before.changed(now).tolist()) == changed
    assert set(now.changed(before).tolist()) == changed
    assert not len(before.changed(before))
    assert not len(before.updated(now).changed(now))


def test_a_look_at_some_files_tells_of_those_only(spec: VolumeSpec) -> None:
    files = files_of(spec)
    before = files.look()
    assert before is not None
    os.utime(str(files.file(0)), ns=(5, 5))
    some = files.look_at([0])
    assert before.changed(some).tolist() == [0]
    assert before.updated(some).complete
    assert len(before.updated(some)) == len(before)
    last = files.expected - 1
    assert not len(before.changed(files.look_at([last])) if last else [])


def test_a_fingerprint_holds_the_same_of_the_files_it_sampled(spec: VolumeSpec) -> None:
    files, found = files_of(spec), fingerprint(spec)
    lines = found.get("chunks", found.get("store"))
    assert isinstance(lines, list)
    sampled = files.sampled([str(line) for line in lines])
    whole = files.look()
    assert whole is not None
    assert 0 < len(sampled) <= 64
    assert not len(whole.changed(sampled))
    os.utime(str(files.file(int(sampled.numbers[0]))), ns=(5, 5))
    now = files.look()
    assert now is not None
    assert sampled.changed(now).tolist() == [sampled.numbers[0]]


def test_a_table_comes_back_from_its_bytes_and_damage_is_told() -> None:
    table = FileTable.of([(5, 10, 7), (2, 9, 8)], complete=True)
    again = FileTable.from_bytes(table.to_bytes())
    assert again.numbers.tolist() == [2, 5]
    assert again.complete
    assert not len(table.changed(again))
    for damaged in (b"", b"no", table.to_bytes()[:60]):
        with pytest.raises(VolumeError, match="damaged"):
            FileTable.from_bytes(damaged)


def test_planes_that_are_missing_have_no_files_and_the_others_keep_their_places(
    tmp_path: Path,
) -> None:
    for z in (0, 1, 2, 5, 6):
        tifffile.imwrite(tmp_path / f"z{z}.tif", np.full((9, 9), z + 1, "u2"))
    spec = find(tmp_path, allow_gaps=True)
    files, found = files_of(spec), fingerprint(spec)
    table = files.look()
    assert table is not None
    assert table.numbers.tolist() == [0, 1, 2, 5, 6]
    assert files.name(5) == "z5.tif"
    assert files.box(5) == Roi((5, 0, 0), (6, 9, 9))
    lines = found["chunks"]
    assert isinstance(lines, list)
    assert not len(table.changed(files.sampled([str(line) for line in lines])))


def test_a_store_that_answers_slowly_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zarr.create_array(tmp_path / "a", shape=(64, 64, 64), dtype="u1", chunks=(4, 4, 4))
    files = files_of(find(tmp_path / "a"))
    ticks = iter(range(0, 10**6, 10**4))

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(os, "listdir", never)
    assert files.look(clock=lambda: next(ticks)) is None


def test_a_listing_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a", data=voxels(), chunks=(1, 1, 34))
    assert array.shape == SHAPE
    files = files_of(find(tmp_path / "a"))
    ticks = iter(np.arange(0, 1e6, 0.5))
    deadline = file_listing.Deadline(clock=lambda: float(next(ticks)))
    with pytest.raises(file_listing.TooSlowError):
        list(files.rows(deadline))


def test_ten_seconds_are_allowed_and_more_for_more_than_a_million_files() -> None:
    allowed = file_listing.Deadline.allowed
    assert allowed(10) == allowed(1e6) == 10
    assert allowed(2e6) == 20
    assert allowed(1e12) == 60


def test_the_files_of_a_coarser_grid_hold_the_cells_that_they_contribute_to(
    tmp_path: Path,
) -> None:
    spec = zarr_of(tmp_path / "a.zarr", 3, "/", False)  # chunks of 4×8×16
    coarse = replace(spec, downsample=(3, 4, 8))
    stored, files = SourceFiles.of(spec), SourceFiles.of(coarse)
    assert stored is not None
    assert files is not None
    assert files.counts == stored.counts
    assert files.file(1) == stored.file(1)
    assert stored.box(0) == Roi((0, 0, 0), (4, 8, 16))
    assert files.box(0) == Roi((0, 0, 0), (2, 2, 2))
    last = files.expected - 1
    assert files.box(last) == Roi((2, 4, 4), (4, 6, 5))
    assert files.box(last).stop == open_volume(coarse).shape
