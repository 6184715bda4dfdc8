"""The ledger: what is known of every block, on disk, in one SQLite file.

One process writes (the driver), any number read at the same time. A pending block
has no row, so that starting a million blocks costs nothing; a block enters with all
that is known of it in one transaction, once its data are written or it is given up.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import numpy as np

from blockseg.core.blocks import BlockState
from blockseg.core.errors import BlocksegError, LedgerError
from blockseg.runtime.ledger.aside import AsideRows
from blockseg.runtime.ledger.file import (
    check_ledger_there,
    errors_of,
    forget,
    open_to_read,
    open_to_write,
    transaction,
)
from blockseg.runtime.ledger.holes import enter_holes, known_holes
from blockseg.runtime.ledger.reads import SourceRows, enter_reads
from blockseg.runtime.ledger.rows import (
    ADDED,
    COLUMNS,
    SCHEMA,
    SUMMED,
    VERSION,
    FailedBlock,
    PhaseSummary,
    counted_notes,
    recent_blocks,
    to_row,
)
from blockseg.runtime.ledger.written import FileRows, enter_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from blockseg.core.blocks import BlockReport
    from blockseg.core.holes import Hole

_OF_BLOCKS = ("blocks", "payloads", "files", "holes")
"""Tables of which a row belongs to one block, and goes with it."""

STATE_CODES: dict[BlockState, int] = {state: i for i, state in enumerate(BlockState)}
"""Codes of states in the arrays of :meth:`Ledger.states`; 0 is pending."""

_ROWS = 2**14  # fetched together: of a million blocks all take 24 MB
_INTEGERS = frozenset({"attempts", "digest", *SUMMED})


class Ledger:
    """An open ledger; use :meth:`create`, :meth:`open` or :meth:`read`.

    Not to be shared between threads or sent to another process: a reader opens its
    own.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path, fingerprint: str, owner: str = "") -> Self:
        """Make a ledger, or open the one that is there.

        Parameters
        ----------
        path
            The file; its folder exists.
        fingerprint
            Of everything that decides what a block's output is.
        owner
            Output of the run, so that others leave the ledger alone.

        Raises
        ------
        LedgerError
            If there is one of another owner, fingerprint or version, or another file.
        NoSpaceError
            If the disk is full.
        """
        with errors_of(path):
            connection = open_to_write(path, create=True)
            with transaction(connection) as cursor:
                # A run killed before its first commit left an empty file: adopt it.
                if not cursor.execute("SELECT 1 FROM sqlite_master").fetchone():
                    for statement in SCHEMA:
                        cursor.execute(statement)
                    new = {"version": VERSION, "fingerprint": fingerprint}
                    new["owner"] = owner
                    cursor.executemany("INSERT INTO meta VALUES (?, ?)", new.items())
        made = cls(path, connection)._checked(fingerprint=fingerprint, owner=owner)
        return made._completed()

    @classmethod
    def open(cls, path: Path, fingerprint: str) -> Self:
        """Open a ledger to resume its run.

        Raises
        ------
        LedgerError
            If there is none, or one of another fingerprint or version.
        """
        with errors_of(path):
            connection = open_to_write(path, create=False)
        return cls(path, connection)._checked(fingerprint=fingerprint)._completed()

    @classmethod
    def read(cls, path: Path, fingerprint: str | None = None) -> Self:
        """Open a ledger to look at it, even during its run.

        Parameters
        ----------
        path
            The file.
        fingerprint
            Of the run that it must belong to; any if not given.

        Raises
        ------
        LedgerError
            If there is none, or one of another fingerprint or version.
        """
        if not path.exists():
            message = (
                f"there is no ledger {path}; put it back from a copy, rebuild it with "
                "blockseg verify OUT --repair, or start over with --overwrite"
            )
            raise LedgerError(message)
        with errors_of(path):
            connection = open_to_read(path)
        expected = {} if fingerprint is None else {"fingerprint": fingerprint}
        return cls(path, connection)._checked(**expected)

    def close(self) -> None:
        """Close the file; what was committed stays."""
        with suppress(sqlite3.Error):  # a full disk must not hide the real error
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the run that the ledger belongs to."""
        return self.get("fingerprint") or ""

    @property
    def written(self) -> FileRows:
        """Table of the files of the output."""
        return FileRows(self.path, self._connection)

    @property
    def source(self) -> SourceRows:
        """Tables on the run's sources."""
        return SourceRows(self.path, self._connection)

    @property
    def aside(self) -> AsideRows:
        """Blocks that wait for one of their images to be remade."""
        return AsideRows(self.path, self._connection)

    def get(self, key: str) -> str | None:
        """Return a value stored with the run, None if there is none."""
        with errors_of(self.path):
            row = self._connection.execute(
                "SELECT value FROM meta WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Store a value with the run."""
        with errors_of(self.path), transaction(self._connection) as cursor:
            cursor.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def commit(
        self,
        phase: str,
        reports: Iterable[BlockReport],
        attempts: Mapping[int, int] | None = None,
    ) -> None:
        """Enter blocks that are done or given up, all of them or none.

        Parameters
        ----------
        phase
            Whose blocks.
        reports
            One a block; with an error it is given up.
        attempts
            How often each block was tried; 1 where missing.

        Raises
        ------
        NoSpaceError
            If the disk is full; nothing was entered.
        OutputGoneError
            If the file is not there any more.
        """
        known = attempts or {}
        now = time.time()
        done = [(phase, r, known.get(r.block_id, 1), now) for r in reports]
        if not done:
            return
        check_ledger_there(self.path)
        marks = ", ".join("?" * len(COLUMNS))
        insert = f"INSERT OR REPLACE INTO blocks VALUES ({marks})"
        with errors_of(self.path), transaction(self._connection) as cursor:
            cursor.executemany(insert, (to_row(*entry) for entry in done))
            cursor.executemany(
                "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT (phase, activity) "
                "DO UPDATE SET seconds = seconds + excluded.seconds",
                ((phase, *spent) for spent in _spent(entry[1] for entry in done)),
            )
            enter_reads(cursor, phase, (entry[1] for entry in done))
            payloads = [
                (phase, r.block_id, r.payload) for _, r, _, _ in done if r.payload
            ]
            cursor.executemany(
                "INSERT OR REPLACE INTO payloads VALUES (?, ?, ?)", payloads
            )
            enter_files(cursor, phase, (entry[1] for entry in done))
            enter_holes(cursor, phase, (entry[1] for entry in done))

    def states(self, phase: str, count: int) -> NDArray[np.uint8]:
        """Return the state of blocks 0 to ``count`` - 1, as in STATE_CODES.

        One byte a block; blocks that run just now count as pending.
        """
        states = np.zeros(count, np.uint8)
        for state in (BlockState.DONE, BlockState.FAILED):
            for ids in self._ids(phase, state):
                states[ids[ids < count]] = STATE_CODES[state]
        return states

    def pending(self, phase: str, candidates: ArrayLike) -> NDArray[np.int64]:
        """Return those candidates, in their order, that have no row yet.

        Parameters
        ----------
        phase
            Whose blocks.
        candidates
            Block ids, 1-D.
        """
        ids = np.asarray(candidates, np.int64)
        if not ids.size:
            return ids
        states = self.states(phase, int(ids.max()) + 1)
        pending: NDArray[np.int64] = ids[states[ids] == STATE_CODES[BlockState.PENDING]]
        return pending

    def column(self, phase: str, name: str, count: int) -> NDArray[np.int64]:
        """Return a whole-number field of the reports of blocks 0 to ``count`` - 1.

        Parameters
        ----------
        phase
            Whose blocks.
        name
            ``attempts``, ``digest`` or one of SUMMED.
        count
            Length of the result; 0 where a block is not done.

        Raises
        ------
        LedgerError
            If there is no such field.
        """
        if name not in _INTEGERS:
            message = f"a ledger has no column {name!r}; it has {sorted(_INTEGERS)}"
            raise LedgerError(message)
        values = np.zeros(count, np.int64)
        with errors_of(self.path):
            rows = self._connection.execute(
                f"SELECT block_id, {name} FROM blocks "
                "WHERE phase = ? AND state = ? AND block_id < ?",
                (phase, BlockState.DONE, count),
            )
            while some := rows.fetchmany(_ROWS):
                ids, found = np.array(some, np.int64).T
                values[ids] = found
        return values

    def payloads(self, phase: str) -> Iterator[tuple[int, bytes]]:
        """Yield the payload of each block that has one, by ascending id."""
        with errors_of(self.path):
            yield from self._connection.execute(
                "SELECT block_id, payload FROM payloads WHERE phase = ? "
                "ORDER BY block_id",
                (phase,),
            )

    def holes(self, phase: str) -> list[Hole]:
        """Return the holes that blocks found, by ascending id of the block."""
        with errors_of(self.path):
            return known_holes(self.path, self._connection, phase)

    def failures(self, phase: str) -> list[FailedBlock]:
        """Return the blocks given up, by ascending id."""
        with errors_of(self.path):
            rows = self._connection.execute(
                "SELECT block_id, attempts, error, traceback FROM blocks "
                "WHERE phase = ? AND state = ? ORDER BY block_id",
                (phase, BlockState.FAILED),
            )
            return [FailedBlock(*row) for row in rows]

    def notes(self, phase: str) -> dict[str, int]:
        """Return the ways in which blocks departed from the plan, with their numbers."""
        with errors_of(self.path):
            return counted_notes(self._connection, phase)

    def reset(self, phase: str, ids: Sequence[int] | None = None) -> None:
        """Make blocks pending again: all of a phase, or those given."""
        with errors_of(self.path), transaction(self._connection) as cursor:
            if ids is None:
                for table in (*_OF_BLOCKS, "spent"):
                    cursor.execute(f"DELETE FROM {table} WHERE phase = ?", (phase,))
                return
            for table in _OF_BLOCKS:
                forget(cursor, table, phase, ids)

    def summary(self, phase: str) -> PhaseSummary:
        """Return the sums over the blocks of a phase."""
        with errors_of(self.path):
            return PhaseSummary.of(self._connection, phase)

    def recent(self, phase: str, most: int) -> list[tuple[float, int]]:
        """Return when the last blocks done were entered, newest first, and their voxels."""
        with errors_of(self.path):
            return recent_blocks(self._connection, phase, most)

    def _ids(self, phase: str, state: BlockState) -> Iterator[NDArray[np.int64]]:
        with errors_of(self.path):
            rows = self._connection.execute(
                "SELECT block_id FROM blocks WHERE phase = ? AND state = ?",
                (phase, state),
            )
            while some := rows.fetchmany(_ROWS):
                yield np.array(some, np.int64)[:, 0]

    def _completed(self) -> Self:
        """Add the tables that a ledger of an earlier time lacks."""
        try:
            with errors_of(self.path), transaction(self._connection) as cursor:
                for statement in ADDED:
                    cursor.execute(statement)
        except BlocksegError:
            self.close()
            raise
        return self

    def _checked(self, **expected: str) -> Self:
        try:
            version = self.get("version")
            other = [key for key, value in expected.items() if self.get(key) != value]
        except LedgerError:
            self.close()
            raise
        problem = ""
        if version != VERSION:
            problem = (
                f"is of version {version}, this blockseg writes version {VERSION}; "
                "finish the run with the blockseg that began it, or start over"
            )
        elif other:
            problem = (
                "belongs to another run (of other settings, weights, source or "
                "output), or its run.json was changed; name this run's own with "
                "--ledger, put run.json back from a copy, or start over"
            )
        if problem:
            self.close()
            message = f"the ledger {self.path} {problem} with --overwrite"
            raise LedgerError(message)
        return self


def _spent(reports: Iterable[BlockReport]) -> Iterable[tuple[str, float]]:
    sums: dict[str, float] = {}
    for report in reports:
        for activity, seconds in report.seconds:
            sums[activity] = sums.get(activity, 0.0) + seconds
    return sums.items()
