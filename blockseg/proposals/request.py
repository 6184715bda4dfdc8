"""Requests for picks: everything that determines them, kept in their folder."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from blockseg.blockwise.outputs import absolute
from blockseg.config.declare import option_words
from blockseg.core.version import __version__

if TYPE_CHECKING:
    from blockseg.config.propose_settings import ProposeSettings

_OF_BRAINS = (
    "count", "rule", "seed", "exclude", "regions", "mask", "pick_shape", "margin",
    "ignore_uncertain",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BrainRequest:
    """Request for picks of a measured brain."""

    settings: ProposeSettings
    """Settings; only those that determine the picks count."""

    run: str
    """Fingerprint of the run that measured it."""

    blocks: int
    """Blocks of the run that are done."""

    excluded: str | None = None
    """Digest of the names of the picks to keep away from; None if there are none."""

    def to_plain(self) -> dict[str, Any]:
        """Return the request as JSON values."""
        values = {name: getattr(self.settings, name) for name in _OF_BRAINS}
        values["count"] = self.settings.picks
        if self.settings.preset == "day" and self.settings.pick_shape is None:
            values["preset"] = "day"  # what was before presets had the published one's
        return {
            **{name.replace("_", "-"): _listed(v) for name, v in values.items()},
            "excluded": self.excluded,
            "run": self.run,
            "blocks": self.blocks,
            "version": __version__,
        }


@dataclass(frozen=True, slots=True)
class LabelledRequest:
    """Request for picks of labelled volumes."""

    settings: ProposeSettings
    """Settings, of which count and label map decide the picks."""

    data: str
    """Folder of the volumes."""

    names: tuple[str, ...]
    """Names of the volumes."""

    def to_plain(self) -> dict[str, Any]:
        """Return the request as JSON values."""
        settings = self.settings
        values: dict[str, Any] = {
            "rule": settings.rule,
            "count": settings.picks,
            "data": self.data,
            "names": list(self.names),
            "version": __version__,
        }
        if settings.label_map:
            values["label-map"] = {str(k): v for k, v in settings.label_map.items()}
        return values


PicksRequest: TypeAlias = BrainRequest | LabelledRequest


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def command_again(source: str, settings: ProposeSettings) -> str:
    """Return the command of a call, with absolute paths and every option.

    Parameters
    ----------
    source
        What was picked from, an absolute path.
    settings
        Settings of the picks; ``update`` is left out, which only says how an earlier
        folder is met.
    """
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    for name in ("regions", "mask"):
        if values[name] is not None:
            values[name] = str(absolute(values[name]))
    values["exclude"] = tuple(str(absolute(name)) for name in settings.exclude)
    options = option_words(type(settings), values, {"update"})
    words = ["blockseg", "propose-annotations", source, "-o", "PICKS", *options]
    return shlex.join(words)
