"""Runs that an earlier version began or finished are gone on with."""

import hashlib
import json
import re
import shutil
import sqlite3
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from blockseg.config.train_settings import TrainSettings
from blockseg.training.checkpoint import load_checkpoint
from blockseg.training.record import TrainRecord
from blockseg.training.run_lock import TrainFolder

DATA = Path(__file__).parents[1] / "data"
ARCHIVE = DATA / "stores-0.1.0.tar.xz"
PLACE = Path("/tmp/blockseg-stores-0.1.0")
"""Where they lay when they were made, which stands in their records."""
COMMANDS = {
    "fake": ("run", "--backend", "fake"),
    "field": (
        "run", "--backend", "fake", "--normalization", "field", "--zarr-format", "2",
    ),
    "torch": (
        "run", "--backend", "torch", "--weights", "tiny.safetensors",
        "--roi", "0:32,0:64,0:64",
    ),
    "sparse": (
        "run", "--backend", "torch", "--weights", "tiny.safetensors", "--sparse",
    ),
    "metrics": ("metrics",),
    "convert": ("convert",),
    "synth": ("synth", "--shape", "48,64,96", "--preset", "clean"),
}  # fmt: skip
EXACT = ("fake", "field", "metrics", "convert", "synth")
"""Those whose bytes do not depend on the kind of CPU."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the places in the records are those of Linux"
)


@pytest.fixture(scope="module")
def stores() -> Iterator[Path]:
    with FileLock(f"{PLACE}.lock"):  # of two test runs on one machine, one waits
        shutil.rmtree(PLACE, ignore_errors=True)
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(PLACE, filter="data")
        yield PLACE
        shutil.rmtree(PLACE)


def words(name: str, out: str) -> list[str]:
    command, *options = COMMANDS[name]
    places = [out] if command == "synth" else ["brain.zarr", out]
    threads = ["--threads", "1"] if command == "run" else []
    blocks = ["--block", "32,32,32", "--scheduler", "serial", "-q"]
    return [command, *places, *options, *blocks, *threads]


def written(out: Path) -> dict[str, str]:
    """SHA-256 of every file of a result but its report."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
        and ".blockseg" not in path.relative_to(out).parts
        and path.name != "report.html"
    }


def blocks_of(out: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(out / ".blockseg" / "ledger.sqlite") as ledger:
        rows = ledger.execute("SELECT * FROM blocks ORDER BY 1, 2").fetchall()
    ledger.close()
    return rows


@pytest.mark.parametrize("name", COMMANDS)
def test_a_finished_store_stays_as_it_is(stores, name, blockseg):
    blockseg.folder = stores
    out = stores / f"{name}-finished"
    before, blocks = written(out), blocks_of(out)
    record = json.loads((out / ".blockseg" / "run.json").read_text())
    blockseg(*words(name, out.name))
    after = json.loads((out / ".blockseg" / "run.json").read_text())
    now = written(out)
    # Metrics that came later are drawn for stores that were finished before, too.
    later = {name for name in now.keys() - before if name.startswith("blocks/")}
    assert {name: now[name] for name in now.keys() - later} == before
    assert blocks_of(out) == blocks
    assert [after[key] for key in ("request", "decisions", "version")] == [
        record[key] for key in ("request", "decisions", "version")
    ]
    assert after["sessions"][-1]["outcome"] == "complete"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_half_finished_store_is_gone_on_with(stores, name, blockseg):
    blockseg.folder = stores
    out = stores / f"{name}-half"
    before = written(out)
    done = {row[:2] for row in blocks_of(out)}
    assert len(done) == 3
    blockseg(*words(name, out.name))
    after = written(out)
    assert {file: after[file] for file in before if "zarr.json" not in file} == {
        file: before[file] for file in before if "zarr.json" not in file
    }
    assert done < {row[:2] for row in blocks_of(out)}
    finished = written(stores / f"{name}-finished")
    assert after.keys() == finished.keys()
    if name in EXACT:
        assert after == finished


@pytest.mark.parametrize("name", COMMANDS)
def test_the_status_of_an_earlier_store_is_told(stores, name, blockseg):
    told = blockseg("status", stores / f"{name}-finished").output
    assert re.search(r": complete", told)


@pytest.mark.parametrize("name", COMMANDS)
def test_of_an_earlier_store_it_is_said_what_nothing_proves(name, blockseg):
    with tarfile.open(ARCHIVE) as archive:  # before any other test goes on with it
        inside = [one for one in archive if one.name.startswith(f"./{name}-")]
        archive.extractall(blockseg.folder, members=inside, filter="data")
    out, half = f"{name}-finished", f"{name}-half"
    said = blockseg("verify", out).stdout
    assert "Sound" in said
    assert "has no copy in its ledger" in said
    told = blockseg("verify", half, code=3).stdout
    assert "blocks are not written" in told
    if name == "metrics":  # which has no voxels of its own
        return
    # As a blockseg wrote it that kept no checksums of files.
    with sqlite3.connect(blockseg.folder / out / ".blockseg/ledger.sqlite") as ledger:
        ledger.execute("DROP TABLE files")
    ledger.close()
    said = blockseg("verify", out).stdout
    assert "kept no checksums of files" in said
    assert "Sound" in said
    shards = blockseg.folder / out / "0"
    shard = max(
        (path for path in shards.rglob("*") if path.is_file()),
        key=lambda path: path.stat().st_size,
    )
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 1
    shard.write_bytes(data)
    assert "voxels: " in blockseg("verify", out, code=3).stdout


def test_patience_of_an_earlier_training_counts_from_its_first_validation(tmp_path):
    with tarfile.open(DATA / "training-0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    place = tmp_path / "training" / "train.json"
    told = json.loads(place.read_text())
    assert "patience-from" not in told["request"]["settings"]
    told["request"]["settings"]["patience"] = 3
    place.write_text(json.dumps(told))
    folder, asked = TrainFolder(place.parent), TrainSettings(patience=3)
    assert asked.patience_from == 200
    assert folder.as_begun(asked, overwrite=False).patience_from == 0
    assert folder.as_begun(asked, overwrite=True).patience_from == 200
    other = replace(asked, patience_from=50)
    assert folder.as_begun(other, overwrite=False).patience_from == 50
    record = TrainRecord.load(place)
    other = replace(record.request.settings, patience_from=50)
    said = record.request.differences(replace(record.request, settings=other))
    assert "patience-from was 0, now 50" in said[0]


def test_an_earlier_training_is_gone_on_with(tmp_path, blockseg):
    with tarfile.open(DATA / "training-0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    run = tmp_path / "training"
    before = json.loads((run / "train.json").read_text())
    kept = load_checkpoint(run / "checkpoint.pt")
    assert kept is not None
    assert kept.standing.step == 2
    blockseg(
        "train", "synth:clean", "--network", "sdasn", "--width", "2", "--steps", "6",
        "--batch", "1", "--patch", "16", "--workers", "0", "--threads", "1",
        "--validation-share", "0", "--checkpoint-every", "2", "-o", "training", "-q",
    )  # fmt: skip
    after = json.loads((run / "train.json").read_text())
    done = load_checkpoint(run / "checkpoint.pt")
    assert done is not None
    assert done.standing.step == 6
    assert done.seconds > kept.seconds
    before["request"]["settings"]["patience-from"] = 0  # what it was without saying so
    assert after["request"] == before["request"]
    assert len(after["sessions"]) == len(before["sessions"]) + 1
