"""Help, completion, log files and lines that a terminal would break."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from blockseg.config.declare import declared
from blockseg.config.settings import RunSettings
from blockseg.config.train_settings import TrainSettings
from blockseg_cli.main import _one_line  # type: ignore[import-not-found]
from blockseg_cli.wrapped import say  # type: ignore[import-not-found]


def said(command, *arguments):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def flags(settings, *, basic=None):
    return [
        (found.flags or ("--" + name.replace("_", "-"),))[0].partition("/")[0]
        for name, found in declared(settings).items()
        if basic is None or found.basic is basic
    ]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("run", RunSettings), ("plan", RunSettings), ("train", TrainSettings)],
)
def test_help_has_what_most_people_need_and_help_all_the_rest(
    blockseg_command, name, settings
):
    short = said(blockseg_command, name, "--help")
    long = said(blockseg_command, name, "--help-all")
    assert len(short.splitlines()) <= 45
    assert f"{name} --help-all" in short
    for flag in flags(settings, basic=True):
        assert f"{flag} " in short
    for flag in flags(settings, basic=False):
        assert f"  {flag}" not in short
    for flag in flags(settings):
        assert flag in long


def test_options_that_a_command_does_not_use_are_not_its_options(blockseg_command):
    text = said(blockseg_command, "predict", "--help-all")
    for flag in ("--scheduler", "--workers", "--ledger", "--zarr-format", "--report"):
        assert flag not in text
    done = CliRunner().invoke(
        blockseg_command, ["predict", "a.tif", "-o", "out", "--scheduler", "serial"]
    )
    assert done.exit_code == 1
    assert "--scheduler" in done.output


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("blockseg thr", "plain,threshold"),
        ("blockseg run --thresh", "plain,--threshold"),
        ("blockseg run --precision bf", "plain,bfloat16"),
        ("blockseg run --weights dend", "plain,dendrites"),
        ("blockseg train --init ship", "plain,shipped"),
        ("blockseg run brai", "file,brai"),
        ("blockseg run --mask brai", "file,brai"),
        ("blockseg preview OUT -o pict", "file,pict"),
    ],
)
def test_a_shell_completes_commands_options_choices_and_files(words, found):
    shell = {
        "_BLOCKSEG_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    code = "from blockseg_cli.main import main; main(prog_name='blockseg')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | shell,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found in done.stdout.splitlines()


def test_warnings_wrap_between_words_at_the_width_of_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    text = (
        "the volume "
        + "is said to be odd in many ways " * 8
        + "give --voxel-size Z,Y,X"
    )
    _one_line(UserWarning(text))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    assert " ".join(line.strip() for line in lines) == f"Warning: {text}"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    say(text, err=True)
    assert capsys.readouterr().err == f"{text}\n"
