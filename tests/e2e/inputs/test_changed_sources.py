"""Sources that are repaired, replaced or rewritten, between two starts and during one."""

import json
import os
import re
import shutil
import sqlite3

import numpy as np
import pytest
import tensorstore as ts
import tifffile
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from blockseg.config.settings import RunSettings
from blockseg.conversion import convert
from blockseg.core.blocks import BlockReport
from blockseg.runtime.driver import Rereads
from blockseg.runtime.events import BlockDone
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.segmentation.run import prepare

SHAPE = (64, 64, 128)
CHEAP = ("--backend", "fake", "--scheduler", "serial", "--block", "32")
RUN = (*CHEAP, "--normalization", "200,10", "--voxel-size", "1,1,1", "--no-metrics")
COPY = ("--scheduler", "serial", "--block", "32", "--voxel-size", "1,1,1")


def noise(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).normal(200, 10, shape).astype(np.uint16)


def zarr_of(version, **how):
    def write(path, voxels):
        zarr.create_array(path, data=voxels, zarr_format=version, **how)

    return write


def n5(path, voxels):
    spec = {"driver": "n5", "kvstore": f"file://{path}/"}
    metadata = {
        "dimensions": voxels.T.shape,
        "blockSize": [16, 16, 16],
        "dataType": "uint16",
        "compression": {"type": "gzip"},
    }
    store = ts.open({**spec, "metadata": metadata}, create=True).result()
    store[...] = voxels.T


def slices(path, voxels):
    path.mkdir(exist_ok=True)
    for z, plane in enumerate(voxels):
        tifffile.imwrite(path / f"z{z:03d}.tif", plane, compression="zlib")


def single(path, voxels):
    tifffile.imwrite(path, voxels, compression="zlib", rowsperstrip=8)


# How each kind is written, and one of its files, not among the 64 that are sampled.
KINDS = {
    "zarr2": (zarr_of(2, chunks=(16, 16, 16)), "2.3.4"),
    "zarr2-nested": (
        zarr_of(
            2,
            chunks=(16, 16, 16),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        ),
        "2/3/4",
    ),
    "zarr3": (zarr_of(3, chunks=(16, 16, 16)), "c/2/3/4"),
    "shards": (zarr_of(3, chunks=(8, 8, 8), shards=(16, 16, 16)), "c/2/3/4"),
    "n5": (n5, "4/3/2"),
    "slices": (slices, "z033.tif"),
    "single.tif": (single, "."),
}
MANY = [name for name in KINDS if name not in ("slices", "single.tif")]


