"""Finding of a run's normalisation: what was asked for, and what the volume showed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from blockseg.normalization.background import Background

if TYPE_CHECKING:
    from blockseg.normalization.background_field import BackgroundField


@dataclass(frozen=True, slots=True)
class FieldSummary:
    """Summary of a background field, for a reader."""

    squares: int
    """Sampled squares that count as tissue."""

    left_out: int
    """Sampled squares that do not."""

    level: tuple[float, float]
    """Least and greatest b of the nodes, in grey levels."""

    sd: tuple[float, float]
    """Least and greatest s of the nodes, in grey levels."""

    nodes: int = 0
    """Nodes of the field; 0 in records of versions that did not count them."""

    filled: int = 0
    """Nodes without tissue around them, which take the values of the nearest."""

    @classmethod
    def of(cls, field: BackgroundField) -> FieldSummary:
        """Summarise a field."""
        return cls(
            field.squares,
            field.left_out,
            (min(field.level), max(field.level)),
            (min(field.sd), max(field.sd)),
            len(field.level),
            field.filled,
        )


@dataclass(frozen=True, slots=True)
class BackgroundFinding:
    """Origin of a run's offset and scale."""

    kind: Literal["auto", "published", "robust", "field", "given"]
    """Kind of the normalisation that was asked for."""

    estimate: Background | None = None
    """Level and noise SD of the background; None where nothing was estimated."""

    saturation: float = math.inf
    """Grey level from which a voxel is saturated; infinite for floats."""

    unreadable: tuple[tuple[str, str], ...] = ()
    """Samples that could not be read: the region (z, y, x), and the reason."""

    field: FieldSummary | None = None
    """Background as a field; None where one level and one SD serve."""

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        plain: dict[str, Any] = {"kind": self.kind}
        if self.estimate is None:
            return plain
        plain |= asdict(self.estimate)
        limit = self.saturation
        plain["saturation"] = limit if math.isfinite(limit) else None
        plain["unreadable"] = [list(sample) for sample in self.unreadable]
        if self.field is not None:
            low_high = {"level": list(self.field.level), "sd": list(self.field.sd)}
            plain["field"] = asdict(self.field) | low_high
        return plain


def finding_from(data: dict[str, Any]) -> BackgroundFinding:
    """Return a finding as it was before it was written as JSON values."""
    if "level" not in data:
        return BackgroundFinding(data["kind"])
    names = {field.name for field in fields(Background)} & data.keys()
    limit, field = data.get("saturation"), data.get("field")
    return BackgroundFinding(
        data["kind"],
        Background(**{name: data[name] for name in names}),
        math.inf if limit is None else limit,
        tuple((roi, reason) for roi, reason in data.get("unreadable") or ()),
        None
        if field is None
        else FieldSummary(
            field["squares"],
            field["left_out"],
            (field["level"][0], field["level"][1]),
            (field["sd"][0], field["sd"][1]),
            field.get("nodes", 0),
            field.get("filled", 0),
        ),
    )
