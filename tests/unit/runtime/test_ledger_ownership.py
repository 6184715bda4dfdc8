"""Which ledgers a fresh run may have."""

import sqlite3
from contextlib import closing

import pytest

from blockseg.core.blocks import BlockReport
from blockseg.core.errors import LedgerError
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.ledger.ownership import discard_ledger, refuse_taken

HERE = "/data/here.zarr"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def used(path, owner):
    with Ledger.create(path, "print", owner) as ledger:
        ledger.commit("segment", [BlockReport(0)])


def test_a_ledger_that_is_not_there_is_free(path):
    refuse_taken(path, HERE, replace=False)
    assert not path.exists()


def test_a_file_that_a_kill_left_empty_is_free(path):
    path.touch()
    refuse_taken(path, HERE, replace=False)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    refuse_taken(path, HERE, replace=False)


def test_ones_own_ledger_without_blocks_is_free(path):
    Ledger.create(path, "print", HERE).close()
    refuse_taken(path, HERE, replace=False)


def test_ones_own_blocks_are_given_up_only_if_the_user_says_so(path):
    used(path, HERE)
    with pytest.raises(LedgerError, match="--overwrite"):
        refuse_taken(path, HERE, replace=False)
    refuse_taken(path, HERE, replace=True)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    ("owner", "named"), [("/data/there.zarr", "that of /data/there"), ("", "another")]
)
def test_the_ledger_of_another_run_is_never_free(path, replace, owner, named):
    used(path, owner)
    with pytest.raises(LedgerError, match=named) as refused:
        refuse_taken(path, HERE, replace=replace)
    assert "name another with --ledger" in str(refused.value)
    assert "overwrite" not in str(refused.value)


def test_another_run_that_has_no_blocks_yet_keeps_its_ledger(path):
    Ledger.create(path, "print", "/data/there.zarr").close()
    with pytest.raises(LedgerError, match="that of /data/there"):
        refuse_taken(path, HERE, replace=False)


def test_files_that_are_no_ledgers_are_refused_and_kept(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    with pytest.raises(LedgerError, match="is no ledger"):
        discard_ledger(path, HERE)
    path.write_text("notes " * 1000)
    with pytest.raises(LedgerError, match="not a database"):
        discard_ledger(path, HERE)
    assert path.exists()


def test_discarding_leaves_no_file_of_the_ledger(path):
    ledger = Ledger.create(path, "print", HERE)  # open: its journal lies beside it
    assert path.with_name("ledger.sqlite-wal").exists()
    discard_ledger(path, HERE)
    ledger.close()
    assert list(path.parent.iterdir()) == []


def test_discarding_what_is_not_there_does_nothing(path):
    discard_ledger(path, HERE)
    assert list(path.parent.iterdir()) == []


def test_a_ledger_that_cannot_be_removed_is_told_in_one_line(path, monkeypatch):
    used(path, HERE)

    def refuse(_path, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "unlink", refuse)
    with pytest.raises(LedgerError, match="cannot be replaced: Permission denied"):
        discard_ledger(path, HERE)
