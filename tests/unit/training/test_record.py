"""What ``train.json`` says, and what a training that goes on compares with it."""

import json
from dataclasses import replace

import pytest

from blockseg.config.merging import read_settings
from blockseg.config.train_settings import TrainSettings
from blockseg.core.errors import LedgerError
from blockseg.networks.shipped import DEFAULT
from blockseg.networks.weights_info import WeightsInfo
from blockseg.training.data.data import SourceNote
from blockseg.training.record import (
    TrainFacts,
    TrainRecord,
    TrainRequest,
    TrainSession,
)

SETTINGS = read_settings(
    TrainSettings,
    {
        "label-map": "0:255,-2:1,others:0",
        "shares": "0.7,0.3",
        "clip": "-5,20",
        "normalization": "200, 6",
        "time": "10m",
        "threads": 2,
    },
)
NOTES = (
    SourceNote("blocks/a", "folder", (8, 16, 16), 2048, 80, 200.0, 8.5),
    SourceNote("synth:clean", "synth", (64, 128, 128), 0, 0, None, None),
)
REQUEST = TrainRequest(SETTINGS, None, NOTES)


@pytest.fixture
def record():
    facts = TrainFacts(
        WeightsInfo(name="x", gain=1.0, clip=(-5.0, 20.0)),
        2543,
        replace(SETTINGS, network="sdasn", width=8, rate=6e-3),
        {"host": "here", "cores": 2},
    )
    return TrainRecord(REQUEST, facts, (TrainSession.begun(SETTINGS, "train"),))


def test_a_record_comes_back_as_far_as_it_decides(record, tmp_path):
    path = tmp_path / "train.json"
    record.save(path)
    found = TrainRecord.load(path)
    assert found.request.differences(REQUEST) == []
    assert found.request.data == NOTES
    assert found.sessions == record.sessions
    found.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_ranges_of_images_come_back_and_earlier_records_have_none(record, tmp_path):
    path = tmp_path / "train.json"
    network = replace(record.facts.network, trained=DEFAULT.trained)
    replace(record, facts=replace(record.facts, network=network)).save(path)
    assert TrainRecord.load(path).facts.network.trained == DEFAULT.trained
    plain = json.loads(path.read_text())
    del plain["facts"]["network"]["trained"]
    path.write_text(json.dumps(plain))
    assert TrainRecord.load(path).facts.network.trained is None


def test_a_session_has_no_end_until_it_ended(record, tmp_path):
    path = tmp_path / "train.json"
    record.save(path)
    assert "outcome" not in json.loads(path.read_text())["sessions"][0]
    record.ended("complete").save(path)
    (session,) = json.loads(path.read_text())["sessions"]
    assert session["outcome"] == "complete"
    assert session["ended"] >= session["started"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(REQUEST, settings=replace(SETTINGS, patch=64)), "--patch was 48"),
        (replace(REQUEST, init="0123456789abcdef"), "were None…, now 0123456789ab…"),
        (replace(REQUEST, data=NOTES[::-1]), "in another order: blocks/a, synth:clean"),
        (replace(REQUEST, data=NOTES[:1]), "DATA synth:clean was there"),
        (
            replace(REQUEST, data=(replace(NOTES[0], shape=(8, 8, 8)), NOTES[1])),
            "DATA blocks/a changed: shape was [8, 16, 16], now [8, 8, 8]",
        ),
    ],
)
def test_what_differs_is_named(other, said):
    (line,) = REQUEST.differences(other)
    assert said in line


def test_volumes_of_one_name_are_told_apart():
    twice = replace(REQUEST, data=(NOTES[0], NOTES[0]))
    other = replace(twice, data=(NOTES[0], replace(NOTES[0], labelled=7)))
    assert twice.differences(other) == [
        "DATA blocks/a (2) changed: labelled was 2048, now 7"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.pop("request"), "cannot be read"),
        (lambda data: data["request"]["settings"].update(colour="red"), "cannot be"),
        (lambda data: data["request"]["settings"].update(normalization="?"), "cannot"),
        (lambda data: data.update(sessions=[3]), "cannot be read"),
        (lambda data: data.update(format=2), "another version of blockseg"),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(record, tmp_path, change, said):
    path = tmp_path / "train.json"
    record.save(path)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(LedgerError, match=said) as caught:
        TrainRecord.load(path)
    assert "\n" not in str(caught.value)
