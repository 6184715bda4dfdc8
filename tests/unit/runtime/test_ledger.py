"""What the ledger keeps, refuses and adds up."""

import os
import shutil
import sqlite3
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from blockseg.core.blocks import BlockReport, BlockState
from blockseg.core.errors import LedgerError, NoSpaceError
from blockseg.core.geometry import Roi
from blockseg.core.holes import Hole
from blockseg.runtime.ledger import file as ledger_file
from blockseg.runtime.ledger.ledger import STATE_CODES, Ledger

DONE = STATE_CODES[BlockState.DONE]
FAILED = STATE_CODES[BlockState.FAILED]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with Ledger.create(path, "print") as ledger:
        yield ledger


def failed(block_id, **more):
    return BlockReport(block_id, error="ValueError: no", traceback="a\nb", **more)


def test_a_block_without_a_row_is_pending(ledger):
    assert STATE_CODES[BlockState.PENDING] == 0
    assert not ledger.states("segment", 1000).any()


def test_states_are_one_byte_a_block(ledger):
    ledger.commit("segment", [BlockReport(0), failed(3)])
    states = ledger.states("segment", 5)
    assert states.dtype == np.uint8
    assert states.tolist() == [DONE, 0, 0, FAILED, 0]


def test_phases_do_not_see_each_other(ledger):
    ledger.commit("segment", [BlockReport(0)])
    ledger.commit("pyramid-1", [BlockReport(1)])
    assert ledger.states("segment", 2).tolist() == [DONE, 0]
    assert ledger.states("pyramid-1", 2).tolist() == [0, DONE]


def test_pending_keeps_the_order_of_its_candidates(ledger):
    ledger.commit("segment", [BlockReport(2), failed(5)])
    assert ledger.pending("segment", [9, 2, 5, 0]).tolist() == [9, 0]
    assert ledger.pending("segment", []).tolist() == []


def test_what_was_committed_is_there_after_opening_again(path):
    with Ledger.create(path, "print") as first:
        first.commit("segment", [BlockReport(4)])
        first.put("dashboard", "http://127.0.0.1:8787")
    with Ledger.open(path, "print") as second:
        assert second.states("segment", 5)[4] == DONE
        assert second.get("dashboard") == "http://127.0.0.1:8787"
        assert second.get("nothing") is None
        assert second.fingerprint == "print"


def test_creating_a_ledger_twice_keeps_its_blocks(path):
    with Ledger.create(path, "print") as first:
        first.commit("segment", [BlockReport(4)])
    with Ledger.create(path, "print") as second:
        assert second.summary("segment").done == 1


@pytest.mark.parametrize("opener", [Ledger.create, Ledger.open, Ledger.read])
def test_a_ledger_of_another_fingerprint_is_refused(path, opener):
    Ledger.create(path, "print").close()
    with pytest.raises(LedgerError, match="other settings"):
        opener(path, "another")


@pytest.mark.parametrize("opener", [Ledger.create, Ledger.open])
def test_a_ledger_of_another_version_is_refused(path, opener):
    with Ledger.create(path, "print") as ledger:
        ledger.put("version", "999")
    with pytest.raises(LedgerError, match="version 999"):
        opener(path, "print")
    with pytest.raises(LedgerError, match="version 999"):
        Ledger.read(path)


def test_a_ledger_of_another_output_is_not_made_again(path):
    Ledger.create(path, "print", "/here").close()
    with pytest.raises(LedgerError, match="or output"):
        Ledger.create(path, "print", "/there")


def test_opening_a_ledger_that_is_not_there_makes_none(path):
    with pytest.raises(LedgerError, match="unable to open"):
        Ledger.open(path, "print")
    with pytest.raises(LedgerError, match="there is no ledger"):
        Ledger.read(path)
    assert not path.exists()


def test_a_file_that_is_no_ledger_is_refused_and_kept(path):
    path.write_bytes(b"something else" * 100)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger.create(path, "print")
    assert path.read_bytes() == b"something else" * 100


def test_an_empty_file_of_a_run_killed_at_its_start_is_adopted(path):
    path.touch()
    with Ledger.create(path, "print") as ledger:
        assert ledger.fingerprint == "print"


def test_failures_carry_what_is_needed_to_act_on_them(ledger):
    ledger.commit("segment", [failed(8), BlockReport(1), failed(2)], {8: 3})
    failures = ledger.failures("segment")
    assert [(f.block_id, f.attempts) for f in failures] == [(2, 1), (8, 3)]
    assert failures[1].error == "ValueError: no"
    assert failures[1].traceback == "a\nb"


