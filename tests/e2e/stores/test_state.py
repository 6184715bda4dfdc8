"""State of an output in a store: copied while a run goes on, held by one machine."""

import sqlite3
import time

import pytest

from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.store_state import (
    CLAIM,
    claimed,
    copied_state,
    fetch_state,
)
from blockseg.core.errors import LedgerError, OutputGoneError, VolumeError
from blockseg.runtime.ledger.ledger import Ledger
from tests.e2e.stores.servers import BUCKET, stored


def _paths(s3, name):
    paths = Paths(stored(f"s3+{s3.endpoint}/{BUCKET}/state/{name}"))
    paths.folder.mkdir(parents=True)
    Ledger.create(paths.ledger, "fingerprint", paths.owner).close()
    paths.record.write_text('{"format": 1}')
    return paths


def _until(true):
    deadline = time.monotonic() + 300
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_ledger_is_copied_while_its_run_goes_on(s3, monkeypatch, tmp_path):
    monkeypatch.setattr("blockseg.blockwise.store_state._SECONDS_BETWEEN", 0.05)
    monkeypatch.setattr("blockseg.blockwise.store_state._PATIENCE", 0)
    paths = _paths(s3, "copied")
    copy = stored(f"{paths.out}/.blockseg/ledger.sqlite")
    with (
        copied_state(paths, paths.ledger),
        Ledger.open(paths.ledger, "fingerprint") as ledger,
    ):
        _until(copy.is_file)
        before = copy.stat()
        ledger.put("note", "of the writer, which is still at work")
        _until(lambda: copy.stat() != before)
    target = tmp_path / "copy.sqlite"
    target.write_bytes(copy.read_bytes())
    with Ledger.read(target, "fingerprint") as found:
        assert found.get("note") == "of the writer, which is still at work"
    with sqlite3.connect(target) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_another_machine_finds_what_this_one_knew(s3, monkeypatch, tmp_path):
    paths = _paths(s3, "moved")
    with copied_state(paths, paths.ledger):
        pass
    monkeypatch.setenv("BLOCKSEG_STATE", str(tmp_path / "another"))
    fetch_state(paths)
    assert paths.folder.is_relative_to(tmp_path / "another")
    assert paths.record.read_text() == '{"format": 1}'
    Ledger.read(paths.ledger, "fingerprint").close()
    paths.record.write_text("newer than the copy")
    fetch_state(paths)  # of the same copy: what was done here since stays
    assert paths.record.read_text() == "newer than the copy"


def test_a_last_copy_that_fails_is_told_with_the_ledgers_place(s3):
    paths = _paths(s3, "full")
    s3.fault = lambda method, *_: "403" if method == "PUT" else ""
    with (
        pytest.raises(OutputGoneError, match="on this machine") as told,
        copied_state(paths, paths.ledger),
    ):
        pass
    assert str(paths.ledger) in str(told.value)


def test_one_machine_holds_an_output_until_it_ends_or_is_silent(s3, monkeypatch):
    out = stored(f"s3+{s3.endpoint}/{BUCKET}/state/held")
    claim = out / ".blockseg" / CLAIM
    with claimed(out):
        assert claim.is_file()
    assert not claim.is_file()
    claim.write_bytes(b'{"host": "another.example.org", "pid": 7}')
    with pytest.raises(LedgerError, match=r"7 on another\.example\.org"), claimed(out):
        pass
    monkeypatch.setattr("blockseg.blockwise.store_state._STALE_SECONDS", -1.0)
    with claimed(out):
        pass
    assert not claim.is_file()


def test_a_store_that_takes_nothing_is_told_before_any_work(s3):
    s3.fault = lambda method, *_: "403" if method == "PUT" else ""
    out = stored(f"s3+{s3.endpoint}/{BUCKET}/state/closed")
    with pytest.raises(VolumeError, match="refuses it"), claimed(out):
        pass
