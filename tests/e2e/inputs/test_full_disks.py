"""A disk that is full, or an output that is taken away: one line, exit code 3, resume."""

import errno
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import tifffile

from blockseg.blockwise.record.record import RunRecord
from blockseg.core.errors import NoSpaceError
from blockseg.io.output.writer import PyramidWriter
from blockseg.runtime.ledger.ledger import Ledger

SERIAL = ("--scheduler", "serial", "--block", "16")
COMMANDS = {
    "run": ("run", "tiny.tif", "out.zarr", "--backend", "fake", *SERIAL),
    "convert": ("convert", "tiny.tif", "out.zarr", *SERIAL),
    "metrics": ("metrics", "tiny.tif", "out.zarr", *SERIAL),
    "synth": ("synth", "out.zarr", "--shape", "16,16,48", "--preset", "clean", *SERIAL),
}
JOBS = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture(autouse=True)
def _tiny(blockseg):
    noise = np.random.default_rng(0).integers(0, 4000, (16, 32, 48)).astype(np.uint16)
    tifffile.imwrite(blockseg.folder / "tiny.tif", noise)


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def stopped(blockseg, *command):
    """Return the one line of a command that stops for want of its disk."""
    done = blockseg(*command, code=3)
    lines = [
        line
        for line in done.output.splitlines()
        if line.startswith(("Error: ", "Stopped: "))
    ]
    assert len(lines) == 1, done.output
    return lines[0]


@JOBS
@pytest.mark.parametrize("where", ["folder", "lock", "ledger", "record"])
def test_a_disk_that_is_full_before_the_start_is_told_in_one_line(
    blockseg, monkeypatch, name, where
):
    with monkeypatch.context() as patch:
        if where == "folder":
            patch.setattr(Path, "mkdir", full)
        elif where == "lock":
            patch.setattr(Path, "write_text", full)
        elif where == "ledger":
            patch.setattr(sqlite3, "connect", _no_room)
        else:
            patch.setattr(os, "fsync", full)
        assert "no space left" in stopped(blockseg, *COMMANDS[name]).lower()
    blockseg(*COMMANDS[name])


def _no_room(*_, **__):
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


@JOBS
@pytest.mark.parametrize("start", [0, 1])
def test_a_disk_that_fills_while_run_json_is_written_is_told_in_one_line(
    blockseg, monkeypatch, content_of, name, start
):
    blockseg(*COMMANDS[name])
    before = content_of(blockseg.folder / "out.zarr")
    shutil.rmtree(blockseg.folder / "out.zarr")
    save, calls = RunRecord.save, []

    def run_out(record, path):
        calls.append(path)
        if len(calls) > start:
            message = f"no space left to write {path}"
            raise NoSpaceError(message)
        save(record, path)

    with monkeypatch.context() as patch:
        patch.setattr(RunRecord, "save", run_out)
        assert "no space left" in stopped(blockseg, *COMMANDS[name])
    blockseg(*COMMANDS[name])
    assert content_of(blockseg.folder / "out.zarr") == before


def lose_after(monkeypatch, out, blocks):
    """Remove an output once some of its blocks are in the ledger."""
    commit, entered = Ledger.commit, []
    lost = out.with_name("elsewhere.zarr")

    def lose(ledger, phase, reports, attempts=None):
        commit(ledger, phase, reports, attempts)
        entered.extend(reports)
        if blocks <= len(entered) and not lost.exists():
            out.rename(lost)

    monkeypatch.setattr(Ledger, "commit", lose)


@JOBS
@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("ledger", [(), ("--ledger", "here.sqlite")], ids=["in", "out"])
def test_an_output_that_vanishes_is_told_in_one_line_and_comes_back(
    blockseg, monkeypatch, content_of, name, blocks, ledger
):
    out = blockseg.folder / "out.zarr"
    command = (*COMMANDS[name], *ledger)
    blockseg(*COMMANDS[name])
    before = content_of(out)
    shutil.rmtree(out)
    with monkeypatch.context() as patch:
        lose_after(patch, out, blocks)
        line = stopped(blockseg, *command)
    assert "removed or unmounted" in line
    assert "same command" in line
    assert not out.exists()  # and is not made again beside the lost one
    (blockseg.folder / "elsewhere.zarr").rename(out)
    blockseg(*command)
    assert content_of(out) == before


def test_a_block_that_finds_its_output_gone_stops_the_run(blockseg, monkeypatch):
    out = blockseg.folder / "out.zarr"
    write = PyramidWriter.write_block

    def vanish(writer, roi, data):
        found = write(writer, roi, data)
        if out.exists():
            shutil.rmtree(out)
        return found

    monkeypatch.setattr(PyramidWriter, "write_block", vanish)
    assert "removed or unmounted" in stopped(blockseg, *COMMANDS["run"])
    assert not out.exists()


@pytest.mark.parametrize(
    "write",
    ["blockseg.io.tiff.write.tifffile.imwrite", "os.fsync", "pathlib.Path.mkdir"],
)
def test_predict_tells_of_a_full_disk_in_one_line(blockseg, monkeypatch, write):
    words = ("predict", "tiny.tif", "-o", "single", "--backend", "fake")
    with monkeypatch.context() as patch:
        patch.setattr(write, full)
        assert "no space left" in stopped(blockseg, *words).lower()
    blockseg(*words)
