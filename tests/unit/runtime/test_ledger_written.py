"""What the ledger remembers of files, also one that an earlier blockseg made."""

import sqlite3

import pytest

from blockseg.core.blocks import BlockReport
from blockseg.core.errors import LedgerError, OutputGoneError
from blockseg.core.stored_file import StoredFile
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.ledger.merging import merge_ledgers

A, B, C = (StoredFile(f"0/c/0/0/{n}", 10 + n, 2**32 - 1 - n) for n in range(3))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with Ledger.create(path, "print") as ledger:
        yield ledger


def test_files_come_back_with_their_blocks(ledger):
    ledger.commit("segment", [BlockReport(4, files=(C, A)), BlockReport(2, files=(B,))])
    assert list(ledger.written.of("segment")) == [(2, B), (4, A), (4, C)]
    assert list(ledger.written.of("other")) == []
    assert ledger.written.phases() == ["segment"]
    assert ledger.written.known("segment", 5).tolist() == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_a_block_done_again_keeps_no_file_of_before(ledger):
    ledger.commit("segment", [BlockReport(4, files=(A, B))])
    ledger.commit("segment", [BlockReport(4, files=(C,))])
    assert list(ledger.written.of("segment")) == [(4, C)]


def test_a_reset_block_has_no_files(ledger):
    ledger.commit("segment", [BlockReport(n, files=(A,)) for n in range(3)])
    ledger.reset("segment", [1])
    assert [block for block, _ in ledger.written.of("segment")] == [0, 2]
    ledger.reset("segment")
    assert ledger.written.phases() == []


def test_files_that_no_block_wrote_replace_those_of_the_same_name(ledger):
    ledger.written.put("metadata", [A, B])
    ledger.written.put("metadata", [C])
    assert list(ledger.written.of("metadata")) == [(0, C)]
    assert ledger.summary("metadata").done == 0


def test_a_ledger_of_before_is_read_and_gone_on_with(path):
    with Ledger.create(path, "print") as ledger:
        ledger.commit("segment", [BlockReport(4)])
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE files")
    connection.close()
    with Ledger.read(path, "print") as ledger:
        assert ledger.written.phases() == []
        assert list(ledger.written.of("segment")) == []
        assert not ledger.written.known("segment", 5).any()
    with Ledger.open(path, "print") as ledger:
        ledger.commit("segment", [BlockReport(5, files=(A,))])
        assert ledger.summary("segment").done == 2
        assert list(ledger.written.of("segment")) == [(5, A)]


def test_blocks_are_not_entered_in_a_file_that_is_gone(path, ledger):
    path.unlink()
    with pytest.raises(OutputGoneError, match="removed or unmounted"):
        ledger.commit("segment", [BlockReport(0)])


def test_a_value_of_another_type_is_damage(path, ledger):
    ledger.commit("segment", [BlockReport(0, nonzero=1)])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE blocks SET nonzero = 'many'")
    connection.close()
    with pytest.raises(LedgerError, match=r"is damaged .*--overwrite"):
        ledger.column("segment", "nonzero", 1)


def test_files_are_counted_and_those_of_every_other_block_come_alone(ledger):
    ledger.commit("segment", [BlockReport(n, files=(A, B)) for n in range(5)])
    assert ledger.written.count() == 10
    assert {block for block, _ in ledger.written.of("segment", 2)} == {0, 2, 4}


def test_ledgers_of_parts_add_up_to_that_of_the_whole(tmp_path):
    reports = [
        BlockReport(
            number,
            written=number,
            reads=(number, 7),
            files=(A,) if number % 2 else (),
            payload=bytes([number]),
            seconds=(("read", 0.5),),
            error="" if number != 4 else "it failed",
        )
        for number in range(6)
    ]
    whole = tmp_path / "whole.sqlite"
    with Ledger.create(whole, "print") as ledger:
        ledger.commit("segment", reports)
    parts = []
    for k in range(3):
        parts.append(tmp_path / f"{k}.sqlite")
        with Ledger.create(parts[-1], "print", f"part {k}") as ledger:
            ledger.commit("segment", reports[k::3])
            ledger.put("record", "of the part")
    merged = tmp_path / "merged.sqlite"
    merge_ledgers(merged, parts, fingerprint="print", owner="all")
    with Ledger.read(merged, "print") as made, Ledger.read(whole) as one:
        mine, its = made.summary("segment"), one.summary("segment")
        assert (mine.done, mine.failed, mine.totals, mine.seconds) == (
            its.done,
            its.failed,
            its.totals,
            its.seconds,
        )
        assert made.states("segment", 6).tolist() == one.states("segment", 6).tolist()
        assert list(made.payloads("segment")) == list(one.payloads("segment"))
        assert made.source.reads("segment") == one.source.reads("segment")
        assert list(made.written.of("segment")) == list(one.written.of("segment"))
        assert (made.get("owner"), made.get("record")) == ("all", None)
    with pytest.raises(LedgerError, match="which that of another part holds, too"):
        merge_ledgers(merged, [parts[0], parts[0]], fingerprint="print", owner="all")
    with Ledger.read(merged, "print") as made:  # as it was
        assert made.summary("segment").done == 5
    with pytest.raises(LedgerError, match="another run"):
        merge_ledgers(merged, parts, fingerprint="other", owner="all")
