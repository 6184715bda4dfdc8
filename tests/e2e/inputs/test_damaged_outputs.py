"""Files of OUT that were damaged after they were written: found, named, made again."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.blockwise.run import OpenedJob

SERIAL = ("--scheduler", "serial")
WRITING = {
    "run": ("run", "tiny.tif", "out.zarr", "--backend", "fake"),
    "convert": ("convert", "tiny.tif", "out.zarr"),
    "metrics": ("metrics", "tiny.tif", "out.zarr"),
    "synth": ("synth", "out.zarr", "--shape", "16,16,160", "--preset", "clean"),
}
COMMANDS = {
    name: (*words, *SERIAL, "--block", "16", "--voxel-size", "1,1,1")
    for name, words in WRITING.items()
}
JOBS = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Keep what each job made, so that it is made once."""
    folder = tmp_path_factory.mktemp("outputs")
    noise = np.random.default_rng(0).integers(0, 4000, (16, 32, 160)).astype(np.uint16)
    tifffile.imwrite(folder / "tiny.tif", noise)
    return folder


@pytest.fixture
def finished(blockseg, kept):
    """Return a function that gives what a job made, whole; 20 blocks and more levels."""
    blockseg.folder = kept
    out = kept / "out.zarr"

    def give(name, *options):
        place = kept / "-".join([name, *options])
        shutil.rmtree(out, ignore_errors=True)
        if not place.exists():
            blockseg(*COMMANDS[name], *options, "-q")
            shutil.copytree(out, place)
        else:
            shutil.copytree(place, out)
        return out

    return give


def empty(path):
    path.write_bytes(b"")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)


SIZES = (empty, truncate, lengthen, Path.unlink)


def every_file(store):
    """Return all that a job wrote but its notes: truth tables are results too."""
    notes = ("run.json", "ledger.sqlite", "lock", "report.html")
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file()
        and not path.name.startswith(notes)
        and path.parent.name != "logs"
    }


def one_of_each_kind(store):
    """Return a file from each folder of the second level: images, levels, labels."""
    found: dict[tuple[str, ...], str] = {}
    for name in every_file(store):
        found.setdefault(tuple(Path(name).parts[:4]), name)
    return sorted(found.values())


EACH = pytest.mark.parametrize(
    ("name", "damage"),
    [("run", f) for f in SIZES]
    + [(name, truncate) for name in COMMANDS if name != "run"],
    ids=lambda f: f if isinstance(f, str) else f.__name__,
)


@pytest.mark.parametrize(
    ("name", "damage"),
    [("run", empty), ("run", Path.unlink)]
    + [(name, damage) for name in COMMANDS for damage in (truncate, flip)],
    ids=lambda f: f if isinstance(f, str) else f.__name__,
)
def test_whatever_is_damaged_is_found_and_made_again_to_the_same_bytes(
    blockseg, finished, name, damage
):
    out = finished(name)
    before = every_file(out)
    damaged = one_of_each_kind(out)
    for path in damaged:
        damage(out / path)
    options = ("--verify",) if damage is flip else ()
    again = blockseg(*COMMANDS[name], *options)
    (line,) = [line for line in again.output.splitlines() if "made again" in line]
    assert f"{len(damaged)} file" in line
    assert every_file(out) == before
    intact = blockseg(*COMMANDS[name], "--verify")
    assert f"all {len(before)} files of OUT are as they were written" in intact.output
    assert every_file(out) == before


@EACH
def test_status_names_what_has_another_size_and_nothing_else(
    blockseg, finished, name, damage
):
    out = finished(name)
    assert ": complete" in blockseg("status", out).output
    victim = one_of_each_kind(out)[-1]
    damage(out / victim)
    shown = blockseg("status", out).output
    assert ": damaged" in shown
    assert f"damaged: {victim} " in shown
    assert "Go on with: blockseg" in shown
    assert json.loads(blockseg("status", out, "--json").output)["state"] == "damaged"


@pytest.mark.parametrize("zarr_format", ["2", "3"])
def test_of_many_damaged_files_the_first_are_named(blockseg, finished, zarr_format):
    options = ("--zarr-format", zarr_format)
    command = (*COMMANDS["run"], *options)
    out = finished("run", *options)
    before = every_file(out)
    for path in before:
        if Path(path).name.isdigit() and not path.startswith("blocks"):
            empty(out / path)
    again = blockseg(*command)
    (line,) = [line for line in again.output.splitlines() if "made again" in line]
    assert " more" in line
    assert len(line) < 300
    assert every_file(out) == before


def test_a_file_that_blockseg_did_not_write_is_left_alone(blockseg, finished):
    out = finished("run")
    (out / "0" / "notes.txt").write_text("mine")
    assert "made again" not in blockseg(*COMMANDS["run"], "--verify").output
    assert (out / "0" / "notes.txt").read_text() == "mine"


def test_a_folder_where_a_file_was_is_damage(blockseg, finished):
    out = finished("run")
    shard = out / "0/c/0/0/0"
    shard.unlink()
    shard.mkdir()
    assert "0/c/0/0/0 is no file" in blockseg("status", out).output


def test_other_readers_notice_a_flipped_byte(finished):
    out = finished("convert")
    flip(out / "0/c/0/0/0")
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_array(out / "0", mode="r")[:]


