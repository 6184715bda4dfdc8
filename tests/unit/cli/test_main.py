"""What the command group says at the end of every command."""

from importlib import import_module

import click
import pytest
from click.testing import CliRunner

group = import_module("blockseg_cli.main")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-v", "run"], "Interrupted; the same command resumes from here.\n"),
        (["synth"], "Interrupted; the same command resumes from here.\n"),
        (["evaluate"], "Interrupted.\n"),
        (["-v", "predict"], "Interrupted.\n"),
    ],
)
def test_only_what_is_resumed_is_said_to_go_on(monkeypatch, words, said):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(
        group.LazyGroup,
        "get_command",
        lambda _group, _ctx, name: click.Command(name, callback=interrupted),
    )
    done = CliRunner().invoke(group.main, words)
    assert done.exit_code == 130
    assert done.stderr.lstrip() == said  # click ends the line of ^C
