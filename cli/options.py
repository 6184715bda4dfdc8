"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from blockseg.config.declare import Declared, declared
from blockseg.config.merging import read_settings
from blockseg.config.presets import load_config
from blockseg.config.settings import RunSettings

from .completion import Words, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed import DataclassInstance


class ManyOptions(click.Command):
    """A command whose --help has what most people need, and --help-all the rest."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.append(
            click.Option(
                ["--help-all"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                help="Show every option, and exit.",
                callback=_show_all,
            )
        )

    def format_options(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the basic options; with --help-all the others too, apart."""
        basic: list[tuple[str, str]] = []
        others: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            if isinstance(param, click.Argument):
                continue
            record = param.get_help_record(ctx)
            if record is not None:
                rare = isinstance(param, SettingsOption) and not param.basic
                (others if rare else basic).append(record)
        with formatter.section("Options"):
            formatter.write_dl(basic)
        if ctx.meta.get(_ALL):
            with formatter.section("More options"):
                formatter.write_dl(others)
        elif others:
            formatter.write_paragraph()
            formatter.write_text(
                f"{len(others)} more: {ctx.command_path} --help-all, docs/reference.md"
            )


class SettingsOption(click.Option):
    """An option that a settings class declares."""

    def __init__(self, *args: Any, basic: bool = False, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.basic = basic


def _show_all(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help())
        ctx.exit()


_ALL = f"{__name__}.all"
_PLAIN = Words(files=False)
_Option = tuple[tuple[str, ...], dict[str, Any]]


def click_options(
    settings: type[DataclassInstance], names: Iterable[str] | None = None
) -> tuple[_Option, ...]:
    """Return the options of a settings class, all of them unless names are given."""
    said = declared(settings)
    return tuple(_click_option(name, said[name]) for name in names or said)


def _click_option(name: str, said: Declared) -> _Option:
    kind: dict[str, Any] = {"cls": SettingsOption, "basic": said.basic}
    if said.metavar is not None:
        kind["type"] = words_of(name, said) or _PLAIN
    flags = said.flags or ("--" + name.replace("_", "-"),)
    if said.several:
        shown = {"metavar": said.metavar, "help": said.help, **kind}
        return flags, {"multiple": True, "default": None, **shown}
    if said.metavar is not None:
        return flags, {"metavar": said.metavar, "help": said.help, **kind}
    switch: dict[str, Any] = {"default": None, "help": said.help, **kind}
    if "/" not in flags[0]:
        switch["is_flag"] = True
    return flags, switch


def placed(names: Iterable[str], before: str, *those: str) -> list[str]:
    """Return names of options with some of them moved before another.

    The fields' order is that of the records on disk and stays; ``--help`` has its own.
    """
    left = [name for name in names if name not in those]
    place = left.index(before)
    return [*left[:place], *those, *left[place:]]


_SHOWN = placed(declared(RunSettings), "precision", "device")

RUN_OPTIONS = click_options(RunSettings, _SHOWN)

_OF_JOBS = frozenset(
    {
        *("scheduler", "listen", "insecure", "workers", "attempts", "block_timeout"),
        *("worker_timeout", "ledger", "verify", "report", "zarr_format", "codec"),
        *("metrics", "dhpr"),
    }
)
PREDICT_OPTIONS = click_options(
    RunSettings, [name for name in _SHOWN if name not in _OF_JOBS]
)
"""Options of what is done in this process, and leaves no output to go on with."""


def options_of(command: str) -> tuple[_Option, ...]:
    """Return the options of a run that another command takes too."""
    said = declared(RunSettings)
    names = [name for name in _SHOWN if command in said[name].also]
    return click_options(RunSettings, names)


def without_config(
    options: tuple[_Option, ...],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds ``options`` to a command."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for names, attributes in reversed(options):
            function = click.option(*names, **attributes)(function)
        return function

    return decorate


def with_options(
    options: tuple[_Option, ...],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds ``options`` and ``--config`` to a command."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return click.option(
            "--config",
            multiple=True,
            metavar="FILE|PRESET",
            help="YAML settings; the command line wins over them.",
        )(without_config(options)(function))

    return decorate


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that stand on the command line."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def settings_of(config: tuple[str, ...], options: dict[str, Any]) -> RunSettings:
    """Merge presets, files and the command line, the later over the earlier."""
    return read_settings(
        RunSettings, *(load_config(name) for name in config), given(options)
    )
