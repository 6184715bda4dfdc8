"""Settings of ``blockseg propose-annotations``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from blockseg.config import values
from blockseg.config.merging import merged
from blockseg.core.errors import ConfigError
from blockseg.dhpr.selection.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from blockseg.core.geometry import Zyx

__all__ = ["ProposeSettings", "propose_settings_from"]

_OF_LABELS = frozenset({"allow_labels", "label_channel", "label_map"})
_EXECUTION = frozenset({"update", "allow_partial"})


@dataclass(frozen=True, slots=True)
class ProposeSettings:
    """Which blocks to pick, and what to write of them.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    count: int = 300
    """Picks; all that there are if fewer."""

    rule: str = "dhpr"
    """One of :data:`blockseg.dhpr.selection.rules.RULES`."""

    seed: int = 0
    """Seed of what is drawn at random."""

    exclude: tuple[str, ...] = ()
    """Folders of earlier picks to keep away from."""

    regions: str | None = None
    """Label volume of the brain's regions, which share the picks out."""

    mask: str | None = None
    """Volume outside of which (0) nothing is picked."""

    pick_shape: Zyx | None = None
    """Voxels of a pick along (z, y, x); from the volume and the count if not given."""

    margin: int = 0
    """Voxels of context around a pick, which are in its image and do not count."""

    ignore_uncertain: bool = False
    """Whether drafts say nothing where the network is not sure."""

    update: bool = False
    """Add to the picks of a folder, away from them."""

    allow_partial: bool = False
    """Pick from what is there of a run that is not complete."""

    label_map: Mapping[int | str, int] | None = None
    """Meaning of a folder's labels: 0 background, 1 neurite, 255 ignored."""

    label_channel: int | None = None
    """Index on the channel axis of labels, where it is longer than 1."""

    allow_labels: bool = False
    """Take labels that are not like neurites without a word."""

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            message = f"--rule {self.rule!r}: choose one of {', '.join(RULES)}"
            raise ConfigError(message)
        for name, least in (("count", 1), ("margin", 0), ("seed", 0)):
            if getattr(self, name) < least:
                message = f"--{name} {getattr(self, name)}: at least {least}"
                raise ConfigError(message)
        if self.pick_shape is not None and min(self.pick_shape) < 1:
            message = f"--pick-shape {self.pick_shape}: at least one voxel on each axis"
            raise ConfigError(message)

    def request(self) -> dict[str, Any]:
        """Return what decides the picks of a brain, as plain JSON values."""
        others = _EXECUTION | _OF_LABELS
        values = {k: v for k, v in asdict(self).items() if k not in others}
        return {
            name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }


def _folders(name: str, value: Any) -> tuple[str, ...]:
    several = value if isinstance(value, list | tuple) else (value,)
    return tuple(values.parse_text(name, str(one)) for one in several)


_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "count": values.parse_int(1),
    "rule": values.parse_text,
    "seed": values.parse_int(0),
    "exclude": _folders,
    "regions": values.parse_text,
    "mask": values.parse_text,
    "pick_shape": values.parse_shape,
    "margin": values.parse_int(0),
    "ignore_uncertain": values.parse_switch,
    "update": values.parse_switch,
    "allow_partial": values.parse_switch,
    "allow_labels": values.parse_switch,
    "label_channel": values.parse_int(0),
    "label_map": values.parse_label_map,
}


def propose_settings_from(given: Mapping[str, Any]) -> ProposeSettings:
    """Return raw values as settings; see :func:`~blockseg.config.merging.merged`."""
    return ProposeSettings(**merged((given,), _PARSERS, ProposeSettings))
