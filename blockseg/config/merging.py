"""Settings read from layers of raw values, each value with its own reader."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from blockseg.config.declare import readers
from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed import DataclassInstance

_Settings = TypeVar("_Settings", bound="DataclassInstance")


def read_settings(
    kind: type[_Settings], *layers: Mapping[str, Any], automatic: bool = True
) -> _Settings:
    """Return the settings that ``layers`` say, the later over the earlier.

    Parameters
    ----------
    kind
        Dataclass of options.
    *layers
        Mappings as read from YAML or the command line; '-' and '_' in keys are the
        same; a value of None leaves the default.
    automatic
        Whether ``auto`` does, too, where it is no value of its own.

    Raises
    ------
    ConfigError
        If a key is unknown (names the nearest known one) or a value is out of range.
    """
    read = readers(kind)
    raw = {
        _known(str(key), read): value
        for layer in layers
        for key, value in layer.items()
    }
    own = {item.name for item in fields(kind) if item.default == "auto"}
    return kind(
        **{
            name: read[name](name.replace("_", "-"), value)
            for name, value in raw.items()
            if value is not None
            and not (automatic and value == "auto" and name not in own)
        }
    )


def _known(key: str, names: Iterable[str]) -> str:
    name = key.replace("-", "_")
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0].replace('_', '-')}'?" if near else ""
    message = f"unknown setting '{key}'{hint}"
    raise ConfigError(message)