def test_a_block_done_after_it_failed_is_no_failure(ledger):
    ledger.commit("segment", [failed(8, payload=b"x")])
    ledger.commit("segment", [BlockReport(8)])
    assert ledger.failures("segment") == []
    assert ledger.states("segment", 9)[8] == DONE


def test_a_reset_block_is_pending_again(ledger):
    reports = [BlockReport(i, payload=b"p") for i in range(4)]
    ledger.commit("segment", reports)
    ledger.commit("other", reports)
    ledger.reset("segment", [1, 2])
    assert ledger.states("segment", 4).tolist() == [DONE, 0, 0, DONE]
    assert [i for i, _ in ledger.payloads("segment")] == [0, 3]
    ledger.reset("segment")
    assert not ledger.states("segment", 4).any()
    assert ledger.states("other", 4).all()


def test_the_summary_adds_up_the_blocks_that_are_done(ledger):
    ledger.commit(
        "segment",
        [
            BlockReport(0, written=10, foreground=2, seconds=(("read", 1.0),)),
            BlockReport(1, written=5, seconds=(("read", 0.5), ("infer", 2.0))),
            BlockReport(2, written=1, note="fewer threads"),
            failed(3, written=100),
        ],
    )
    summary = ledger.summary("segment")
    assert (summary.done, summary.failed, summary.noted) == (3, 1, 1)
    assert summary.totals["written"] == 16
    assert summary.totals["foreground"] == 2
    assert summary.seconds == {"read": 1.5, "infer": 2.0}
    assert 0 < summary.started <= summary.finished


def test_the_summary_of_an_untouched_phase_is_all_zero(ledger):
    summary = ledger.summary("segment")
    assert (summary.done, summary.failed, summary.started) == (0, 0, 0.0)
    assert set(summary.totals.values()) == {0}


def test_a_column_is_an_array_over_block_ids(ledger):
    ledger.commit("segment", [BlockReport(1, nonzero=7), BlockReport(3, nonzero=2)])
    ledger.commit("segment", [failed(0, nonzero=9)])
    assert ledger.column("segment", "nonzero", 4).tolist() == [0, 7, 0, 2]
    assert ledger.column("segment", "nonzero", 2).tolist() == [0, 7]
    assert ledger.column("empty", "digest", 2).tolist() == [0, 0]


def test_a_digest_of_32_bits_survives(ledger):
    ledger.commit("segment", [BlockReport(0, digest=2**32 - 1)])
    assert ledger.column("segment", "digest", 1).tolist() == [2**32 - 1]


def test_an_unknown_column_is_refused(ledger):
    with pytest.raises(LedgerError, match="no column 'error; DROP'"):
        ledger.column("segment", "error; DROP", 1)


def test_payloads_come_by_ascending_block(ledger):
    ledger.commit("segment", [BlockReport(9, payload=b"nine"), BlockReport(1)])
    ledger.commit("segment", [BlockReport(2, payload=b"two")])
    assert list(ledger.payloads("segment")) == [(2, b"two"), (9, b"nine")]


def test_a_reader_sees_commits_while_the_writer_is_open(path, ledger):
    with Ledger.read(path) as reader:
        ledger.commit("segment", [BlockReport(0)])
        assert reader.summary("segment").done == 1
        ledger.commit("segment", [BlockReport(1)])
        assert reader.summary("segment").done == 2


def test_a_reader_in_the_middle_of_a_scan_does_not_block_the_writer(path, ledger):
    ledger.commit("segment", [BlockReport(i, payload=b"x") for i in range(100)])
    with Ledger.read(path) as reader:
        rows = reader.payloads("segment")
        next(rows)
        ledger.commit("segment", [BlockReport(100, payload=b"x")])
        assert len(list(rows)) == 99


def test_a_reader_cannot_write(path):
    Ledger.create(path, "print").close()
    with Ledger.read(path) as reader, pytest.raises(LedgerError, match="readonly"):
        reader.commit("segment", [BlockReport(0)])


def test_a_commit_is_all_or_nothing(ledger):
    def reports():
        yield BlockReport(0)
        yield BlockReport(1, digest="not a number at all" and object())  # type: ignore[arg-type]

    with pytest.raises(LedgerError):
        ledger.commit("segment", reports())
    assert not ledger.states("segment", 2).any()
    ledger.commit("segment", [BlockReport(0)])
    assert ledger.states("segment", 2).tolist() == [DONE, 0]


