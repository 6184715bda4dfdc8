"""What a job would refuse is refused before it waits in a queue."""

import warnings
from importlib import import_module
from pathlib import Path

import click
import pytest

from blockseg.core.errors import ClusterError, ConfigError

main = import_module("blockseg_cli.main").main


@pytest.fixture
def submit(tmp_path, monkeypatch, capsys):
    """Give words to the command in a folder with one volume; return what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main sets it
    Path("here.zarr").mkdir()

    def given(*words):
        main.main(["submit", *words], standalone_mode=False)
        return capsys.readouterr().out

    return given


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["run", "nowhere.zarr"], ConfigError, "nowhere.zarr: there is nothing here"),
        (["run", "here.zarr", "--treshold", "1"], click.UsageError, "--treshold"),
        (["run"], click.UsageError, "source"),
    ],
)
def test_mistakes_in_the_command_are_told_at_once(submit, words, error, said):
    with pytest.raises(error) as found:
        submit("--cluster", "slurm", "--dry-run", *words)
    assert said in str(found.value)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "here.zarr", "--threshold", "0.4"],
        ["run", "s3://bucket/brain.zarr"],
        ["convert", "slices/*.tif", "brain.zarr"],
        ["label", "later.zarr"],
    ],
    ids=" ".join,
)
def test_what_may_be_right_is_left_to_the_job(submit, words):
    assert "#SBATCH" in submit("--cluster", "slurm", "--dry-run", *words)


def test_the_folder_of_the_driver_s_log_is_there_before_its_job(submit):
    Path("site.yaml").write_text("launcher: slurm\nwalltime: '1:00:00'\nlogs: a/b\n")
    with pytest.raises(ClusterError, match="no sbatch here"):
        submit("--cluster", "site.yaml", "run", "here.zarr")
    assert Path("a/b").is_dir()
