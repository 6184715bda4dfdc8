"""Provenance of a derived output: which state of a run it was made from, and how."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Parameter: TypeAlias = "str | int | float | bool | None"
"""Value of a parameter, as JSON keeps it."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """State of a run that a derived image, table or file was made from, and how.

    It is written to the metadata of what was made, and compared by whoever reads that.
    """

    run: str
    """Fingerprint of the run: request and decisions."""

    content: str
    """Digest of the voxels that the run wrote, block by block."""

    threshold: int
    """Smallest probability byte that was foreground."""

    missing: int = 0
    """Blocks that the run had not written, and that were taken for background."""

    parameters: tuple[tuple[str, Parameter], ...] = ()
    """Parameters that decided the result besides: options by their names, and fingerprints of other
    derived jobs that were read."""

    @classmethod
    def from_plain(cls, kept: object) -> Provenance | None:
        """Return a value from what :meth:`to_plain` gave; None if it is anything else."""
        if not isinstance(kept, dict):
            return None
        values = [kept.get(name) for name in ("run", "content", "threshold", "missing")]
        run, content, threshold, missing = values
        parameters = kept.get("parameters", {})
        if not (
            isinstance(run, str)
            and isinstance(content, str)
            and isinstance(threshold, int)
            and isinstance(missing, int)
            and isinstance(parameters, dict)
        ):
            return None
        return cls(run, content, threshold, missing, tuple(parameters.items()))

    def to_plain(self) -> Mapping[str, object]:
        """Return it as JSON values."""
        return {
            "run": self.run,
            "content": self.content,
            "threshold": self.threshold,
            "missing": self.missing,
            "parameters": dict(self.parameters),
        }

    def to_text(self) -> str:
        """Return it as one line of JSON, for files that have room for a comment."""
        return json.dumps(self.to_plain(), sort_keys=True)

    def same_run(self, other: Provenance) -> bool:
        """Say whether both were made from the same voxels of the same run."""
        return (self.run, self.content) == (other.run, other.content)