def test_a_kill_between_rows_of_a_commit_leaves_none_of_them(path):
    script = f"""
import os, pathlib
from blockseg.core.blocks import BlockReport
from blockseg.runtime.ledger.ledger import Ledger
ledger = Ledger.create(pathlib.Path({str(path)!r}), "print")
ledger.commit("segment", [BlockReport(0)])
ledger._connection.execute("BEGIN IMMEDIATE")
ledger._connection.execute("UPDATE blocks SET block_id = 1")
ledger._connection.execute("PRAGMA cache_spill = 1")
os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -9
    with Ledger.open(path, "print") as ledger:
        assert ledger.states("segment", 2).tolist() == [DONE, 0]


def test_a_full_disk_is_told_apart_and_what_was_entered_stays(ledger):
    ledger.commit("segment", [BlockReport(0)])
    (pages,) = ledger._connection.execute("PRAGMA page_count").fetchone()
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = [BlockReport(i, payload=b"x" * 5000) for i in range(1, 50)]
    with pytest.raises(NoSpaceError, match="no space left for the ledger"):
        ledger.commit("segment", big)
    assert ledger.states("segment", 50).sum() == DONE
    ledger._connection.execute("PRAGMA max_page_count = 100000")
    ledger.commit("segment", big)
    assert ledger.states("segment", 50).all()


def test_time_spent_adds_up_over_commits_and_goes_with_the_phase(ledger):
    for block in (0, 1, 1):
        report = BlockReport(block, seconds=(("read", 1.0), ("infer", 2.0)))
        ledger.commit("segment", [report])
    assert ledger.summary("segment").seconds == {"read": 3.0, "infer": 6.0}
    ledger.reset("segment", [0])
    assert ledger.summary("segment").seconds == {"read": 3.0, "infer": 6.0}
    ledger.reset("segment")
    assert ledger.summary("segment").seconds == {}


def test_an_error_of_the_disk_without_room_is_a_full_disk(path, monkeypatch):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR | (19 << 8)
    for free, kind in ((0, NoSpaceError), (2**30, LedgerError)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, u=usage: u)
        with pytest.raises(kind), ledger_file.errors_of(path):
            raise error


def test_a_ledger_in_a_folder_that_may_not_be_written_can_be_read(path, monkeypatch):
    with Ledger.create(path, "print") as ledger:
        ledger.commit("segment", [BlockReport(0)])
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Ledger.read(path) as reader:
        assert reader.summary("segment").done == 1
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("kind", "journal", "synchronous"),
    [("ext4", "wal", 1), ("nfs4", "delete", 2), ("fuse.sshfs", "delete", 2)],
)
def test_a_network_file_system_gets_no_shared_memory(
    path, monkeypatch, kind, journal, synchronous
):
    monkeypatch.setattr(ledger_file, "filesystem_type", lambda _: kind)
    with Ledger.create(path, "print") as ledger:
        ask = ledger._connection.execute
        assert ask("PRAGMA journal_mode").fetchone() == (journal,)
        assert ask("PRAGMA synchronous").fetchone() == (synchronous,)
        ledger.commit("segment", [BlockReport(0)])
        with Ledger.read(path) as reader:
            assert reader.summary("segment").done == 1


def test_a_closed_ledger_is_one_file(path):
    with Ledger.create(path, "print") as ledger:
        ledger.commit("segment", [BlockReport(0)])
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert sqlite3.connect(path).execute("SELECT COUNT(*) FROM blocks").fetchone() == (
        1,
    )


def test_a_hundred_thousand_blocks_are_looked_up_at_once(ledger):
    for start in range(0, 100_000, 10_000):
        ledger.commit("segment", map(BlockReport, range(start, start + 10_000)))
    candidates = np.arange(200_000)[::-1]
    pending = ledger.pending("segment", candidates)
    assert np.array_equal(pending, np.arange(199_999, 99_999, -1))


def test_holes_are_kept_with_their_block_and_replaced_with_it(ledger):
    first = Hole(Roi((0, 0, 0), (3, 64, 64)), 12288)
    second = Hole(Roi((9, 0, 0), (10, 64, 64)), 4096)
    ledger.commit("segment", [BlockReport(0, holes=(first,)), BlockReport(1)])
    assert ledger.holes("segment") == [first]
    assert ledger.holes("metrics") == []
    ledger.commit("segment", [BlockReport(0, holes=(second,))])
    assert ledger.holes("segment") == [second]
    ledger.reset("segment", [0])
    assert ledger.holes("segment") == []


def test_a_ledger_from_before_holes_were_known_is_read_and_gone_on_with(ledger, path):
    ledger.commit("segment", [BlockReport(0)])
    ledger.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE holes")
    connection.close()
    with Ledger.read(path) as old:
        assert old.holes("segment") == []
    hole = Hole(Roi((0, 0, 0), (3, 64, 64)), 12288)
    with Ledger.open(path, "print") as old:
        old.commit("segment", [BlockReport(1, holes=(hole,))])
        assert old.holes("segment") == [hole]
