import json

import pytest

from blockseg.blockwise.record.record import RunRecord
from blockseg.blockwise.record.request import what_differs
from blockseg.core.errors import LedgerError

REQUEST = {
    "source": {"spec": {"uri": "/a"}, "fingerprint": {}},
    "mask": None,
    "weights": "abc",
    "settings": {"threshold": 0.5, "block": None},
}


def record(**more):
    return RunRecord(REQUEST, {"block": [64, 64, 64]}, {}, {}, **more)


def test_a_record_comes_back_as_it_was_saved(tmp_path):
    path = tmp_path / "run.json"
    saved = record(sessions=({"command": "blockseg run a"},))
    saved.save(path)
    loaded = RunRecord.load(path)
    assert loaded == saved
    assert loaded is not None
    assert loaded.fingerprint == saved.fingerprint
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_the_fingerprint_follows_decisions_but_not_sessions():
    assert record().fingerprint == record(sessions=({"a": 1},)).fingerprint
    other = RunRecord(REQUEST, {"block": [32, 32, 32]}, {}, {})
    assert other.fingerprint != record().fingerprint


def test_no_record_is_none_and_a_damaged_one_is_told(tmp_path):
    path = tmp_path / "run.json"
    assert RunRecord.load(path) is None
    path.write_text("{ half")
    with pytest.raises(LedgerError, match="--overwrite starts anew"):
        RunRecord.load(path)


def test_a_record_of_another_version_is_told(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"format": 99}))
    with pytest.raises(LedgerError, match="another version"):
        RunRecord.load(path)


def test_equal_requests_do_not_differ():
    assert what_differs(REQUEST, json.loads(json.dumps(REQUEST))) == []


def test_every_difference_is_named():
    new = {
        "source": {"spec": {"uri": "/b"}, "fingerprint": {}},
        "mask": {"spec": {"uri": "/m"}, "fingerprint": {}},
        "weights": "def",
        "settings": {"threshold": 0.4, "block": [64, 64, 64]},
    }
    said = "; ".join(what_differs(REQUEST, new))
    assert "--threshold was 0.5, now 0.4" in said
    assert "--block was auto, now 64,64,64" in said
    assert "weights were abc…, now def…" in said
    assert "the source was /a, now /b" in said
    assert "--mask was not given" in said


def test_a_run_from_before_half_precision_goes_on_without_its_being_named():
    before = {**REQUEST, "settings": {"precision": "float32"}}
    now = {**REQUEST, "settings": {"precision": "auto"}}
    half = {**REQUEST, "settings": {"precision": "float16"}}
    assert what_differs(before, now) == []
    assert what_differs(now, before) == ["--precision was auto, now float32"]
    assert what_differs(half, now) == ["--precision was float16, now auto"]
