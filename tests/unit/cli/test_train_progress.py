"""What a training shows while it runs."""

import importlib
import sys

import pytest

from blockseg.training.events import (
    Progress,
    Saved,
    TrainingMessage,
    TrainingStarted,
    Validated,
)

EVENTS = (
    TrainingStarted(
        "sdasn of width 8", 89075, "cpu, float32", 2, 100, 40, ("mine",), ()
    ),
    Progress(50, 0.5, 0.25, 1e-3, 2e6, 90.0),
    Validated(50, 0.3, 0.9, 0.95, 0.85, 0.4, 0.92, improved=True),
    Saved(50),
    TrainingMessage("Early stop: enough."),
)


VALIDATED = (
    "step 50: validation loss 0.3000, F1 0.900 (precision 0.950, recall 0.850); "
    "0.920 at 0.40, the best so far"
)


@pytest.fixture
def shown(blockseg_command):
    assert blockseg_command.name
    return importlib.import_module("blockseg_cli.train_progress")


def test_plain_lines_say_where_how_far_and_how_good(shown, capsys):
    with shown.watcher(quiet=False, as_json=False) as show:
        for event in EVENTS:
            show(event)
    assert capsys.readouterr().out.splitlines() == [
        "sdasn of width 8, 89,075 parameters, cpu, float32 in 2 processes, from step 40 on",
        "Data: mine",
        "step 50 (50 %): loss 0.2500, rate 0.001, 2 Mvoxel/s, 1 min 30 s left",
        VALIDATED,
        "Early stop: enough.",
    ]


def test_the_live_display_shows_the_same_and_a_bar(shown, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    with shown.watcher(quiet=False, as_json=False) as show:
        for event in EVENTS:
            show(event)
    said = capsys.readouterr().out
    assert "Early stop: enough." in said
    assert "F1 0.900" in said


def test_quiet_says_nothing(shown, capsys):
    with shown.watcher(quiet=True, as_json=False) as show:
        for event in EVENTS:
            show(event)
    assert capsys.readouterr().out == ""
