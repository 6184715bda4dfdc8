"""``train.json``: request, decisions and starts of a training."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.record.record import now, session
from blockseg.blockwise.record.request import which_settings_differ
from blockseg.config.train_settings import TRAIN_EXECUTION, TrainSettings
from blockseg.config.values import parse_normalization
from blockseg.core.errors import BlocksegError, LedgerError
from blockseg.core.geometry import to_zyx
from blockseg.core.specs import Normalization
from blockseg.core.untrusted.files import RECORD_BYTES, read_text
from blockseg.core.untrusted.json_text import parse_json, shortened
from blockseg.core.version import __version__
from blockseg.io.output.atomic_files import replace_file
from blockseg.networks.trained import Trained
from blockseg.networks.weights_info import WeightsInfo
from blockseg.training.annotations.labels import OTHERS
from blockseg.training.data.data import SourceNote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FORMAT = 1

DECIDING = tuple(
    field.name for field in fields(TrainSettings) if field.name not in TRAIN_EXECUTION
)
"""Settings that decide the result: a resumed training has the same."""

# What trainings did before there was a setting for it.
_BEFORE = {"patience-from": 0}

# What a user may leave open, in the record's order.
_OPEN = (
    *("network", "width", "rate", "frozen_share", "steps", "gain", "clip"),
    "precision",
)


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Everything that determines the result of a training."""

    settings: TrainSettings
    """Settings that the user asked for."""

    init: str | None
    """SHA-256 of the weights that it starts from, in hexadecimal."""

    data: tuple[SourceNote, ...]
    """Every volume and kind of synthetic brains that it reads."""

    def differences(self, other: TrainRequest) -> list[str]:
        """Return how another request differs from this earlier one, a line each."""
        found = which_settings_differ(
            _plain_settings(self.settings, DECIDING),
            _plain_settings(other.settings, DECIDING),
        )
        if self.init != other.init:
            found.append(
                f"the weights of --init were {str(self.init)[:12]}…, now "
                f"{str(other.init)[:12]}…"
            )
        before, after = _by_name(self.data), _by_name(other.data)
        if before.keys() == after.keys() and list(before) != list(after):
            found.append(
                f"DATA was given in another order: {', '.join(before)}, which --shares "
                "and the held-out parts go by"
            )
        for name in sorted({*before, *after}):
            if name not in before or name not in after:
                found.append(f"DATA {name} was {'' if name in before else 'not '}there")
            elif before[name] != after[name]:
                found.append(
                    f"DATA {name} changed: {_change(before[name], after[name])}"
                )
        return found


@dataclass(frozen=True, slots=True)
class TrainFacts:
    """Facts for a reader of the record."""

    network: WeightsInfo
    """Header of the weights."""

    parameters: int
    """Trainable parameters."""

    decided: TrainSettings
    """Settings, with those decided that the user left open."""

    machine: Mapping[str, str | int]
    """The machine of the last start."""


@dataclass(frozen=True, slots=True)
class TrainSession:
    """One start of a training."""

    command: str
    """The command line, as typed."""

    started: str
    """Time, UTC."""

    host: str
    """Name of the machine."""

    execution: Mapping[str, str | int | None]
    """Settings that the next start may change, as users write their names."""

    ended: str | None = None
    """Time, UTC; None where it was killed."""

    outcome: str | None = None
    """How it ended, in one line."""

    @classmethod
    def begun(cls, settings: TrainSettings, command: str) -> TrainSession:
        """Return a start at the present time."""
        execution = _plain_settings(settings, sorted(TRAIN_EXECUTION))
        return cls(**session(command), execution=execution)


