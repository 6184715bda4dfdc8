"""The declaration of one option: how it is read, and what the help says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from _typeshed import DataclassInstance

_KEY = "option"
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class Declared:
    """All that is said of an option besides its name, type and default."""

    reader: Callable[[str, Any], Any]
    """Reader of the values that YAML, Python and the command line give."""

    help: str
    """The line of ``--help`` and of the reference."""

    metavar: str | None
    """Stands for the value in ``--help``; None is a switch without a value."""

    flags: tuple[str, ...]
    """Names on the command line; made from the field's if empty."""

    unit: str
    """Unit of the value; empty where it has none."""

    also: tuple[str, ...]
    """Commands that take it beside those whose settings these are."""

    several: bool = False
    """Whether it may be given several times."""

    basic: bool = False
    """Whether it stands in the short help of a command that has many."""


def option(
    default: Any,
    reader: Callable[[str, Any], Any],
    help: str,
    metavar: str | None = None,
    flags: tuple[str, ...] = (),
    unit: str = "",
    also: tuple[str, ...] = (),
    *,
    several: bool = False,
    basic: bool = False,
) -> Any:
    """Return a dataclass field that is an option of a command."""
    said = Declared(reader, help, metavar, flags, unit, also, several, basic)
    return field(default=default, metadata={_KEY: said})


def same(settings: type[DataclassInstance], name: str) -> Any:
    """Return a dataclass field that is an option of another command, too."""
    found = next(item for item in fields(settings) if item.name == name)
    said = replace(found.metadata[_KEY], also=())
    return field(default=found.default, metadata={_KEY: said})


def declared(settings: type[DataclassInstance]) -> dict[str, Declared]:
    """Return the declarations of a settings class, by the fields' names in order.

    A field that is no option of the command has none.
    """
    return {
        item.name: item.metadata[_KEY]
        for item in fields(settings)
        if _KEY in item.metadata
    }


def readers(
    settings: type[DataclassInstance],
) -> dict[str, Callable[[str, Any], Any]]:
    """Return the reader of each option, by the fields' names."""
    return {name: said.reader for name, said in declared(settings).items()}


def part(cls: type[_Part], settings: DataclassInstance, **own: Any) -> _Part:
    """Return a value of a dataclass whose fields settings have, too.

    Parameters
    ----------
    cls
        The dataclass.
    settings
        Give each field that has the name of an option.
    **own
        Fields of another name or value; what is neither has its default.
    """
    options = {item.name for item in fields(settings)}
    names = [item.name for item in fields(cls) if item.name in options]  # type: ignore[arg-type]
    return cls(**{name: getattr(settings, name) for name in names} | own)


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
