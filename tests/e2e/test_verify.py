"""Outputs that are compared with their ledgers, and repaired, through the command."""

import json
import os
import random
import shlex
import shutil
import sqlite3
import zlib
from pathlib import Path

import pytest
import tensorstore as ts

from blockseg.runtime.run_lock import RunLock

PART = ("--roi", "0:128,0:128,0:192", "--block", "64")
RUN = ("--scheduler", "serial", "--backend", "fake", "--block", "64", "-q")
SERIAL = ("--scheduler", "serial", "-q")
OURS = (
    "0/c/0/0/1",
    "0/zarr.json",
    "1/c/0/0/0",
    "blocks/density/0/c/0/0/0",
    "labels/components/0/c/1/1/1",
    "labels/components/1/c/0/0/0",
    "labels/components/zarr.json",
    "labels/foreground/0/c/1/0/0",
    "labels/foreground_clean/0/c/0/1/0",
    "labels/zarr.json",
    "tables/objects.csv",
    "traces/objects.csv",
    ".blockseg/label-pieces/merged/ids.npy",
    ".blockseg/skeletonize/lines/0000000.bin",
    "zarr.json",
)
"""A file of each kind that a ledger tells of; one of the traces is added."""


def flip(path, seed=0):
    """Change one bit of one byte, not always the first."""
    data = bytearray(path.read_bytes())
    data[random.Random(f"{seed} {path.name}").randrange(len(data))] ^= 0x10
    path.write_bytes(data)


