"""Completion by the Tab key of values, files and names of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from blockseg.config.values import Choices, parse_text

if TYPE_CHECKING:
    from blockseg.config.declare import Declared

_OF_WEIGHTS = ("weights", "init")


class Words(click.types.StringParamType):
    """Text of which some values have names; files too, where it may be a path.

    Parameters
    ----------
    words
        The names.
    files
        Whether it may be a path.
    """

    def __init__(self, words: tuple[str, ...] = (), *, files: bool) -> None:
        self._words = words
        self._files = files

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the names that begin so; files, the shell finds by itself."""
        named = [word for word in self._words if word.startswith(incomplete)]
        found = [CompletionItem(word) for word in named]
        if self._files and not (named and incomplete):
            found.append(CompletionItem(incomplete, type="file"))
        return found


def words_of(name: str, said: Declared) -> Words | None:
    """Return what completes an option of a settings class; None where nothing does.

    Parameters
    ----------
    name
        Of its field.
    said
        Its declaration.
    """
    if isinstance(said.reader, Choices):
        return Words(tuple(map(str, said.reader.choices)), files=False)
    if said.reader is not parse_text:
        return None
    if name not in _OF_WEIGHTS:
        return Words(files=True)
    from blockseg.networks.shipped import DEFAULT_NAME, SHIPPED

    return Words((*(one.name for one in SHIPPED), DEFAULT_NAME), files=True)


def complete_paths(command: click.Command) -> click.Command:
    """Let arguments and options of plain text, which are paths, be completed as such.

    Parameters
    ----------
    command
        The command; its settings' options have their own.

    Returns
    -------
    click.Command
        The same.
    """
    for param in command.params:
        if param.type is click.STRING:
            param.type = Words(files=True)
    return command
