"""Settings of a run from its record, to resume it without its command."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from blockseg.config.merging import read_settings
from blockseg.config.settings import EXECUTION, RunSettings
from blockseg.networks.shipped import SHIPPED

if TYPE_CHECKING:
    from blockseg.blockwise.record.record import RunRecord


def recorded_settings(
    record: RunRecord, given: RunSettings | None = None
) -> RunSettings:
    """Return the settings that a job was begun with.

    Parameters
    ----------
    record
        Of the job.
    given
        Settings of the user: those of execution that are not the default win over the
        recorded ones.

    Raises
    ------
    ConfigError
        If the record holds a value that is none.
    """
    names = {field.name.replace("_", "-") for field in fields(RunSettings)}
    layers = [
        {key: kept for key, kept in table.items() if key in names}
        for table in (record.request["settings"], _kept(record, given))
    ]
    layers.append({"weights": _weights(record), "mask": _mask(record)})
    if given is not None:
        layers.append(_changed(given))
    return read_settings(RunSettings, *layers)


def execution_settings(record: RunRecord, given: RunSettings | None) -> RunSettings:
    """Return the settings of execution that a derived job was last run with.

    Parameters
    ----------
    record
        Of the job.
    given
        As of :func:`recorded_settings`.
    """
    own = {field.name.replace("_", "-") for field in fields(RunSettings)}
    kept = {key: value for key, value in _kept(record, given).items() if key in own}
    return read_settings(RunSettings, kept, {} if given is None else _changed(given))


def _kept(record: RunRecord, given: RunSettings | None) -> dict[str, Any]:
    """Return the recorded execution without what the user's own words rule out."""
    kept = dict(record.execution)
    # Workers that somebody asks for now are not to be ignored for a serial run of before.
    if given is not None and given.scheduler is None:
        asked = _changed(given).keys() & {"workers", "cluster"}
        if asked and kept.get("scheduler") == "serial":
            del kept["scheduler"]
    return kept


def _changed(given: RunSettings) -> dict[str, Any]:
    defaults = {field.name: field.default for field in fields(RunSettings)}
    return {
        name: getattr(given, name)
        for name in EXECUTION
        if getattr(given, name) != defaults[name]
    }


def _weights(record: RunRecord) -> str | None:
    """Return the weights of a run: those that ship, or where others lay."""
    for shipped in SHIPPED:
        if shipped.sha256 == record.request["weights"]:
            return str(shipped.path)
    path = record.facts.get("weights")
    return None if path is None else str(path)


def _mask(record: RunRecord) -> str | None:
    mask = record.request["mask"]
    return None if mask is None else str(mask["spec"]["uri"])
