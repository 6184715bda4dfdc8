"""Manifest of a folder of picks: a row for each pick, as a value and as plain JSON."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.version import __version__
from blockseg.training.annotations.drafts import DRAFT, STATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from blockseg.core.space import Space, Vector

_TEXTS = ("rule", "reason", "source")
_LONGEST_NAME = 200  # which becomes that of a file
_KNOWN = {"name", "rank", "round", *_TEXTS, STATE, DRAFT, "minutes"}
_PLACES = ("start_{}", "size_{}", "image_start_{}", "centre_{}_um")
_KNOWN |= {place.format(axis) for place in _PLACES for axis in "zyx"}


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A pick: its position, the reason for it, and its measurements."""

    name: str
    """Name of its image and of its label."""

    rank: int
    """Number among the picks of its round, 1 the best."""

    round: int
    """Number of the call that picked it, from 1."""

    rule: str
    """Rule that picked it."""

    reason: str
    """Reason, in a line."""

    box: Roi
    """Voxels of the source."""

    source: str
    """Volume that it is cut from."""

    measures: Mapping[str, float | None]
    """Metrics, background, region and hardness by name, in the order of the columns;
    None where not known."""

    image_start: Zyx | None = None
    """First voxel of its image, which may begin before the box; None for a volume that
    was picked whole."""

    centre: Vector | None = None
    """Position of its centre in µm, where the voxel size is known."""

    draft: str = ""
    """Hash of the draft of its label; empty where there was none, or it is not known."""

    state: str = ""
    """``done`` or ``skipped``, as an annotator said; empty while neither."""

    minutes: float = 0.0
    """Minutes that annotators spent on it."""

    def kept(self, was: ManifestRow) -> ManifestRow:
        """Return the row with the annotators' entries of its earlier version."""
        return replace(self, state=was.state, minutes=was.minutes)

    def to_plain(self) -> dict[str, Any]:
        """Return the row as JSON values, by column."""
        places: dict[str, Any] = {}
        shown: list[tuple[str, Sequence[float | None]]] = [
            ("start_{}", self.box.start),
            ("size_{}", self.box.shape),
        ]
        if self.image_start is not None:
            shown.append(("image_start_{}", self.image_start))
            shown.append(("centre_{}_um", self.centre or (None, None, None)))
        for name, values in shown:
            places |= {name.format(a): v for a, v in zip("zyx", values, strict=True)}
        said = {STATE: self.state, "minutes": self.minutes, DRAFT: self.draft}
        return {
            "name": self.name,
            "rank": self.rank,
            "round": self.round,
            "rule": self.rule,
            "reason": self.reason,
            **places,
            **self.measures,
            "source": self.source,
            **{name: value for name, value in said.items() if value},
        }

    @classmethod
    def from_plain(cls, entry: Mapping[str, Any]) -> ManifestRow:
        """Return a row as it was before it was written.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it has no name or no place, or one that is none.
        """
        _require_types(entry)
        start, size = (to_zyx(_axes(entry, name)) for name in ("start_{}", "size_{}"))
        rule, reason, source = (entry.get(name, "") for name in _TEXTS)
        cut = "image_start_z" in entry
        known = entry.get("centre_z_um") is not None
        return cls(
            name=entry["name"],
            rank=entry.get("rank", 0),
            round=entry.get("round", 1),
            rule=rule,
            reason=reason,
            box=Roi(start, to_zyx(a + n for a, n in zip(start, size, strict=True))),
            source=source,
            measures={k: v for k, v in entry.items() if k not in _KNOWN},
            image_start=_axes(entry, "image_start_{}") if cut else None,
            centre=_axes(entry, "centre_{}_um") if known else None,
            draft=str(entry.get(DRAFT, "")),
            state=str(entry.get(STATE, "")),
            minutes=float(entry.get("minutes", 0.0)),
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """Source of all picks of a call."""

    source: str
    """Volume, or folder of volumes."""

    run: str | None = None
    """Output that measured it; None for volumes that are picked whole."""

    space: Space | None = None
    """Voxel size of the source; None for volumes that are picked whole."""

    def to_plain(self) -> dict[str, Any]:
        """Return the head of the manifest as JSON values."""
        head: dict[str, Any] = {"version": __version__, "source": self.source}
        if self.run is not None:
            head["run"] = self.run
        if self.space is not None:
            head["voxel_size"] = list(self.space.voxel_size)
            head["unit"] = self.space.unit
        return head


def _require_types(entry: Mapping[str, Any]) -> None:
    """Raise ValueError if a value is of another type than its column."""
    wrong = [
        name for name in ("name", *_TEXTS) if not isinstance(entry.get(name, ""), str)
    ]
    for name, value in entry.items():
        numbers = name.startswith(("start_", "size_", "image_start_"))
        if numbers or name in ("rank", "round"):
            fits = isinstance(value, int) and not isinstance(value, bool)
            wrong += [] if fits and abs(value) < 2**62 else [name]
        elif name.startswith("centre_"):
            fits = value is None or isinstance(value, int | float)
            wrong += [] if fits else [name]
    name = entry["name"]
    if not name or "/" in name or "\0" in name or len(name) > _LONGEST_NAME:
        wrong.append("name")
    if wrong:
        message = f"{wrong[0]} of a pick is {entry[wrong[0]]!r:.60}"
        raise ValueError(message)


def _axes(entry: Mapping[str, Any], name: str) -> Any:
    return tuple(entry[name.format(axis)] for axis in "zyx")


def manifest_csv(rows: Sequence[ManifestRow]) -> str:
    """Return rows as CSV; what a row has no value of is left empty."""
    text = io.StringIO()
    plain = [row.to_plain() for row in rows]
    names = list(dict.fromkeys(name for row in plain for name in row))
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in plain:
        writer.writerow({name: _said(value) for name, value in row.items()})
    return text.getvalue()


def _said(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.10g}"
    return value
