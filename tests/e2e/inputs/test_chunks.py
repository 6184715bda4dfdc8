"""Chunks in other places than the metadata say, missing ones, and levels not there."""

import json
import shutil

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec

SHAPE, CHUNKS = (32, 48, 80), (16, 16, 16)
SIZED = ("--voxel-size", "1,1,1")


def noise():
    return np.random.default_rng(0).normal(200, 10, SHAPE).astype(np.uint16)


def stored(path, version, **how):
    array = zarr.create_array(
        path, shape=SHAPE, dtype="u2", chunks=CHUNKS, zarr_format=version, **how
    )
    array[...] = noise()
    return path


def renamed(folder, how):
    """Move every chunk file of an array to another name."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.parent != folder]
    files += [p for p in folder.iterdir() if p.name[0].isdecimal() and p.is_file()]
    for file in files:
        target = folder / "new" / how(file.relative_to(folder).as_posix())
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    for old in [p for p in folder.iterdir() if p.is_dir() and p.name != "new"]:
        shutil.rmtree(old)
    for new in (folder / "new").iterdir():
        new.rename(folder / new.name)
    (folder / "new").rmdir()


def test_nested_chunks_under_a_dotted_v2_array_are_refused(tmp_path, refused):
    source = stored(tmp_path / "a.zarr", 2)
    renamed(source, lambda key: key.replace(".", "/"))
    refused(
        source,
        "0.0.0 is expected, 0/0/0 is there",
        '"dimension_separator": "/"',
        options=SIZED,
    )


def test_v2_names_under_a_v3_array_are_refused(tmp_path, refused):
    source = stored(tmp_path / "a.zarr", 3)
    renamed(source, lambda key: key.removeprefix("c/").replace("/", "."))
    refused(
        source, "c/0/0/0 is expected, 0.0.0 is there", '"name": "v2"', options=SIZED
    )


def test_n5_blocks_with_their_numbers_the_other_way_round_are_refused(
    tmp_path, refused
):
    z5py = pytest.importorskip("z5py")
    with z5py.File(str(tmp_path / "a.n5"), "a", use_zarr_format=False) as file:
        file.create_dataset("v", data=noise(), chunks=CHUNKS, compression="gzip")
    renamed(tmp_path / "a.n5" / "v", lambda key: "/".join(key.split("/")[::-1]))
    refused(tmp_path / "a.n5", "is expected", "another order", options=SIZED)


def test_a_source_without_any_chunk_is_refused_unless_that_is_allowed(
    tmp_path, refused, blockseg
):
    source = stored(tmp_path / "a.zarr", 3)
    shutil.rmtree(source / "c")
    refused(source, "none of its 30 chunks is stored", "--allow-empty", options=SIZED)
    for words in (("plan", source), ("run", source, "--scheduler", "serial")):
        done = blockseg(*words, "--allow-empty", "--backend", "fake", *SIZED)
        assert "30 of its 30 chunks (100 %) are missing" in done.output
    result = np.asarray(zarr.open_array(tmp_path / "a.blockseg.zarr" / "0", mode="r"))
    assert result.shape == SHAPE
    assert not result.any()


def test_the_share_of_missing_chunks_is_said_by_every_command(
    tmp_path, reading, blockseg
):
    source = stored(tmp_path / "a.zarr", 2, fill_value=7)
    for x in range(3):
        (source / f"0.0.{x}").unlink()
    said = "3 of its 30 chunks (10 %) are missing; missing chunks read as 7"
    for name, words in reading(source, *SIZED).items():
        done = blockseg(*words)
        assert said in done.output, name
        assert "Warning" not in done.output, name
    assert said in blockseg("info", source, *SIZED).output


def test_a_whole_source_says_nothing_of_chunks(tmp_path, reading, blockseg):
    source = stored(tmp_path / "a.zarr", 3, shards=(32, 32, 32))
    for words in reading(source, *SIZED).values():
        assert "missing" not in blockseg(*words).output


def test_a_mask_whose_chunks_are_elsewhere_is_refused(tmp_path, blockseg):
    source, mask = stored(tmp_path / "a.zarr", 3), stored(tmp_path / "m.zarr", 2)
    renamed(mask, lambda key: key.replace(".", "/"))
    done = blockseg(
        "run", source, "--mask", mask, "--backend", "fake", *SIZED, code=1
    )  # fmt: skip
    assert "--mask: " in done.output
    assert "0/0/0 is there" in done.output


def image(path, version):
    """Write an OME-NGFF image of three levels, of which the last is not there."""
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    datasets = [
        {
            "path": f"s{n}",
            "coordinateTransformations": [{"type": "scale", "scale": [2**n] * 3}],
        }
        for n in range(3)
    ]
    stated = {"multiscales": [{"axes": axes, "datasets": datasets, "version": "0.4"}]}
    zarr.create_group(
        path,
        zarr_format=version,
        attributes=stated if version == 2 else {"ome": stated},
    )
    for n in range(2):
        array = zarr.create_array(
            path / f"s{n}",
            shape=tuple(i >> n for i in SHAPE),
            dtype="u2",
            chunks=CHUNKS,
            zarr_format=version,
        )
        array[...] = noise()[:: 2**n, :: 2**n, :: 2**n]
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_a_level_that_is_not_there_is_said_and_refused_when_it_is_wanted(
    tmp_path, doubted, refused, version
):
    source = image(tmp_path / "a.zarr", version)
    refused(
        source,
        "level 2 at 's2', where no Zarr array is",
        "--level 0, --level 1 can be read",
        options=("--level", 2),
    )
    doubted(source, "level 2 at 's2'", "level 0 is read", "--dataset s0")


def test_the_level_that_is_read_named_alone_is_not_doubted(tmp_path, blockseg):
    source = image(tmp_path / "a.zarr", 3)
    for words in ((source, "--dataset", "s0"), (source / "s0",)):
        assert "but:" not in blockseg("info", *words).output


def test_a_folder_in_place_of_a_chunk_fails_its_block_and_names_it(tmp_path, blockseg):
    source = stored(tmp_path / "a.zarr", 3)
    file = source / "c/1/2/4"
    file.unlink()
    file.mkdir()
    done = blockseg(
        "run", source, "--backend", "fake", "--scheduler", "serial", *SIZED,
        "--normalization", "200,10", code=3,
    )  # fmt: skip
    assert f"{file} of {source} is a folder" in done.output
    refused = blockseg("run", source, "other.zarr", *SIZED, code=1)
    assert "8 of 16 samples of the volume cannot be read" in refused.output
    assert f"{file} of {source} is a folder" in refused.output


def test_extra_settings_of_blosc_leave_the_result_alone(tmp_path, blockseg):
    source = stored(
        tmp_path / "a.zarr",
        3,
        shards=(32, 32, 32),
        compressors=BloscCodec(),
    )
    stated = json.loads((source / "zarr.json").read_text())
    (inner,) = (c for c in stated["codecs"] if c["name"] == "sharding_indexed")
    blosc = inner["configuration"]["codecs"][-1]["configuration"]
    blosc |= {"nthreads": 4, "extra": [1]}
    (source / "zarr.json").write_text(json.dumps(stated))
    blockseg("convert", source, "copy.zarr", "--scheduler", "serial", *SIZED)
    copy = zarr.open_array(blockseg.folder / "copy.zarr" / "0", mode="r")
    np.testing.assert_array_equal(np.asarray(copy), noise())
