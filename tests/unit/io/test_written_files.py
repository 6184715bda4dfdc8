"""Files that are remembered, and what is noticed of them later."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockseg.core.errors import OutputGoneError
from blockseg.core.stored_file import StoredFile
from blockseg.io.output.written_files import (
    damaged_files,
    stored_below,
    stored_file,
    write_block_file,
)


def remembered(root: Path, count: int = 1000) -> list[tuple[int, StoredFile]]:
    files = []
    for number in range(count):
        path = f"0/{number % 7}/{number}"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(str(number).encode() * 3)
        files.append((number, stored_file(root, path)))
    return files


@pytest.mark.parametrize("contents", [False, True])
def test_files_as_they_were_written_are_not_damaged(
    tmp_path: Path, contents: bool
) -> None:
    files = remembered(tmp_path)
    looked_at: list[int] = []
    found = damaged_files(
        tmp_path, files, contents=contents, on_progress=looked_at.append
    )
    assert list(found) == []
    assert sum(looked_at) == len(files)


def test_what_is_wrong_with_each_is_said_in_the_order_of_the_files(
    tmp_path: Path,
) -> None:
    files = remembered(tmp_path)
    paths = {number: tmp_path / file.path for number, file in files}
    paths[7].unlink()
    paths[501].write_bytes(b"")
    paths[999].unlink()
    paths[999].mkdir()
    paths[2].write_bytes(b"xyz")
    found = [(f.block_id, f.what) for f in damaged_files(tmp_path, files)]
    assert found == [
        (7, "is gone"),
        (501, "has 0 bytes and had 9"),
        (999, "is no file"),
    ]
    every = list(damaged_files(tmp_path, files, contents=True))
    assert (2, "has another content") in [(f.block_id, f.what) for f in every]


@given(st.binary(min_size=1, max_size=200), st.data())
def test_no_flipped_bit_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("bits")
    (root / "a").write_bytes(content)
    known = [(0, stored_file(root, "a"))]
    changed = bytearray(content)
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    (root / "a").write_bytes(bytes(changed))
    assert len(list(damaged_files(root, known, contents=True))) == 1
    assert list(damaged_files(root, known)) == []


def test_what_other_software_adds_to_metadata_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "zarr.json"
    path.write_text(json.dumps({"zarr_format": 3}))
    known = [(0, stored_file(tmp_path, "zarr.json"))]
    path.write_text(json.dumps({"zarr_format": 3, "consolidated_metadata": {}}))
    assert list(damaged_files(tmp_path, known)) == []
    assert len(list(damaged_files(tmp_path, known, contents=True))) == 1
    path.write_text(path.read_text() + "}")
    assert len(list(damaged_files(tmp_path, known))) == 1


def test_every_file_of_a_folder_is_remembered_by_its_path(tmp_path: Path) -> None:
    files = [file for _, file in remembered(tmp_path, 20)]
    assert sorted(stored_below(tmp_path, "0"), key=str) == sorted(files, key=str)


@given(content=st.binary(max_size=100))
def test_a_file_of_a_block_is_remembered_as_it_lies_on_the_disk(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    root = tmp_path_factory.mktemp("out")
    said = write_block_file(str(root), "traces/swc/7.swc", content, folders=2)
    assert (root / "traces/swc/7.swc").read_bytes() == content
    assert said == stored_file(str(root), "traces/swc/7.swc")


@pytest.mark.parametrize("folders", [1, 2])
def test_a_block_does_not_make_an_output_again_that_was_taken_away(
    tmp_path: Path, folders: int
) -> None:
    with pytest.raises(OutputGoneError):
        write_block_file(str(tmp_path / "out"), "a/b/file", b"", folders=folders)
    assert not (tmp_path / "out").exists()
