"""Files of OUT that differ from what the ledger remembers of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blockseg.io.output.written_files import damaged_files
from blockseg.runtime.events import Message

if TYPE_CHECKING:
    from blockseg.blockwise.events import OnJobEvent
    from blockseg.io.output.written_files import DamagedFile
    from blockseg.io.stores.location import Location
    from blockseg.runtime.ledger.ledger import Ledger

METADATA = "metadata"
"""Name under which the ledger keeps the files that describe arrays and groups."""

_SHOWN = 3
_SECONDS_BETWEEN = 15.0


@dataclass(slots=True)
class Damage:
    """Files that are not as they were written, and the blocks that wrote them."""

    files: list[DamagedFile] = field(default_factory=list)
    """Damaged files by phase and block."""

    phases: list[str] = field(default_factory=list)
    """Name of the phase of each of these files."""

    blocks: dict[str, set[int]] = field(default_factory=dict)
    """Blocks to do again, by the name of their phase."""

    looked_at: int = 0
    """Files that were compared."""

    def described(self) -> str:
        """Return the damaged files, the first few of many, as part of a sentence."""
        named = [f"{file.path} {file.what}" for file in self.files[:_SHOWN]]
        more = len(self.files) - len(named)
        return ", ".join([*named, f"and {more} more"] if more else named)

    def counted(self) -> str:
        """Return the number of damaged files as the beginning of a sentence."""
        one = len(self.files) == 1
        return f"{len(self.files)} file{'' if one else 's'} of OUT {'is' if one else 'are'}"


def find_damage(
    out: Location,
    ledger: Ledger,
    on_event: OnJobEvent,
    *,
    contents: bool = False,
    every: int = 1,
) -> Damage:
    """Compare every file that the ledger knows with what lies on disk.

    Parameters
    ----------
    out
        The output.
    ledger
        Of its run.
    on_event
        Told from time to time how far it is, where that takes long.
    contents
        Whether to read the files too; otherwise their sizes are compared.
    every
        Of so many blocks in a row those of the first alone are looked at.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    """
    found = Damage()
    last = time.monotonic()

    def told(count: int) -> None:
        nonlocal last
        found.looked_at += count
        if time.monotonic() - last >= _SECONDS_BETWEEN:
            last = time.monotonic()
            on_event(Message(f"compared {found.looked_at} files of OUT so far"))

    for name in ledger.written.phases():
        for damaged in damaged_files(
            out, ledger.written.of(name, every), contents=contents, on_progress=told
        ):
            found.files.append(damaged)
            found.phases.append(name)
            found.blocks.setdefault(name, set()).add(damaged.block_id)
    return found
