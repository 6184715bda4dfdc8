"""Values that ``run.json`` keeps of a capability, each with its form as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx


class Recordable(Protocol):
    """Decisions or facts of a capability."""

    def to_plain(self) -> dict[str, Any]:
        """Return them as JSON values; decisions are a part of the run's fingerprint."""
        ...


@dataclass(frozen=True, slots=True)
class BlockDecision:
    """The one decision of a task that chooses nothing but its blocks."""

    block: Zyx
    """Voxels of a block."""

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"block": list(self.block)}
