"""Merging of settings laid over each other, each read with its own reader."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from _typeshed import DataclassInstance


def merged(
    layers: Sequence[Mapping[str, Any]],
    parsers: Mapping[str, Callable[[str, Any], Any]],
    settings: type[DataclassInstance],
) -> dict[str, Any]:
    """Return the values that ``layers`` set, the later over the earlier, read.

    Parameters
    ----------
    layers
        Mappings as read from YAML or the command line; '-' and '_' in keys are the
        same; a value of None or ``auto`` leaves the choice to blockseg.
    parsers
        The reader of each setting, by its name in Python.
    settings
        The dataclass that they are for, whose defaults say what ``auto`` means.

    Raises
    ------
    ConfigError
        If a key is unknown (names the nearest known one) or a value is out of range.
    """
    raw: dict[str, Any] = {}
    defaults = {field.name: field.default for field in fields(settings)}
    for layer in layers:
        for key, value in layer.items():
            raw[_known(str(key), parsers)] = value
    return {
        name: parsers[name](name.replace("_", "-"), value)
        for name, value in raw.items()
        if not _is_automatic(value, defaults[name])
    }


def _is_automatic(value: Any, default: Any) -> bool:
    return value is None or (value == "auto" and default != "auto")


def _known(key: str, parsers: Mapping[str, Any]) -> str:
    name = key.replace("-", "_")
    if name in parsers:
        return name
    near = difflib.get_close_matches(name, parsers, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0].replace('_', '-')}'?" if near else ""
    message = f"unknown setting '{key}'{hint}"
    raise ConfigError(message)
