import subprocess
import sys

import pytest
from click.testing import CliRunner


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["nonsense"],
        ["run", "x", "--nonsense"],
        ["--nonsense"],
        ["weights", "no"],
    ],
)
def test_a_mistake_in_usage_is_one_line_and_exit_code_1(blockseg_command, arguments):
    result = CliRunner().invoke(blockseg_command, arguments)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1


def test_help_lists_every_command_without_importing_torch():
    code = (
        "import sys; from blockseg_cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'distributed' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for name in ("run", "plan", "status", "predict", "info", "convert", "synth"):
        assert f"\n  {name}" in done.stdout


def test_every_command_has_help(blockseg_command):
    for name in blockseg_command.list_commands(None):
        result = CliRunner().invoke(blockseg_command, [name, "--help"])
        assert result.exit_code == 0, result.output
        assert result.output.startswith("Usage: ")


def test_the_command_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "blockseg_cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "version 0.1.0" in done.stdout


def test_a_command_looks_for_garbage_seldom_and_another_program_as_before():
    script = (
        "import gc, sys; from blockseg_cli.main import main\n"
        "sys.argv = ['blockseg', 'configs', 'list']\n"
        "before = gc.get_threshold()[0]\n"
        "for words in (['configs', 'list'], None):\n"
        "    try: main(words)\n"
        "    except SystemExit: print(gc.get_threshold()[0] > before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    told = [line for line in done.stdout.splitlines() if line in ("True", "False")]
    assert told == ["False", "True"]


def test_a_command_that_loaded_triton_ends_without_a_word():
    pytest.importorskip("triton")
    script = (
        "import sys, triton._C.libtriton; from blockseg_cli.main import main\n"
        "sys.argv = ['blockseg', 'configs', 'list']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
