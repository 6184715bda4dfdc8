"""Findings of a verification: what is not as it should be, and whose it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blockseg.io.stores.location import Location


class Kind(StrEnum):
    """Kinds of findings."""

    RECORD = "record"
    LEDGER = "ledger"
    UNFINISHED = "unfinished"
    DAMAGED = "damaged"
    FOREIGN = "foreign"
    VOXELS = "voxels"
    LEVELS = "levels"
    STALE = "stale"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: Kind
    """Kind of it."""

    what: str
    """Description, in one line that names the file or the block."""

    part: str = ""
    """Name of the derived job that it belongs to; empty for the run itself."""

    phase: str = ""
    """Name of the pass that wrote it, or of the group of files; empty if none did."""

    block: int | None = None
    """Number of the block to do again; None if all of the pass, or none."""

    file: str = ""
    """File, below OUT; empty if it is none."""

    @property
    def line(self) -> str:
        """Return it for a human."""
        return f"{self.kind}: {self.part and self.part + ': '}{self.what}"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job of the output that was stopped, or of which blocks failed."""

    part: str
    """Name of the derived job; empty for the run itself."""

    done: int
    """Blocks of all its passes that are written."""

    failed: int
    """Blocks in quarantine."""

    blocks: int
    """All its blocks."""

    command: str
    """Command that resumes it; empty if it is not known."""

    @property
    def line(self) -> str:
        """Return it for a human."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {self.blocks} blocks are written{failed}"


@dataclass(frozen=True, slots=True)
class Verification:
    """Outcome of a verification."""

    out: Location
    """The output."""

    findings: tuple[Finding, ...]
    """All that is wrong; after a repair, all that is wrong still."""

    notes: tuple[str, ...] = ()
    """Remarks besides, a line each: on what nothing proves, and on files that are none of
    blockseg's."""

    files: int = 0
    """Files that were compared with the ledgers."""

    bytes: int = 0
    """Bytes that were read to compare files."""

    seconds: float = 0.0
    """Wall time of comparing files."""

    blocks: int = 0
    """Blocks whose voxels were decoded and compared."""

    repaired: tuple[str, ...] = ()
    """Steps of a repair, a line each."""

    unfinished: tuple[Unfinished, ...] = ()
    """Jobs that are to be resumed, the run itself first."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong and nothing is missing."""
        return not self.findings

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong with what is there, be it finished or not."""
        return all(one.kind is Kind.UNFINISHED for one in self.findings)

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        plain = asdict(self)
        state = {"sound": self.sound, "intact": self.intact}
        return {**state, **plain, "out": str(self.out)}
