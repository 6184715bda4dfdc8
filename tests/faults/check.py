"""Comparison of what faults left with what an undisturbed run wrote, to the byte."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING

from blockseg.io.output.written_files import stored_file

if TYPE_CHECKING:
    from pathlib import Path

OURS = ".blockseg"
RESULT = "phase, block_id, state, written, foreground, nonzero, digest"
"""What a ledger says of a block's result."""

ROWS = f"{RESULT}, computed, nonfinite"
"""And of how it came to be."""


def content(store: Path) -> dict[str, str]:
    """Return the hash of every file of a store but its own notes."""
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.is_file()
        and OURS not in path.relative_to(store).parts
        and path != store / "report.html"  # times are in it
    }


def rows(ledger: Path, columns: str = ROWS) -> list[tuple[object, ...]]:
    """Return what a ledger says of its blocks, without times and attempts."""
    with sqlite3.connect(ledger) as connection:
        found = connection.execute(f"SELECT {columns} FROM blocks ORDER BY 1, 2")
        return list(found)


def check_same(store: Path, undisturbed: Path) -> None:
    """Compare two stores file by file."""
    ours, theirs = content(store), content(undisturbed)
    missing = sorted(theirs.keys() - ours.keys())
    more = sorted(ours.keys() - theirs.keys())
    assert not missing, f"lost: {missing[:5]}"
    assert not more, f"left over: {more[:5]}"
    wrong = [name for name in ours if ours[name] != theirs[name]]
    assert not wrong, f"wrong bytes: {wrong[:5]}"


def check_ledger(
    store: Path, ledger: Path, undisturbed: Path, columns: str = ROWS
) -> None:
    """Compare a ledger with its store, and with that of the undisturbed run."""
    same = rows(ledger, columns) == rows(undisturbed, columns)
    assert same, "the ledger tells other than the first"
    with sqlite3.connect(ledger) as connection:
        files = connection.execute("SELECT path, size, crc FROM files").fetchall()
    known = set()
    for path, size, crc in files:
        found = stored_file(store, path)
        assert (found.size, found.crc) == (size, crc), f"{path} is not as entered"
        known.add(path)
    strangers = content(store).keys() - known
    data = [name for name in strangers if "/c/" in f"/{name}"]
    assert not data, f"in the store and not in the ledger: {data[:5]}"