@dataclass(frozen=True, slots=True)
class TrainRecord:
    """The content of ``train.json``."""

    request: TrainRequest
    """Everything that determines the result."""

    facts: TrainFacts
    """Facts for a reader."""

    sessions: tuple[TrainSession, ...]
    """Every start, the last one last."""

    def ended(self, outcome: str) -> TrainRecord:
        """Return the record after its last session ended."""
        *before, last = self.sessions
        last = replace(last, ended=now(), outcome=outcome)
        return replace(self, sessions=(*before, last))

    def save(self, path: Path) -> None:
        """Write the record, all or nothing.

        Raises
        ------
        NoSpaceError, VolumeError
            As :func:`~blockseg.io.output.atomic_files.replace_file`.
        """
        facts = self.facts
        plain = {
            "format": _FORMAT,
            "request": {
                "settings": _plain_settings(self.request.settings, DECIDING),
                "init": self.request.init,
                "data": [asdict(note) for note in self.request.data],
            },
            "facts": {
                "network": asdict(facts.network),
                "parameters": facts.parameters,
                "decided": _plain_settings(facts.decided, _OPEN),
                "machine": facts.machine,
            },
            "version": __version__,
            "sessions": [_plain_session(start) for start in self.sessions],
        }
        replace_file(path, (json.dumps(plain, indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> TrainRecord:
        """Read a record.

        Raises
        ------
        LedgerError
            If the file is damaged or of another version.
        """
        try:
            data = parse_json(read_text(path, RECORD_BYTES))
        except (ValueError, OSError) as error:
            raise LedgerError(_unreadable(path, error)) from error
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            message = (
                f"{path} was written by another version of blockseg; finish "
                "with that one, or start over with --overwrite"
            )
            raise LedgerError(message)
        try:
            request, facts = data["request"], data["facts"]
            return cls(
                TrainRequest(
                    _settings({**_BEFORE, **request["settings"]}),
                    request["init"],
                    tuple(_note(note) for note in request["data"]),
                ),
                TrainFacts(
                    _info(facts["network"]),
                    facts["parameters"],
                    _settings(facts["decided"]),
                    facts["machine"],
                ),
                tuple(TrainSession(**start) for start in data["sessions"]),
            )
        except (
            AttributeError,
            BlocksegError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:
            raise LedgerError(_unreadable(path, error)) from error


def _info(kept: dict[str, Any]) -> WeightsInfo:
    """Return the header that weights will have; earlier versions kept no ranges."""
    ranges = kept.get("trained")
    trained = None if ranges is None else Trained(**ranges)
    return WeightsInfo(**{**kept, "clip": tuple(kept["clip"]), "trained": trained})


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path} cannot be read ({shortened(error)}); --overwrite starts over"


def _plain_session(start: TrainSession) -> dict[str, Any]:
    plain = asdict(start)
    for name in ("ended", "outcome"):
        if plain[name] is None:  # it is not over, or was killed
            del plain[name]
    return plain


def _plain_settings(settings: TrainSettings, names: Sequence[str]) -> dict[str, Any]:
    return {name.replace("_", "-"): _plain(getattr(settings, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, Normalization):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _settings(plain: dict[str, Any]) -> TrainSettings:
    values = {name.replace("-", "_"): _value(item) for name, item in plain.items()}
    if "normalization" in values:
        text = values["normalization"]
        values["normalization"] = parse_normalization("normalization", text)
    return TrainSettings(**values)


def _value(plain: Any) -> Any:
    if isinstance(plain, dict):  # a label map
        return {k if k == OTHERS else int(k): meaning for k, meaning in plain.items()}
    return tuple(plain) if isinstance(plain, list) else plain


def _note(plain: dict[str, Any]) -> SourceNote:
    return SourceNote(**{**plain, "shape": to_zyx(plain["shape"])})


def _by_name(notes: tuple[SourceNote, ...]) -> dict[str, SourceNote]:
    """Return the facts of each volume; repeated names get a number."""
    named: dict[str, SourceNote] = {}
    seen: Counter[str] = Counter()
    for note in notes:
        seen[note.name] += 1
        count = seen[note.name]
        named[note.name if count == 1 else f"{note.name} ({count})"] = note
    return named


def _change(before: SourceNote, after: SourceNote) -> str:
    """Return the first thing that changed in a source."""
    pairs = zip(asdict(before).items(), asdict(after).values(), strict=True)
    name, was, is_ = next((k, _plain(a), _plain(b)) for (k, a), b in pairs if a != b)
    return f"{name.replace('_', ' ')} was {was}, now {is_}"
