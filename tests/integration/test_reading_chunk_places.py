"""Chunk files are where the metadata say, or the source is refused with both places."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import tensorstore as ts
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec

from blockseg.core.choices import SourceChoices
from blockseg.core.errors import CorruptDataError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.plausibility.checks import find_plausible

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE, CHUNKS = (32, 48, 80), (16, 16, 16)
CHOICES = SourceChoices(voxel_size=(1.0, 1.0, 1.0))
Order = tuple[int, ...]


def brain(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(5).integers(1, 9999, shape).astype("u2")


def zarr_array(
    path: Path, version: Literal[2, 3], separator: str = "", **how: Any
) -> Path:
    if separator:
        name = "v2" if version == 2 else "default"
        how["chunk_key_encoding"] = {"name": name, "separator": separator}
    array = zarr.create_array(
        path, shape=SHAPE, dtype="u2", chunks=CHUNKS, zarr_format=version, **how
    )
    array[:] = brain()
    return path


def n5_array(path: Path, shape: tuple[int, ...] = SHAPE) -> Path:
    spec = {
        "driver": "n5",
        "kvstore": {"driver": "file", "path": str(path)},
        "metadata": {
            "dimensions": shape[::-1],
            "blockSize": CHUNKS[::-1],
            "dataType": "uint16",
            "compression": {"type": "gzip"},
        },
    }
    ts.open(spec, create=True).result().write(brain(shape).transpose()).result()
    return path


def numbers_of(key: str) -> list[str]:
    return key.removeprefix("c").strip("./").replace("/", ".").split(".")


def rename(folder: Path, how: Callable[[list[str]], str]) -> None:
    """Move every chunk file to the name made of its numbers."""
    keep = {".zarray", ".zattrs", "zarr.json", "attributes.json"}
    files = [p for p in folder.rglob("*") if p.is_file() and p.name not in keep]
    new = folder.with_name("new")
    for file in files:
        target = new / how(numbers_of(file.relative_to(folder).as_posix()))
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    for name in keep:
        if (folder / name).exists():
            (folder / name).rename(new / name)
    shutil.rmtree(folder)
    new.rename(folder)


def refusal(path: Path, **choices: Any) -> str:
    with pytest.raises(VolumeError) as caught:
        find_plausible(path, SourceChoices(**choices))
    assert "\n" not in str(caught.value)
    return str(caught.value)


SPELLED: dict[str, Callable[[list[str]], str]] = {
    "0.0.0": lambda n: ".".join(n),
    "0/0/0": lambda n: "/".join(n),
    "c/0/0/0": lambda n: "c/" + "/".join(n),
    "c.0.0.0": lambda n: "c." + ".".join(n),
    "c/0.0.0": lambda n: "c/" + ".".join(n),
}
STORES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "zarr2": ("0.0.0", lambda p: zarr_array(p, 2)),
    "zarr2 nested": ("0/0/0", lambda p: zarr_array(p, 2, "/")),
    "zarr3": ("c/0/0/0", lambda p: zarr_array(p, 3)),
    "zarr3 dotted": ("c.0.0.0", lambda p: zarr_array(p, 3, ".")),
    "n5": ("0/0/0", n5_array),
}


@pytest.mark.parametrize("name", STORES)
def test_every_other_spelling_is_refused_with_both_places(
    tmp_path: Path, name: str
) -> None:
    expected, write = STORES[name]
    for there, spell in SPELLED.items():
        path = write(tmp_path / there.replace("/", "_"))
        rename(path, spell)
        if there == expected:
            assert find_plausible(path, CHOICES).remarks == ()
        else:
            assert f"{expected} is expected, {there} is there" in refusal(path)


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize(
    ("there", "spell"),
    [
        ("0_0_0", "_".join),
        ("0.0.0.gz", lambda n: ".".join(n) + ".gz"),
        ("chunk/0-0-0", lambda n: "chunk/" + "-".join(n)),
    ],
)
def test_a_spelling_of_nobody_is_named(
    tmp_path: Path, name: str, there: str, spell: Callable[[list[str]], str]
) -> None:
    expected, write = STORES[name]
    path = write(tmp_path / "a")
    rename(path, spell)
    assert f"{expected} is expected, {there} is there" in refusal(path)


@pytest.mark.parametrize("name", STORES)
def test_numbers_with_zeros_in_front_are_refused(tmp_path: Path, name: str) -> None:
    expected, write = STORES[name]
    path = write(tmp_path / "a")
    rename(path, lambda n: SPELLED[expected]([f"{int(i):03d}" for i in n]))
    assert "have no zeros in front" in refusal(path)


@pytest.mark.parametrize(
    ("version", "key"), [(2, "dimension_separator"), (3, "consolidated_metadata")]
)
def test_keys_of_null_say_nothing(
    tmp_path: Path, version: Literal[2, 3], key: str
) -> None:
    path = zarr_array(tmp_path / "a", version)
    file = path / (".zarray" if version == 2 else "zarr.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), key: None}))
    found = find_plausible(path, CHOICES)
    assert found.remarks == ()
    np.testing.assert_array_equal(found.volume.read(Roi.whole(SHAPE)), brain())


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:])
def test_numbers_in_another_order_are_refused(
    tmp_path: Path, name: str, order: Order
) -> None:
    expected, write = STORES[name]
    path = write(tmp_path / "a")
    rename(path, lambda n: SPELLED[expected]([n[i] for i in order]))
    assert "not where its metadata look for them" in refusal(path)


@pytest.mark.parametrize("name", STORES)
def test_a_folder_too_deep_another_rank_and_keys_beyond_the_grid_are_refused(
    tmp_path: Path, name: str
) -> None:
    expected, write = STORES[name]
    others: dict[str, Callable[[list[str]], str]] = {
        "move what is in data": lambda n: "data/" + SPELLED[expected](n),
        "a chunk of 4 axes": lambda n: SPELLED[expected](["0", *n]),
        "beyond the 2×3×5 chunks": lambda n: SPELLED[expected](
            [str(int(i) + 20) for i in n]
        ),
    }
    for said, spell in others.items():
        path = write(tmp_path / said[:4])
        rename(path, spell)
        assert said in refusal(path)


@pytest.mark.parametrize("name", STORES)
def test_a_few_chunks_that_lie_elsewhere_are_found_among_those_in_their_place(
    tmp_path: Path, name: str
) -> None:
    expected, write = STORES[name]
    path = write(tmp_path / "a")
    other = SPELLED["0/0/0" if "." in expected else "0.0.0"]
    rename(path, lambda n: (SPELLED[expected] if n[1] != "0" else other)(n))
    assert "not where its metadata look for them" in refusal(path)


def test_copies_under_another_name_of_chunks_that_are_there_are_no_matter(
    tmp_path: Path,
) -> None:
    path = zarr_array(tmp_path / "a", 2)
    (path / "0" / "0").mkdir(parents=True)
    shutil.copy(path / "0.0.0", path / "0" / "0" / "0")
    (path / "1.1.1").unlink()
    assert find_plausible(path, CHOICES).doubts == ()


def test_leftovers_beyond_the_grid_of_a_cropped_array_are_no_matter(
    tmp_path: Path,
) -> None:
    path = zarr_array(tmp_path / "a", 2)
    stated = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**stated, "shape": [32, 48, 48]}))
    (path / "1.1.1").unlink()
    found = find_plausible(path, CHOICES)
    assert found.doubts == ()
    assert found.remarks == (
        f"{path}: 1 of its 18 chunks (5.6 %) is missing; missing chunks read as 0",
    )


@pytest.mark.parametrize("version", [2, 3])
def test_a_single_chunk_of_a_million_is_found_and_the_array_not_called_empty(
    tmp_path: Path, version: Literal[2, 3]
) -> None:
    array = zarr.create_array(
        tmp_path / "a",
        shape=(3200, 3200, 3200),
        dtype="u2",
        chunks=(32, 32, 32),
        zarr_format=version,
    )
    array[640:672, 640:672, 992:1024] = 1
    (said,) = find_plausible(tmp_path / "a", CHOICES).remarks
    assert "more than 99 % of its chunks are missing" in said


def test_only_the_chosen_channel_counts(tmp_path: Path) -> None:
    array = zarr.create_array(
        tmp_path / "a", shape=(3, *SHAPE), dtype="u2", chunks=(1, *CHUNKS), fill_value=3
    )
    array[1] = brain()
    array[2, :16] = brain()[:16]
    options: Any = {"voxel_size": (1.0, 1.0, 1.0), "axes": "czyx"}
    assert "c/0/0/0/0" in refusal(tmp_path / "a", channel=0, **options)
    whole = find_plausible(tmp_path / "a", SourceChoices(channel=1, **options))
    assert whole.remarks == ()
    (said,) = find_plausible(
        tmp_path / "a", SourceChoices(channel=2, **options)
    ).remarks
    assert said.endswith(
        "15 of its 30 chunks (50 %) are missing; missing chunks read as 3"
    )


@settings(max_examples=12)
@given(st.sets(st.integers(0, 29), max_size=29), st.sampled_from(["zarr2", "zarr3"]))
def test_the_share_of_what_is_missing_is_that_of_the_files(
    gone: set[int], name: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        expected, write = STORES[name]
        path = write(Path(folder) / "a")
        for number in gone:
            place = np.unravel_index(number, (2, 3, 5))
            (path / SPELLED[expected]([str(n) for n in place])).unlink()
        remarks = find_plausible(path, CHOICES).remarks
        if gone:
            assert f"{len(gone)} of its 30 chunks" in remarks[0]
        else:
            assert remarks == ()


def test_an_n5_block_of_mode_1_is_called_so(tmp_path: Path) -> None:
    path = n5_array(tmp_path / "a")
    for file in [p for p in path.rglob("*") if p.is_file() and p.suffix != ".json"]:
        head = struct.pack(">HHIIII", 1, 3, 16, 16, 16, 5)
        file.write_bytes(head + bytes(40))
    assert "N5 block of mode 1" in refusal(path)
    with pytest.raises(CorruptDataError, match="mode 1") as caught:
        open_volume(find(path)).read(Roi.whole(SHAPE))
    assert "restore" not in str(caught.value)


def test_a_label_multiset_is_called_so(tmp_path: Path) -> None:
    path = n5_array(tmp_path / "a")
    stated = json.loads((path / "attributes.json").read_text())
    (path / "attributes.json").write_text(
        json.dumps({**stated, "isLabelMultiset": True})
    )
    assert "Paintera label multiset, not of numbers" in refusal(path)


@pytest.mark.parametrize("shape", [(44, 48, 40), (48, 48, 40)])
def test_n5_blocks_cut_along_another_axis_are_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    z5py = pytest.importorskip("z5py")  # tensorstore cuts no block
    with z5py.File(str(tmp_path / "a.n5"), "a", use_zarr_format=False) as file:
        file.create_dataset("v", data=brain(shape), chunks=CHUNKS, compression="gzip")
    assert find_plausible(tmp_path / "a.n5", CHOICES).remarks == ()
    rename(tmp_path / "a.n5" / "v", lambda n: "/".join(n[::-1]))
    assert "correct them, or the order of the axes" in refusal(tmp_path / "a.n5")


def test_n5_blocks_smaller_than_stated_are_refused(tmp_path: Path) -> None:
    path = n5_array(tmp_path / "a", (64, 64, 64))
    stated = json.loads((path / "attributes.json").read_text())
    (path / "attributes.json").write_text(json.dumps({**stated, "blockSize": [32] * 3}))
    assert "16×16×16 voxels" in refusal(path)


def make_pipe(file: Path) -> None:
    os.mkfifo(file)


def make_socket(file: Path) -> None:
    os.chdir(file.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(file.name)


IN_PLACE: dict[str, Callable[[Path], None]] = {
    "a folder": lambda file: file.mkdir(),
    "a pipe": make_pipe,
    "a socket": make_socket,
    "a device": lambda file: file.symlink_to("/dev/zero"),
    "a link to nowhere, where nothing is": lambda file: file.symlink_to("nowhere"),
}


@pytest.mark.parametrize("what", IN_PLACE)
@pytest.mark.parametrize("name", STORES)
def test_what_is_no_file_is_damage_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    expected, write = STORES[name]
    path = write(tmp_path / "a")
    file = path / expected.replace("0", "1")
    file.unlink()
    IN_PLACE[what](file)
    volume = find_plausible(path, CHOICES).volume
    for roi in (Roi.whole(SHAPE), Roi((16, 16, 16), (17, 17, 17))):
        with pytest.raises(CorruptDataError, match=f"is {what}") as caught:
            volume.read(roi)
        assert str(file) in str(caught.value)
    rest = Roi((0, 0, 0), (16, 48, 16))
    np.testing.assert_array_equal(volume.read(rest), brain()[rest.slices()])


def test_a_source_of_links_to_nothing_is_refused(tmp_path: Path) -> None:
    path = zarr_array(tmp_path / "a", 2)
    for file in path.glob("*.*.*"):
        file.unlink()
        file.symlink_to(".git/annex/objects/x")
    assert "a link to .git/annex/objects/x, where nothing is" in refusal(path)


@pytest.mark.parametrize("name", ["zarr3", "zarr2"])
def test_keys_of_codecs_that_decoding_needs_not_are_passed_over(
    tmp_path: Path, name: str
) -> None:
    if name == "zarr3":
        codec: Any = BloscCodec(cname="lz4")
        path = zarr_array(tmp_path / "a", 3, compressors=codec)
        stated = json.loads((path / "zarr.json").read_text())
        settings_of = stated["codecs"][-1]["configuration"]
        stated["codecs"][-1]["must_understand"] = True
    else:
        import numcodecs

        path = zarr_array(tmp_path / "a", 2, compressors=numcodecs.Blosc())
        stated = json.loads((path / ".zarray").read_text())
        settings_of = stated["compressor"]
    del settings_of["blocksize"]
    settings_of |= {"nthreads": 8, "typesize": 2, "use_dict": False}
    document = "zarr.json" if name == "zarr3" else ".zarray"
    (path / document).write_text(json.dumps(stated))
    values = open_volume(find(path)).read(Roi.whole(SHAPE))
    np.testing.assert_array_equal(values, brain())


def test_keys_that_may_matter_are_named_with_what_to_do(tmp_path: Path) -> None:
    path = zarr_array(tmp_path / "a", 3, shards=(32, 48, 80))
    stated = json.loads((path / "zarr.json").read_text())
    inner = stated["codecs"][0]["configuration"]["codecs"]
    inner[0]["configuration"]["interleave"] = 2
    (path / "zarr.json").write_text(json.dumps(stated))
    assert "bytes.interleave" in refusal(path)
    assert "zarr.json" in refusal(path)


def test_the_cause_at_the_end_of_a_long_message_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / ("name" * 30)
    path = zarr_array(folder, 3)
    stated = json.loads((path / "zarr.json").read_text())
    stated["codecs"].append({"name": "middle-out"})
    (path / "zarr.json").write_text(json.dumps(stated))
    assert '"middle-out" is not registered' in refusal(path)


def test_an_n5_group_that_counts_more_levels_than_it_has_says_so(
    tmp_path: Path,
) -> None:
    n5_array(tmp_path / "a.n5" / "s0")
    n5_array(tmp_path / "a.n5" / "s1", (16, 24, 40))
    group = {"n5": "2.5.0", "downsamplingFactors": [[1] * 3, [2] * 3, [4] * 3]}
    (tmp_path / "a.n5" / "attributes.json").write_text(json.dumps(group))
    (doubt,) = find_plausible(tmp_path / "a.n5", CHOICES).doubts
    assert "s2 is no N5 dataset" in doubt
    assert "s2 is no N5 dataset" in refusal(tmp_path / "a.n5", level=2)