@pytest.fixture
def earlier(monkeypatch):
    """Make the next runs those of a blockseg that kept no checksums, then go on."""

    def forget(out):
        monkeypatch.undo()
        path = out / ".blockseg" / "run.json"
        record = json.loads(path.read_text())
        assert record["facts"].pop("checked") is False
        path.write_text(json.dumps(record))
        with sqlite3.connect(out / ".blockseg" / "ledger.sqlite") as ledger:
            ledger.execute("DROP TABLE files")
        ledger.close()

    monkeypatch.setattr(OpenedJob, "checked", False)
    return forget


@pytest.mark.parametrize("name", ["run", "convert", "synth"])
def test_a_run_begun_before_checksums_goes_on_without(blockseg, kept, name, earlier):
    blockseg.folder, out = kept, kept / f"before-{name}.zarr"
    command = tuple(out.name if word == "out.zarr" else word for word in COMMANDS[name])
    blockseg(*command, "-q")
    before = every_file(out)
    assert "crc32c" not in json.dumps(
        json.loads((out / "0/zarr.json").read_text())["codecs"][0]["configuration"][
            "codecs"
        ]
    )
    earlier(out)
    assert ": complete" in blockseg("status", out).output
    assert "kept no checksums" in blockseg(*command, "--verify").output
    assert every_file(out) == before
    for shard in list((out / "0").rglob("0/0/*")):
        shard.unlink()
    blockseg(*command)
    assert every_file(out) == before
    # What was written since is known.
    truncate(out / "0/c/0/0/0")
    assert "0/c/0/0/0" in blockseg("status", out).output


def lose_record(out):
    (out / ".blockseg" / "run.json").unlink()


def lose_record_and_ledger(out):
    lose_record(out)
    for path in (out / ".blockseg").glob("ledger.sqlite*"):
        path.unlink()


@pytest.mark.parametrize(
    ("name", "lose"),
    [(name, lose_record) for name in COMMANDS] + [("run", lose_record_and_ledger)],
)
def test_a_result_without_its_record_is_not_cleared(blockseg, finished, name, lose):
    out = finished(name)
    before = every_file(out)
    kept = (out / ".blockseg" / "run.json").read_bytes()
    ledger = (out / ".blockseg" / "ledger.sqlite").read_bytes()
    lose(out)
    for command in (COMMANDS[name], ("status", out)):
        (line,) = blockseg(*command, code=1).stderr.strip().splitlines()
        assert "run.json is gone" in line
        assert "copy" in line
        assert "--overwrite" in line
    assert every_file(out) == before
    (out / ".blockseg" / "run.json").write_bytes(kept)
    (out / ".blockseg" / "ledger.sqlite").write_bytes(ledger)
    blockseg(*COMMANDS[name])
    lose(out)
    blockseg(*COMMANDS[name], "--overwrite")
    assert every_file(out) == before


def garble(path):
    path.write_bytes(b"\x07" * len(path.read_bytes()))


@pytest.mark.parametrize("name", ["run", "synth"])
@pytest.mark.parametrize("damage", [empty, garble, Path.unlink])
def test_a_damaged_ledger_is_told_in_one_line(blockseg, finished, name, damage):
    out = finished(name)
    before = every_file(out)
    for path in (out / ".blockseg").glob("ledger.sqlite-*"):
        path.unlink()
    damage(out / ".blockseg" / "ledger.sqlite")
    for command in (COMMANDS[name], ("status", out)):
        (line,) = blockseg(*command, code=1).stderr.strip().splitlines()
        assert line.startswith("Error: ")
        assert "--overwrite" in line
    assert every_file(out) == before


def test_every_byte_of_a_ledger_may_be_wrong(blockseg, finished):
    out = finished("run")
    shutil.copytree(out, blockseg.folder / "kept.zarr")
    path = out / ".blockseg" / "ledger.sqlite"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(12):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, len(data), 40)] = rng.integers(0, 256, 40)
        for command in (("status", out), COMMANDS["run"]):
            for beside in out.glob(".blockseg/ledger.sqlite-*"):
                beside.unlink()
            path.write_bytes(data.tobytes())
            done = blockseg(*command, code=None)
            assert done.exit_code in (0, 1, 3), repr(done.exception)
            assert "Traceback" not in done.output


@pytest.mark.parametrize("command", ["run", "metrics"])
def test_two_volumes_of_a_container_are_told_apart_by_name(blockseg, command):
    group = zarr.open_group(blockseg.folder / "g.zarr", mode="w")
    image = (
        np.random.default_rng(0).integers(0, 4000, (2, 16, 32, 32)).astype(np.uint16)
    )
    for path in ("a", "b"):
        array = group.create_array(path, shape=image.shape, dtype=image.dtype)
        array[:] = image
    options = (*COMMANDS[command][3:], "--axes", "czyx")
    blockseg(command, "g.zarr/a", "--channel", "0", *options)
    other = blockseg(command, "g.zarr/b", "--channel", "0", *options, code=1)
    folder = blockseg.folder
    assert f"the source was {folder}/g.zarr/a, now {folder}/g.zarr/b" in other.stderr
    assert "name another OUT" in other.stderr
    other = blockseg(command, "g.zarr/a", "--channel", "1", *options, code=1)
    assert "channel 0, now " in other.stderr
    assert "g.zarr/a channel 1" in other.stderr
