"""Request of a job: what decides its result, and what differs between two."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from blockseg.config.settings import RunSettings
from blockseg.core.geometry import Roi
from blockseg.core.specs import Normalization, VolumeSpec
from blockseg.io.source_files.fingerprint import differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from blockseg.blockwise.sources.inputs import Source

READING = frozenset(
    {
        *("level", "dataset", "channel", "timepoint", "voxel_size", "roi", "block"),
        *("downsample", "zarr_format", "codec"),
    }
)
"""Settings that decide what a task without a network reads, and how OUT is stored."""

_DEFAULTS_SINCE = [
    ["precision", "float32", "auto"],
    ["normalization", "robust", "auto"],
]
# Defaults of earlier versions; what was decided then stands in the record.
_NOT_CHOSEN = {
    field.name: list(field.default)
    if isinstance(field.default, tuple)
    else field.default
    for field in fields(VolumeSpec)
    if field.default is not MISSING
}
# What else of a VolumeSpec tells two volumes of one container apart, and how it is called.
_CHOSEN = {
    "level": "level",
    "channel": "channel",
    "timepoint": "time point",
    "axes": "axes",
    "stored_as": "stored as",
    "allow_gaps": "gaps allowed:",
    "downsample": "downsampled by",
    "format": "format",
}


@dataclass(frozen=True, slots=True)
class Request:
    """Values that decide the result of a job."""

    settings: Mapping[str, Any]
    """Settings that decide it, by the names of their options, as plain JSON values."""

    source: Source | None = None
    """Volume that is read; None if none is."""

    mask: Source | None = None
    """Volume that restricts it."""

    weights: str | None = None
    """SHA-256 of the network's weights."""

    @property
    def sources(self) -> dict[str, Source]:
        """Volumes that are read: ``source``, and ``mask`` if there is one."""
        named = {"source": self.source, "mask": self.mask}
        return {name: one for name, one in named.items() if one is not None}

    def to_plain(self) -> dict[str, Any]:
        """Return it as it is kept in ``run.json``, source and mask by their content."""
        return {
            "source": None if self.source is None else _source(self.source),
            "mask": None if self.mask is None else _source(self.mask),
            "weights": self.weights,
            "settings": dict(self.settings),
        }


def deciding(
    settings: RunSettings, names: Iterable[str], **others: Any
) -> dict[str, Any]:
    """Return settings that decide a result, as plain JSON values, in order of their names.

    Parameters
    ----------
    settings, names
        Of the user, and which of them decide.
    **others
        What decides besides. Where two capabilities have the same settings, one of these
        tells their outputs apart.
    """
    chosen = {name: getattr(settings, name) for name in sorted(names)} | others
    return {name.replace("_", "-"): _plain(value) for name, value in chosen.items()}


def what_differs(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Name what differs between two requests, for a user to read.

    Files that hold voxels aside: what of them may differ, :mod:`blockseg.blockwise.sources.watch` says.
    """
    found = which_settings_differ(old["settings"], _known_to(old, new["settings"]))
    if old["weights"] != new["weights"]:
        found.append(
            f"weights were {str(old['weights'])[:12]}…, now {str(new['weights'])[:12]}…"
        )
    for what in ("source", "mask"):
        was, now_ = old[what], new[what]
        if was == now_:
            continue
        if was is None or now_ is None:
            found.append(f"--{what} was {'not ' if was is None else ''}given")
        elif _NOT_CHOSEN | was["spec"] != _NOT_CHOSEN | now_["spec"]:
            before, after = _told_apart(
                _NOT_CHOSEN | was["spec"], _NOT_CHOSEN | now_["spec"]
            )
            found.append(f"the {what} was {before}, now {after}")
        else:
            changed = _changed(was["fingerprint"], now_["fingerprint"])
            found += [f"the {what} changed: {line}" for line in changed]
    return found


def _known_to(old: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings without those that came after ``old`` and have their default."""
    defaults = {field.name: field.default for field in fields(RunSettings)}
    return {
        name: value
        for name, value in settings.items()
        if name in old["settings"]
        or value != _plain(defaults.get(name.replace("-", "_"), MISSING))
    }


def which_settings_differ(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Name the options that differ, for a user to read."""
    return [
        f"--{name} was {_said(old.get(name))}, now {_said(new.get(name))}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
        and [name, old.get(name), new.get(name)] not in _DEFAULTS_SINCE
    ]


def _changed(was: dict[str, Any], now_: dict[str, Any]) -> list[str]:
    try:
        return differences(was, now_, data=False)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return ["its fingerprint in run.json is damaged"]  # of whatever kind that was


def _told_apart(was: dict[str, Any], now_: dict[str, Any]) -> tuple[str, str]:
    """Name two volumes by all that tells them apart."""
    if was["uri"] != now_["uri"] and was["path"] == now_["path"]:
        return str(was["uri"]), str(now_["uri"])
    names = [name for name in _CHOSEN if was.get(name) != now_.get(name)]
    return _named(was, names), _named(now_, names)


def _named(spec: dict[str, Any], names: list[str]) -> str:
    place = f"{spec['uri']}/{spec['path']}" if spec["path"] else str(spec["uri"])
    said = [
        f"{_CHOSEN[name]} {_said(spec[name])}" for name in names if spec.get(name) != ""
    ]
    return " ".join([place, *said])


def _source(source: Source) -> dict[str, Any]:
    return {
        "spec": asdict(source.spec) | {"downsample": list(source.spec.downsample)},
        "voxel_size": list(source.space.voxel_size),
        "unit": source.space.unit,
        "translation": list(source.space.translation),
        "fingerprint": source.fingerprint,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Roi | Normalization):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _said(value: Any) -> str:
    if value is None:
        return "auto"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