def truncate(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def delete(path):
    path.unlink()


@pytest.fixture(scope="module")
def finished(shared_blockseg, brain):
    """An output with labels and traces that no test changes."""
    shared_blockseg("run", brain, "out.zarr", *RUN, *PART, "--threshold", "0.8")
    shutil.copytree(
        shared_blockseg.folder / "out.zarr", shared_blockseg.folder / "plain.zarr"
    )
    shared_blockseg("label", "out.zarr", *SERIAL)
    shared_blockseg("skeletonize", "out.zarr", *SERIAL, "--min-length", "20")
    return shared_blockseg.folder / "out.zarr"


@pytest.fixture
def out(blockseg, finished):
    # Its records name the place where it was made.
    place = blockseg.folder / "out.zarr"
    shutil.copytree(finished, place)
    return place


def ledger_rows(out, query):
    with sqlite3.connect(out / ".blockseg/ledger.sqlite") as ledger:
        rows = ledger.execute(query).fetchall()
    ledger.close()
    return rows


def test_an_output_as_it_was_written_is_sound(blockseg, out):
    found = json.loads(blockseg("verify", "out.zarr", "--deep", "--json").stdout)
    assert found["sound"]
    assert not found["notes"]
    assert found["files"] > 100
    assert found["blocks"] == 24  # of the run and of the labels
    files = [path for path in out.rglob("*") if ".blockseg" not in path.parts]
    assert found["bytes"] > sum(path.stat().st_size for path in files if path.is_file())


def test_the_report_of_a_run_is_no_stranger(blockseg, out):
    (out / "report.html").write_text("<!doctype html>", encoding="utf-8")
    said = blockseg("verify", out).stdout
    assert "Sound" in said
    assert "report.html" not in said


@pytest.mark.parametrize("harm", [flip, truncate, delete])
def test_each_kind_of_file_is_compared_and_made_again_to_the_byte(
    blockseg, out, content_of, harm
):
    before = content_of(out)
    swc = next((out / "traces/swc").rglob("*.swc")).relative_to(out).as_posix()
    files = (*OURS, swc)
    for name in files:
        harm(out / name)
    said = blockseg("verify", "out.zarr", "--all", code=3).stdout
    missed = [name for name in files if f"{name} " not in said]
    assert not missed
    blockseg("verify", "out.zarr", "--repair", "-q")
    assert content_of(out) == before
    assert blockseg("verify", "out.zarr", "-q").stdout == ""


def test_a_repair_keeps_what_was_right(blockseg, out):
    times = {path: path.stat().st_mtime_ns for path in (out / "0/c").rglob("*")}
    flip(out / "0/c/0/0/1")
    blockseg("verify", "out.zarr", "--repair", "-q")
    changed = [
        path.relative_to(out).as_posix()
        for path, was in times.items()
        if path.is_file() and path.stat().st_mtime_ns != was
    ]
    assert changed == ["0/c/0/0/1"]


def corrupt_head(path):
    path.write_bytes(b"no database, never was" + path.read_bytes()[22:])


def half(path):
    truncate(path)


def scramble(path):
    """Damage pages in the middle, so that it opens and its tables are torn."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8192] = bytes(8192)
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [delete, corrupt_head, half, scramble])
def test_a_lost_ledger_is_rebuilt_and_what_nothing_proves_is_done_again(
    blockseg, out, content_of, harm
):
    before = content_of(out)
    blocks = ledger_rows(out, "SELECT block_id, digest, nonzero FROM blocks ORDER BY 1")
    payloads = ledger_rows(out, "SELECT block_id, payload FROM payloads ORDER BY 1")
    reads = ledger_rows(out, "SELECT block_id, sums FROM reads ORDER BY 1")
    for end in ("-wal", "-shm"):
        (out / f".blockseg/ledger.sqlite{end}").unlink(missing_ok=True)
    harm(out / ".blockseg/ledger.sqlite")
    flip(out / "0/c/1/1/1")
    delete(out / "0/c/0/1/2")
    assert "ledger" in blockseg("verify", "out.zarr", code=3).stdout
    said = blockseg("verify", "out.zarr", "--repair").stdout
    assert "began a new ledger" in said
    assert content_of(out) == before
    query = "SELECT block_id, digest, nonzero FROM blocks ORDER BY 1"
    assert ledger_rows(out, query) == blocks
    query = "SELECT block_id, payload FROM payloads ORDER BY 1"
    assert ledger_rows(out, query) == payloads
    assert ledger_rows(out, "SELECT block_id, sums FROM reads ORDER BY 1") == reads
    (taken,) = ledger_rows(
        out, "SELECT COUNT(*) FROM blocks WHERE phase = 'segment' AND computed = 0"
    )
    assert taken == (10,)
    assert blockseg("verify", "out.zarr", "--deep", "-q").stdout == ""


@pytest.mark.parametrize(
    "harm", [flip, truncate, delete, lambda path: path.write_text("{}")]
)
def test_a_lost_record_is_restored_from_its_copy(blockseg, out, content_of, harm):
    before = content_of(out)
    record = out / ".blockseg/run.json"
    was = json.loads(record.read_text())
    harm(record)
    assert "run.json" in blockseg("verify", "out.zarr", code=3).stdout
    said = blockseg("verify", "out.zarr", "--repair").stdout
    assert "restored" in said
    now = json.loads(record.read_text())
    assert now["sessions"][:1] == was["sessions"]
    assert now["request"] == was["request"]
    assert content_of(out) == before


@pytest.mark.parametrize("hiding", [".blockseg/run.json", "zarr.json"])
def test_what_another_damage_hid_is_repaired_as_well(
    blockseg, finished, content_of, hiding
):
    out = blockseg.folder / "out.zarr"
    shutil.copytree(finished.with_name("plain.zarr"), out)
    before = content_of(out)
    delete(out / hiding)
    flip(out / "labels/foreground/0/c/1/0/0")
    (out / "0/c/thesis.txt").write_text("years of work")
    said = blockseg("verify", "out.zarr", "--repair").stdout
    assert "Sound" in said
    assert "set aside 0/c/thesis.txt" in said
    assert content_of(out) == before


def test_a_record_and_a_ledger_that_are_both_lost_are_told(blockseg, out):
    delete(out / ".blockseg/run.json")
    delete(out / ".blockseg/ledger.sqlite")
    refused = blockseg("verify", "out.zarr", "--repair", code=1)
    assert "nothing tells any more what was asked" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_plain_run_refuses_and_names_the_repair(blockseg, brain, out):
    delete(out / ".blockseg/ledger.sqlite")
    refused = blockseg(
        "run", brain, "out.zarr", *RUN, *PART, "--threshold", "0.8", code=1
    )
    assert "blockseg verify" in refused.stderr
    assert "--repair" in refused.stderr


def test_files_that_nobody_wrote_are_told_and_nothing_of_them_is_lost(
    blockseg, finished, content_of
):
    out = blockseg.folder / "out.zarr"
    shutil.copytree(finished.with_name("plain.zarr"), out)
    blockseg("label", "out.zarr", *SERIAL, "--min-size", 10**9)
    before = content_of(out)
    empty = out / "labels/foreground_clean/0/c/0/0/0"  # there are no clean objects
    assert not empty.exists()
    empty.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(out / "labels/foreground/0/c/1/1/1", empty)
    (out / "0/c/thesis.txt").write_text("years of work")
    (out / "mine.txt").write_text("beside")
    (out / "0/c/0/0/1.__lock").write_text("")
    said = blockseg("verify", "out.zarr", code=3).stdout
    assert (
        "labels/foreground_clean/0/c/0/0/0 holds voxels where the run wrote none"
        in said
    )
    assert "0/c/thesis.txt lies among the voxels" in said
    assert "mine.txt: no ledger tells of" in said
    assert said.count("foreign: ") == 2
    blockseg("verify", "out.zarr", "--repair", "-q")
    now = content_of(out)
    assert now.pop("mine.txt")
    assert now == before
    aside = sorted(path.name for path in (out / ".blockseg/set-aside").iterdir())
    assert aside == ["0_c_thesis.txt.0", "labels_foreground_clean_0_c_0_0_0.0"]
    assert (out / ".blockseg/set-aside" / aside[0]).read_text() == "years of work"


def test_values_of_the_ledger_that_changed_are_found_by_decoding(blockseg, out):
    with sqlite3.connect(out / ".blockseg/ledger.sqlite") as ledger:
        ledger.execute("UPDATE blocks SET digest = digest + 1 WHERE block_id = 5")
    ledger.close()
    said = blockseg("verify", "out.zarr", "--deep", code=3).stdout
    assert "block (0, 1, 2) of probability holds other voxels than were written" in said
    blockseg("verify", "out.zarr", "--deep", "--repair", "-q")


def test_levels_and_masks_that_do_not_fit_are_found_by_decoding(
    blockseg, out, content_of
):
    """Whoever changes a file and its checksum too is found out by the other levels."""
    before = content_of(out)
    for wrong, right in (
        ("1/c/0/0/0", "labels/foreground/1/c/0/0/0"),
        ("labels/foreground/0/c/0/1/1", "labels/foreground/0/c/1/1/1"),
    ):
        shutil.copyfile(out / right, out / wrong)
        data = (out / wrong).read_bytes()
        with sqlite3.connect(out / ".blockseg/ledger.sqlite") as ledger:
            ledger.execute(
                "UPDATE files SET size = ?, crc = ? WHERE path = ?",
                (len(data), zlib.crc32(data), wrong),
            )
        ledger.close()
    said = blockseg("verify", "out.zarr", "--deep", code=3).stdout
    assert "levels: 1 differs from the level below in" in said
    assert "block (0, 1, 1) of labels/foreground differs from the probability" in said
    blockseg("verify", "out.zarr", "--deep", "--repair", "-q")
    assert content_of(out) == before


def test_another_format_is_verified_and_repaired_as_well(blockseg, brain, content_of):
    blockseg("run", brain, "two.zarr", *RUN, *PART, "--zarr-format", "2")
    out = blockseg.folder / "two.zarr"
    before = content_of(out)
    chunks = sorted(path for path in (out / "0").rglob("*") if path.is_file())
    flip(chunks[3])
    flip(out / "1/0/0/0")
    delete(out / "labels/foreground/.zattrs")
    blockseg("verify", "two.zarr", code=3)
    blockseg("verify", "two.zarr", "--repair", "-q")
    assert content_of(out) == before
    delete(out / ".blockseg/ledger.sqlite")
    said = blockseg("verify", "two.zarr", "--repair").stdout
    assert "Sound" in said
    assert content_of(out) == before
    computed = ledger_rows(
        out, "SELECT MIN(computed) FROM blocks WHERE nonzero > 0 AND phase = 'segment'"
    )
    assert computed[0][0] > 0  # Zarr v2 has no checksums: nothing was proven


def test_what_the_source_holds_now_is_compared_with_what_was_read(blockseg, brain):
    source = blockseg.folder / "brain.zarr"
    shutil.copytree(brain, source)
    blockseg("run", "brain.zarr", "out.zarr", *RUN, "--roi", "0:64,0:128,0:128")
    blockseg("verify", "out.zarr", "--source", "-q")
    chunk = next(path for path in sorted((source / "0/c").rglob("*")) if path.is_file())
    state = chunk.stat()
    array = ts.open(
        {"driver": "zarr3", "kvstore": f"file://{source}/0/"}, open=True
    ).result()
    array[40, 40, 40] = 60_000
    os.utime(chunk, ns=(state.st_atime_ns, state.st_mtime_ns))
    said = blockseg("verify", "out.zarr", "--source", code=3).stdout
    assert "source: " in said


def interrupt(out, blocks):
    """Leave an output as a kill does: files are there that the ledger does not know."""
    with sqlite3.connect(out / ".blockseg/ledger.sqlite") as ledger:
        for table in ("blocks", "files"):
            ledger.execute(
                f"DELETE FROM {table} WHERE phase = 'segment' AND block_id < {blocks}"
            )
    ledger.close()


def test_a_run_that_was_merely_interrupted_is_told_how_to_be_resumed(
    blockseg, finished, content_of
):
    out = blockseg.folder / "out.zarr"
    shutil.copytree(finished.with_name("plain.zarr"), out)
    before = content_of(out)
    interrupt(out, 5)
    said = blockseg("verify", "out.zarr", code=3).stdout
    assert "unfinished: segment: 5 of 12 blocks are not written" in said
    assert "Unfinished: " in said
    assert "What is there is as it was written." in said
    assert "Not as it should be" not in said
    assert "--repair" not in said
    found = json.loads(blockseg("verify", "out.zarr", "--json", code=3).stdout)
    assert (found["sound"], found["intact"]) == (False, True)
    (job,) = found["unfinished"]
    assert job["blocks"] - job["done"] == 5
    (line,) = [line for line in said.splitlines() if line.startswith("Resume it with")]
    assert line == f"Resume it with: {job['command']}"
    assert job["command"].startswith("blockseg run ")
    words = shlex.split(job["command"])[1:]
    shutil.copytree(Path(words[1]), blockseg.folder / "brain.zarr", dirs_exist_ok=True)
    blockseg(*words[:2], "out.zarr", *words[3:])
    assert content_of(out) == before
    assert blockseg("verify", "out.zarr", "-q").stdout == ""


def test_an_unfinished_run_with_damage_is_to_be_mended(blockseg, finished):
    out = blockseg.folder / "out.zarr"
    shutil.copytree(finished.with_name("plain.zarr"), out)
    interrupt(out, 1)
    flip(out / "0/c/1/1/1")
    said = blockseg("verify", "out.zarr", code=3).stdout
    assert "Not as it should be: " in said
    assert "Mend and finish it with: blockseg verify " in said
    assert "Resume it with" not in said
    found = json.loads(blockseg("verify", "out.zarr", "--json", code=3).stdout)
    assert not found["intact"]


def test_an_unfinished_run_is_no_sound_one_and_a_repair_finishes_it(
    blockseg, brain, content_of
):
    source = blockseg.folder / "brain.zarr"
    shutil.copytree(brain, source)
    chunk = next(path for path in sorted((source / "0/c").rglob("*")) if path.is_file())
    good = chunk.read_bytes()
    chunk.write_bytes(good[: len(good) // 2])
    plain = ("--normalization", "100,10", "--roi", "0:128,0:64,0:128")
    blockseg("run", "brain.zarr", "out.zarr", *RUN, *plain, code=3)
    said = blockseg("verify", "out.zarr", code=3).stdout
    assert "unfinished: segment: " in said
    assert "blocks failed" in said
    assert "levels: " not in said
    assert "voxels: " not in said
    chunk.write_bytes(good)
    blockseg("verify", "out.zarr", "--repair", "-q")
    blockseg("run", "brain.zarr", "whole.zarr", *RUN, *plain)
    whole = content_of(blockseg.folder / "whole.zarr")
    assert content_of(blockseg.folder / "out.zarr") == whole


def test_labels_of_an_earlier_state_are_stale_and_made_anew(
    blockseg, brain, content_of
):
    source = blockseg.folder / "brain.zarr"
    shutil.copytree(brain, source)
    chunk = next(path for path in sorted((source / "0/c").rglob("*")) if path.is_file())
    good = chunk.read_bytes()
    chunk.write_bytes(good[: len(good) // 2])
    how = (*RUN, "--normalization", "100,10", "--roi", "0:128,0:64,0:128")
    blockseg("run", "brain.zarr", "out.zarr", *how, code=3)
    blockseg("label", "out.zarr", *SERIAL, "--allow-partial", "--no-image")
    chunk.write_bytes(good)
    assert "nothing to try" not in blockseg("retry", "out.zarr").stdout
    said = blockseg("verify", "out.zarr", code=3).stdout
    assert said.count("stale: label") == 2
    blockseg("verify", "out.zarr", "--repair", "-q")
    blockseg("run", "brain.zarr", "whole.zarr", *how)
    blockseg("label", "whole.zarr", *SERIAL, "--no-image")
    # Metadata name the run by its source, whose file is a newer one now.
    mended, whole = (
        {
            name: sha
            for name, sha in content_of(blockseg.folder / out).items()
            if "/c/" in name or name.endswith(".csv")
        }
        for out in ("out.zarr", "whole.zarr")
    )
    assert mended == whole


def test_what_is_no_output_is_refused_in_one_line(blockseg):
    refused = blockseg("verify", "nowhere.zarr", code=1)
    assert refused.stderr.count("\n") == 1
    assert "is no output of blockseg" in refused.stderr


def test_parts_that_are_not_put_together_are_told_how_to_be(blockseg, brain):
    blockseg("run", brain, "out.zarr", *RUN, *PART, "--part", "1/2")
    refused = blockseg("verify", "out.zarr", code=1).stderr
    assert "2 parts that are not put together: 6 of 12 blocks are written" in refused
    assert "blockseg finalize " in refused
    assert refused.count("Error: ") == 1


def test_a_run_that_was_killed_before_its_first_block_is_told_to_be_given_again(
    blockseg,
):
    (blockseg.folder / "out.zarr/.blockseg").mkdir(parents=True)
    refused = blockseg("verify", "out.zarr", code=1).stderr
    assert "holds no block yet" in refused
    assert "give its command again" in refused


def test_an_output_that_somebody_writes_to_is_left_alone(blockseg, out):
    with RunLock(out / ".blockseg/lock"):
        refused = blockseg("verify", "out.zarr", code=1)
    assert "is writing this output" in refused.stderr


@pytest.mark.parametrize(
    ("command", "file"),
    [("convert", "0/c/0/0/0"), ("metrics", "blocks/density/0/c/0/0/0")],
)
def test_an_output_of_another_command_is_repaired_as_well(
    blockseg, brain, content_of, command, file
):
    blockseg(command, brain, "copy.zarr", *PART, *SERIAL)
    before = content_of(blockseg.folder / "copy.zarr")
    blockseg("verify", "copy.zarr", "--deep", "-q")
    flip(Path(blockseg.folder / "copy.zarr" / file))
    said = blockseg("verify", "copy.zarr", code=3).stdout
    assert f"damaged: {file} has another content" in said
    blockseg("verify", "copy.zarr", "--repair", "-q")
    assert content_of(blockseg.folder / "copy.zarr") == before


def test_a_synthetic_brain_is_left_to_its_own_command(blockseg, brain, content_of):
    place = blockseg.folder / "brain.zarr"
    shutil.copytree(brain, place)
    before = content_of(place)
    flip(place / "0/c/0/0/0")
    said = blockseg("verify", "brain.zarr", "--repair", code=3).stdout
    assert "remade by its own command: blockseg synth brain.zarr" in said
    blockseg(
        "synth", "brain.zarr", "--shape", "128,192,256", "--preset", "clean", *SERIAL
    )
    assert content_of(place) == before
    blockseg("verify", "brain.zarr", "--deep", "-q")