def damage(file):
    """Overwrite the end of a file, which holds its last voxels or index."""
    raw = bytearray(file.read_bytes())
    if file.suffix == ".tif":
        with tifffile.TiffFile(file) as tif:
            page = tif.pages[len(tif.pages) // 2]
            a, n = page.dataoffsets[0], page.databytecounts[0]
        raw[a : a + n] = b"\xa5" * n
    else:
        raw = raw[: len(raw) // 2]
    file.write_bytes(raw)


@pytest.mark.parametrize("command", ["run", "convert", "metrics"])
def test_a_file_that_was_not_sampled_and_changed_is_noticed_and_named(
    blockseg, tmp_path, command
):
    write, name = KINDS["zarr3"]
    write(tmp_path / "a", noise())
    options = {"run": RUN, "convert": COPY, "metrics": COPY}[command]
    words = (command, "a", "out.zarr", *options)
    blockseg(*words)
    blockseg(*words)
    (tmp_path / "a" / name).write_bytes((tmp_path / "a" / "c/0/0/0").read_bytes())
    refused = blockseg(*words, code=1)
    assert "the source changed" in refused.stderr
    assert name in refused.stderr
    assert re.search(r"block \(\d, \d, \d\) has read c/2/3/4", refused.stderr)
    assert "--overwrite" in refused.stderr
    blockseg(*words, "--overwrite")


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("what", ["rewritten", "removed"])
def test_any_file_of_any_format_counts(blockseg, tmp_path, name, what):
    write, file = KINDS[name]
    write(tmp_path / name, noise())
    words = ("convert", name, "out.zarr", *COPY)
    blockseg(*words)
    if what == "removed":
        (tmp_path / name / file).unlink()
    else:
        os.utime(tmp_path / name / file)
    assert file in blockseg(*words, code=1).stderr


def test_files_that_hold_no_voxels_of_the_channel_do_not_count(blockseg, tmp_path):
    voxels = np.stack([noise(), noise(1)])
    zarr.create_array(
        tmp_path / "a", data=voxels, chunks=(1, 16, 16, 16), zarr_format=2
    )
    words = ("convert", "a", "out.zarr", *COPY, "--channel", "1")
    blockseg(*words)
    os.utime(tmp_path / "a" / "0.0.0.0")
    (tmp_path / "a" / "notes.txt").write_text("seen today")
    (tmp_path / "a" / "1.0.0.99").write_text("a key beyond the array")
    blockseg(*words)
    os.utime(tmp_path / "a" / "1.0.0.0")
    assert "1.0.0.0" in blockseg(*words, code=1).stderr


@pytest.fixture
def converted(tmp_path):
    """Copy a source; after its first block ``once`` happens. Returns the blocks done."""

    def go(name, out, once=None):
        done = []

        def on_event(event):
            if isinstance(event, BlockDone) and event.phase == "copy":
                done.append(event.report.block_id)
                if len(done) == 1 and once:
                    once()

        settings = RunSettings(
            scheduler="serial", block=(32, 32, 32), voxel_size=(1.0, 1.0, 1.0)
        )
        source, target = str(tmp_path / name), str(tmp_path / out)
        return convert(source, target, settings, on_event=on_event), done

    return go


@pytest.mark.parametrize("name", KINDS)
def test_what_failed_may_be_repaired_and_the_rest_is_not_done_again(
    tmp_path, converted, content_of, name
):
    write, file = KINDS[name]
    path = tmp_path / name
    write(path, noise())
    file = path if path.is_file() else path / file
    converted(name, "whole.zarr")
    shutil.copy2(file, tmp_path / "kept")
    damage(file)
    first, before = converted(name, "out.zarr")
    assert file.name in first.failures[0].error
    shutil.copyfile(tmp_path / "kept", file)
    second, after = converted(name, "out.zarr")
    assert second.complete
    assert before
    assert after
    assert not set(before) & set(after)
    assert content_of(tmp_path / "out.zarr") == content_of(tmp_path / "whole.zarr")
    assert converted(name, "out.zarr")[1] == []


def test_a_repaired_source_gives_the_segmentation_of_one_that_was_never_damaged(
    blockseg, tmp_path, content_of, events_of
):
    KINDS["shards"][0](tmp_path / "a", noise(shape=(64, 64, 192)))
    run = ("run", "a", "out.zarr", *RUN, "--json")
    blockseg("run", "a", "whole.zarr", *RUN)
    file = tmp_path / "a/c/0/0/0"
    whole = file.read_bytes()
    damage(file)
    first = blockseg(*run, code=3)
    file.write_bytes(whole)
    second = blockseg(*run)
    before, after = (
        {
            event["report"]["block_id"]
            for event in events_of(done.stdout.splitlines())
            if event["event"] == "BlockDone" and event["phase"] == "segment"
        }
        for done in (first, second)
    )
    assert before
    assert after
    assert not before & after
    assert content_of(tmp_path / "out.zarr") == content_of(tmp_path / "whole.zarr")


def test_what_was_repaired_with_other_voxels_in_its_good_parts_is_refused(
    blockseg, tmp_path
):
    single(tmp_path / "a.tif", noise())
    damage(tmp_path / "a.tif")
    words = ("convert", "a.tif", "out.zarr", *COPY)
    blockseg(*words, code=3)
    single(tmp_path / "a.tif", noise(seed=1))
    refused = blockseg(*words, code=1).stderr
    assert "the source changed: a.tif" in refused
    assert "would read other voxels now" in refused


def test_a_shard_of_which_parts_could_be_read_may_be_repaired(
    blockseg, tmp_path, content_of
):
    codecs = [ZstdCodec(), Crc32cCodec()]
    write = zarr_of(3, chunks=(32, 32, 32), shards=(64, 64, 64), compressors=codecs)
    write(tmp_path / "a", noise())
    shutil.copytree(tmp_path / "a", tmp_path / "good")
    file = tmp_path / "a" / "c/0/0/0"
    raw = bytearray(file.read_bytes())
    raw[50] ^= 0xFF
    file.write_bytes(raw)
    words = ("convert", "a", "out.zarr", *COPY)
    assert "Incomplete: 1 of 16 blocks" in blockseg(*words, code=3).stdout
    shutil.copy(tmp_path / "good" / "c/0/0/0", file)
    again = blockseg(*words).stdout
    assert "reading 7 finished blocks again" in again
    blockseg("convert", "good", "whole.zarr", *COPY)
    assert content_of(tmp_path / "out.zarr") == content_of(tmp_path / "whole.zarr")


def test_files_that_no_finished_block_has_read_may_change_with_a_word(
    blockseg, tmp_path
):
    write, name = KINDS["zarr3"]
    write(tmp_path / "a", noise())
    damage(tmp_path / "a" / name)
    words = ("convert", "a", "out.zarr", *COPY)
    blockseg(*words, code=3)
    neighbour = tmp_path / "a" / "c/2/3/5"  # read by the failed block alone
    neighbour.write_bytes((tmp_path / "a" / "c/0/0/0").read_bytes())
    shutil.copy(tmp_path / "a" / "c/0/0/1", tmp_path / "a" / name)
    assert "2 files, such as c/2/3/4" in blockseg(*words).stdout


def test_a_mask_that_changed_is_refused(blockseg, tmp_path):
    KINDS["zarr3"][0](tmp_path / "a", noise())
    KINDS["zarr3"][0](tmp_path / "mask", np.ones(SHAPE, np.uint8))
    words = ("run", "a", "out.zarr", *RUN, "--mask", "mask")
    blockseg(*words)
    os.utime(tmp_path / "mask" / "c/2/3/4")
    assert "the mask changed: c/2/3/4" in blockseg(*words, code=1).stderr


def test_a_run_of_an_earlier_version_goes_on_with_the_files_it_sampled(
    blockseg, tmp_path
):
    write, name = KINDS["zarr3"]
    write(tmp_path / "a", noise())
    words = ("convert", "a", "out.zarr", *COPY)
    ledger = tmp_path / "out.zarr/.blockseg/ledger.sqlite"

    def forget():
        with sqlite3.connect(ledger) as connection:
            for table in ("reads", "damaged", "source_files"):
                connection.execute(f"DROP TABLE {table}")
        connection.close()

    blockseg(*words)
    forget()
    blockseg(*words)
    forget()
    record = json.loads((ledger.parent / "run.json").read_text())
    sampled = record["request"]["source"]["fingerprint"]["chunks"][5].split(": ")[0]
    assert name not in sampled
    os.utime(tmp_path / "a" / sampled)
    assert f"the source changed: {sampled}" in blockseg(*words, code=1).stderr


def test_a_block_that_is_read_again_must_find_the_same(blockseg, tmp_path):
    zarr_of(3, chunks=(16, 16, 16), compressors=None)(tmp_path / "a", noise())
    words = ("convert", "a", "out.zarr", *COPY)
    blockseg(*words)
    file = tmp_path / "a" / "c/2/3/4"
    before = file.stat()
    file.write_bytes((tmp_path / "a" / "c/0/0/0").read_bytes())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "out.zarr/0/c/1/1/2").unlink()
    failed = blockseg(*words, code=3).stdout
    assert "Incomplete: 1 of 16 blocks" in failed
    assert "the source changed while the run went on: the block was read" in failed
    assert "put the source back" in blockseg(*words, code=3).stdout


def test_after_an_engine_fails_the_block_is_read_again_and_compared():
    rereads = Rereads({3: (1, 2)})
    assert rereads.judged(BlockReport(3, error="engine", reads=(1,))).error == "engine"
    assert not rereads.judged(BlockReport(3, reads=(1, 2))).error
    assert not rereads.judged(BlockReport(4, reads=(9,))).error
    rereads.judged(BlockReport(5, error="engine", reads=(1, 2)))
    judged = rereads.judged(BlockReport(5, reads=(1, 3)))
    assert "other voxels" in judged.error
    assert judged.reads == (1, 2)
    assert not judged.retry


@pytest.mark.parametrize("name", KINDS)
def test_what_is_rewritten_while_a_run_goes_on_makes_it_incomplete(
    tmp_path, converted, content_of, name
):
    write, file = KINDS[name]
    write(tmp_path / name, noise())
    write(tmp_path / "other", noise(seed=1))

    def rewrite():
        shutil.copyfile(tmp_path / "other" / file, tmp_path / name / file)

    def replace_it():
        shutil.copyfile(tmp_path / "other", tmp_path / name)

    once = rewrite if (tmp_path / name).is_dir() else replace_it
    result, _ = converted(name, "out.zarr", once)
    assert not result.complete
    said = "single.tif" if once is replace_it else file
    assert f"the source changed while the run went on: {said}" in result.stopped
    assert result.done < result.blocks
    again, _ = converted(name, "out.zarr")
    assert again.complete
    converted(name, "fresh.zarr")
    assert content_of(tmp_path / "out.zarr") == content_of(tmp_path / "fresh.zarr")


def test_a_file_that_is_written_anew_with_the_same_voxels_is_said_and_costs_nothing(
    tmp_path, converted
):
    single(tmp_path / "a.tif", noise())
    file = tmp_path / "a.tif"
    result, _ = converted("a.tif", "out.zarr", lambda: single(file, noise()))
    assert not result.complete
    assert "a.tif; 0 finished blocks" in result.stopped
    assert result.done == result.blocks
    again, blocks = converted("a.tif", "out.zarr")
    assert again.complete
    assert not blocks


def test_metadata_that_change_while_a_run_goes_on_are_said(tmp_path, converted):
    KINDS["zarr3"][0](tmp_path / "a", noise())
    file = tmp_path / "a" / "zarr.json"

    def rewrite():
        file.write_text(file.read_text().replace('"fill_value":0', '"fill_value":7'))
        file.write_text(file.read_text().replace('"fill_value": 0', '"fill_value": 7'))

    result, _ = converted("a", "out.zarr", rewrite)
    assert "metadata have changed" in result.stopped


@pytest.fixture
def uneven(tmp_path):
    """A brain darker on one side, in shards of a quarter each."""
    voxels = noise(shape=(32, 256, 256))
    voxels[:, :, 128:] -= 60
    path = tmp_path / "uneven.zarr"
    zarr.create_array(path, data=voxels, chunks=(16, 64, 64), shards=(32, 128, 128))
    return path


def test_too_many_unreadable_samples_are_refused_with_their_files(
    blockseg, uneven, reading, tmp_path
):
    file = uneven / "c/0/0/1"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    for name, words in reading(uneven).items():
        if name == "convert":
            continue
        refused = blockseg(*words, code=1)
        (line,) = [x for x in refused.output.splitlines() if x.startswith("Error: ")]
        assert "64 of 256 samples" in line, name
        assert str(file) in line
        assert "--normalization b,s" in line
        assert not (tmp_path / "written").exists()
    words = reading(uneven, "--normalization", "180,20")["run"]
    blockseg(*words, code=3)
    file.write_bytes(whole)
    blockseg(*words)


def test_a_few_unreadable_samples_are_said_again_once_they_can_be_read(
    blockseg, tmp_path
):
    voxels = noise(shape=(64, 64, 256))
    zarr.create_array(tmp_path / "a", data=voxels, chunks=(32, 64, 64))
    file = tmp_path / "a" / "c/0/0/1"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    words = ("run", "a", "out.zarr", *CHEAP, "--voxel-size", "1,1,1")
    assert (
        "8 samples of the background could not be read"
        in blockseg(*words, code=3).stdout
    )
    assert "undisturbed" not in blockseg(*words, code=3).stdout
    file.write_bytes(whole)
    done = blockseg(*words).stdout
    assert "estimated without 8 samples that can be read now" in done
    assert "--overwrite starts over" in done
    assert "undisturbed run takes" in blockseg(*words).stdout


@pytest.mark.parametrize(
    "options", [(), ("--mask", "mask"), ("--sparse",)], ids=["all", "mask", "sparse"]
)
def test_blocks_can_be_read_again_just_as_they_were(blockseg, brain, options, tmp_path):
    mask = np.zeros((16, 24, 32), np.uint8)
    mask[:, :12, :] = 1
    zarr.create_array(tmp_path / "mask", data=mask, chunks=(16, 24, 32))
    blockseg("run", brain, "out.zarr", *CHEAP, *options)
    settings = RunSettings(
        backend="fake",
        scheduler="serial",
        block=(32, 32, 32),
        mask=str(tmp_path / "mask") if "--mask" in options else None,
        sparse="--sparse" in options,
    )
    job, _, _ = prepare(str(brain), str(tmp_path / "out.zarr"), settings)
    with Ledger.read(job.paths.ledger) as ledger:
        before = ledger.source.reads("segment")
    assert set(before) == set(job.candidates.tolist())
    reading = job.watch.reading
    assert reading is not None
    assert reading.changed(job.candidates.tolist(), before) == []
    other = {block: (sums[0] ^ 1, *sums[1:]) for block, sums in before.items()}
    assert reading.changed([5, 9], other) == [5, 9]
