"""Plan of ``--sparse``: what need not be inferred, and at what loss."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from blockseg.core.cubes import CubeMask, SkipCriteria
from blockseg.core.geometry import to_zyx
from blockseg.core.specs import ScoutSpec

_KEYS = {"threshold": "bound"}
"""Keys in JSON that are not the fields' names."""


@dataclass(frozen=True, slots=True)
class SparsePlan:
    """Findings of ``--sparse`` before the first block; reused on resume."""

    edge: int
    """Edge of the cubes that were looked at, in voxels."""

    cubes: int
    """Number of them in the volume."""

    seen: int = 0
    """Cubes of these, looked at before the first block."""

    inferred: int = 0
    """Cubes of these, inferred to see what they hold."""

    with_foreground: int = 0
    """Cubes of these, with any foreground."""

    threshold: float | None = None
    """Score up to which a tile is taken for empty; None where none is."""

    empty: float = 0.0
    """Share of the volume in such tiles, estimated."""

    computed: float = 1.0
    """Voxels that windows infer for each voxel of the volume, estimated."""

    lost: float = 0.0
    """Share of the foreground that is lost with what is skipped, estimated."""

    lost_at_most: float = 0.0
    """The same, with 95 % confidence."""

    specks: float = 0.0
    """Voxels that are lost in pieces too short to count as foreground, over the
    foreground, estimated."""

    level: int | None = None
    """Resolution level that tells tissue from what is outside; None where none does."""

    outside: float = 0.0
    """Share of the volume in cubes outside of the tissue."""

    tissue: CubeMask | None = None
    """Cubes that are, or may be, tissue; None if that is not known."""

    compared: int = 0
    """Cubes outside of the tissue that were compared with level 0."""

    untrusted: str = ""
    """Why no level tells tissue from what is outside although one seems to; empty if
    none does."""

    tile: int = 0
    """Edge of the tiles that are inferred or not, in voxels; 0 where whole cubes are, as
    in runs of earlier versions."""

    note: str = ""
    """Why everything is inferred; empty if it is not."""

    scout: ScoutSpec | None = None
    """Network that gives tiles their score; None where the path opening does, as in runs
    of earlier versions."""

    @property
    def criteria(self) -> SkipCriteria | None:
        """Criteria of what workers need not infer; None if everything is inferred."""
        if self.threshold is None and self.tissue is None:
            return None
        return SkipCriteria(
            self.edge,
            self.threshold,
            self.tissue,
            self.tile or self.edge,
            self.scout,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {_KEYS.get(name, name): value for name, value in asdict(self).items()}

    def summary_to_plain(self) -> dict[str, Any]:
        """Return the same without the mask of the tissue, which says nothing to a reader."""
        return {k: value for k, value in self.to_plain().items() if k != "tissue"}


def sparse_from(data: dict[str, Any] | None) -> SparsePlan | None:
    """Return a plan as it was before it was written as JSON values; None for none."""
    if data is None:
        return None
    names = {
        _KEYS.get(field.name, field.name): field.name for field in fields(SparsePlan)
    }
    values = {name: data[key] for key, name in names.items() if key in data}
    if values.get("tissue") is not None:
        tissue = values["tissue"]
        values["tissue"] = CubeMask(to_zyx(tissue["counts"]), tissue["bits"])
    if values.get("scout") is not None:
        values["scout"] = ScoutSpec(**values["scout"])
    return SparsePlan(**values)
