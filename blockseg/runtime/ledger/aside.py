"""Blocks set aside in the ledger, while one of the images that they wrote is remade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.blocks import BlockState
from blockseg.runtime.ledger.file import OpenRows, errors_of, forget, transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

_BEGUN = "begun_anew"
_TABLES = ("blocks", "files", "holes")
_FIRST = "computed, skipped, read_bytes, decoded_bytes, nonfinite, note, attempts"


class AsideRows(OpenRows):
    """The rows of one open ledger that wait for their image."""

    @property
    def begun(self) -> str:
        """Command that continues; empty if nothing is set aside."""
        with errors_of(self._path):
            row = self._connection.execute(
                "SELECT value FROM meta WHERE key = ?", (_BEGUN,)
            ).fetchone()
        return "" if row is None else str(row[0])

    def begin(
        self,
        phase: str,
        command: str,
        within: str,
        coarse: Iterable[str],
        meta: Mapping[str, str],
        *,
        payloads: bool,
    ) -> None:
        """Make the blocks of a pass pending, all in one step, and keep what they were.

        Blocks that wrote nothing but zeros stay as they are.

        Parameters
        ----------
        phase
            The pass.
        command
            Command that goes on with it.
        within
            Folder of the image that is made anew, in the output.
        coarse
            Passes that made its coarse levels; they are forgotten.
        meta
            Other values of the run, such as its new fingerprint.
        payloads
            Whether what blocks left besides images stays, where they stay.
        """
        aside = _aside(phase)
        with errors_of(self._path), transaction(self._connection) as cursor:
            cursor.execute(
                "DELETE FROM files WHERE phase = ? AND path GLOB ?",
                (phase, f"{within}/*"),
            )
            cursor.execute(
                "UPDATE blocks SET phase = ? WHERE phase = ? AND nonzero > 0",
                (aside, phase),
            )
            waiting = "block_id IN (SELECT block_id FROM blocks WHERE phase = ?)"
            for table in ("files", "holes"):
                cursor.execute(
                    f"UPDATE {table} SET phase = ? WHERE phase = ? AND {waiting}",
                    (aside, phase, aside),
                )
            if payloads:
                cursor.execute(
                    f"DELETE FROM payloads WHERE phase = ? AND {waiting}",
                    (phase, aside),
                )
            else:
                cursor.execute("DELETE FROM payloads WHERE phase = ?", (phase,))
            for name in coarse:
                for table in ("blocks", "payloads", "files", "spent"):
                    cursor.execute(f"DELETE FROM {table} WHERE phase = ?", (name,))
            cursor.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [(_BEGUN, command), *meta.items()],
            )

    def blocks(self, phase: str) -> NDArray[np.int64]:
        """Return the blocks of a pass that are set aside, by ascending id."""
        with errors_of(self._path):
            rows = self._connection.execute(
                "SELECT block_id FROM blocks WHERE phase = ? ORDER BY block_id",
                (_aside(phase),),
            )
            return np.fromiter((row[0] for row in rows), np.int64)

    def finish(self, phase: str) -> list[int]:
        """Join what blocks were before with what they are now, all in one step.

        Returns
        -------
        list of int
            Blocks whose voxels are not those that were written: these are pending again.
        """
        aside = _aside(phase)
        with errors_of(self._path), transaction(self._connection) as cursor:
            other = cursor.execute(
                "SELECT now.block_id FROM blocks AS now JOIN blocks AS before "
                "ON before.phase = ? AND before.block_id = now.block_id "
                "WHERE now.phase = ? AND now.state = ? AND now.digest != before.digest",
                (aside, phase, BlockState.DONE),
            ).fetchall()
            wrong = sorted(int(block) for (block,) in other)
            for table in (*_TABLES, "payloads"):
                forget(cursor, table, phase, wrong)
            cursor.execute(
                f"UPDATE blocks SET ({_FIRST}) = (SELECT {_FIRST} FROM blocks AS before "
                "WHERE before.phase = ? AND before.block_id = blocks.block_id) "
                "WHERE phase = ? AND state = ? AND EXISTS (SELECT 1 FROM blocks AS "
                "before WHERE before.phase = ? AND before.block_id = blocks.block_id)",
                (aside, phase, BlockState.DONE, aside),
            )
            done = "block_id IN (SELECT block_id FROM blocks WHERE phase = ? AND state = ?)"
            for table in ("files", "holes"):
                cursor.execute(
                    f"UPDATE {table} SET phase = ? WHERE phase = ? AND {done}",
                    (phase, aside, phase, BlockState.DONE),
                )
            for table in _TABLES:
                cursor.execute(f"DELETE FROM {table} WHERE phase = ?", (aside,))
            cursor.execute("DELETE FROM meta WHERE key = ?", (_BEGUN,))
        return wrong


def _aside(phase: str) -> str:
    return f"{phase}-before"
