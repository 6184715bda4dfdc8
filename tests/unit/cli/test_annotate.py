"""Last line of ``blockseg annotate``."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner


@pytest.mark.parametrize(
    ("options", "weights", "folder"),
    [
        ((), "axons", "RUN"),
        (("--train", "R", "--init", "mine.safetensors"), "mine.safetensors", "R"),
    ],
)
def test_the_command_that_learns_from_picks_fine_tunes(
    blockseg_command, monkeypatch, options, weights, folder
):
    def ended(*_, **__):
        return SimpleNamespace(rows=[SimpleNamespace(state="done", minutes=3.0)])

    monkeypatch.setattr("blockseg.annotation.run.annotate", ended)
    said = CliRunner().invoke(blockseg_command, ["annotate", "MY PICKS", *options])
    assert said.exit_code == 0, said.output
    assert said.stdout.strip().endswith(
        "1 of 1 pick done, 3.0 minutes of work; to learn from them: blockseg train "
        f"'MY PICKS' --init {weights} --config train-finetune -o {folder}"
    )
