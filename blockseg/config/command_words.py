"""Settings as the words of a command line: only what is not the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from blockseg.config.declare import declared

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from _typeshed import DataclassInstance


def option_words(
    settings: type[DataclassInstance],
    values: Mapping[str, Any],
    leave: Collection[str] = (),
) -> Iterator[str]:
    """Yield flags and values, in the order of the declarations.

    Parameters
    ----------
    settings
        Class whose fields are the options.
    values
        Values by the fields' names, typed or as JSON has them; what is missing or None is
        left out, and so is what is the default.
    leave
        Fields to leave out anyway.
    """
    defaults = {field.name: field.default for field in fields(settings)}
    for name, said in declared(settings).items():
        value, default = values.get(name), defaults[name]
        plain = list(default) if isinstance(default, tuple) else default
        if name in leave or value is None or value in (default, plain, str(plain)):
            continue
        flag = said.flags[0] if said.flags else f"--{name.replace('_', '-')}"
        if said.metavar is None:
            yes, _, no = flag.partition("/")
            yield yes if value else no
        elif said.several:
            for one in value:
                yield from (flag, str(one))
        else:
            yield from (flag, _written(value))


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{item}" for name, item in value.items())
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
