import json
from dataclasses import replace

import pytest

from blockseg.blockwise.record.facts import RecordedPhase
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.record.request import what_differs
from blockseg.blockwise.record.settings import execution_settings, recorded_settings
from blockseg.config.settings import RunSettings
from blockseg.core.errors import LedgerError
from blockseg.core.geometry import Roi
from blockseg.core.space import Space
from blockseg.core.specs import VolumeSpec

REQUEST = {
    "source": {"spec": {"uri": "/a"}, "fingerprint": {}},
    "mask": None,
    "weights": "abc",
    "settings": {"threshold": 0.5, "block": None},
}


SOURCE = {
    "spec": {"uri": "/a", "path": "", "format": "tiff"},
    "voxel_size": [2, 1, 1.5],
    "unit": "micrometer",
    "translation": [0, 0, 8],
    "fingerprint": {},
}


def record(**more):
    return RunRecord(REQUEST, {"block": [64, 64, 64]}, {}, {}, **more)


def whole(source, roi=None):
    """Return a record that holds what readers rely on."""
    request = {**REQUEST, "source": source, "settings": {"roi": roi}}
    phase = {"name": "copy", "blocks": 3, "grid": [1, 1, 4]}
    return RunRecord(request, {"block": [64, 32, 64]}, {}, {"phases": [phase]})


@pytest.fixture
def paths(tmp_path):
    made = Paths(tmp_path)
    made.folder.mkdir()
    return made


@pytest.mark.parametrize("settings_of", [recorded_settings, execution_settings])
def test_workers_that_are_asked_for_now_are_not_lost_to_a_serial_run_of_before(
    settings_of,
):
    execution = {"scheduler": "serial", "attempts": 5}
    before = RunRecord({**REQUEST, "settings": {}}, {}, execution, {})
    assert settings_of(before, None).scheduler == "serial"
    asked = settings_of(before, RunSettings(attempts=2))
    assert (asked.scheduler, asked.attempts) == ("serial", 2)
    asked = settings_of(before, RunSettings(workers=2))
    assert (asked.scheduler, asked.workers, asked.attempts) == (None, 2, 5)
    elsewhere = replace(before, execution={"scheduler": "tcp://a:1"})
    assert settings_of(elsewhere, RunSettings(workers=2)).scheduler == "tcp://a:1"


def test_a_record_comes_back_as_it_was_saved(paths):
    saved = replace(whole(SOURCE), sessions=({"command": "blockseg run a"},))
    saved.save(paths.record)
    loaded = RunRecord.of(paths)
    assert loaded == saved
    assert loaded is not None
    assert loaded.fingerprint == saved.fingerprint
    assert [p.name for p in paths.folder.iterdir()] == ["run.json"]


def test_a_record_gives_its_values_with_their_types():
    found = whole(SOURCE, "0:8,2:8,0:4")
    assert found.block == (64, 32, 64)
    assert found.gain == 1.0
    assert found.phases == (RecordedPhase("copy", 3, (1, 1, 4)),)
    source = found.source
    assert source is not None
    assert source.spec == VolumeSpec("/a", "tiff")
    assert source.space == Space((2.0, 1.0, 1.5), "micrometer", (0.0, 0.0, 8.0))
    assert source.roi == Roi((0, 2, 0), (8, 8, 4))
    assert not source.allow_empty
    assert whole(None).source is None
    trained = replace(found, facts={"network": {"gain": 2}})
    assert trained.gain == 2.0


def test_the_fingerprint_follows_decisions_but_not_sessions():
    assert record().fingerprint == record(sessions=({"a": 1},)).fingerprint
    other = RunRecord(REQUEST, {"block": [32, 32, 32]}, {}, {})
    assert other.fingerprint != record().fingerprint


def test_no_record_is_none_and_a_damaged_one_is_told(paths):
    assert RunRecord.of(paths) is None
    paths.record.write_text("{ half")
    with pytest.raises(LedgerError, match="--overwrite starts over"):
        RunRecord.of(paths)


def test_a_record_of_another_version_is_told(paths):
    paths.record.write_text(json.dumps({"format": 99}))
    with pytest.raises(LedgerError, match="another version"):
        RunRecord.of(paths)


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


def test_an_option_that_came_later_differs_only_where_it_is_used():
    before = {"threshold": 0.5, "block": None}

    def differences(inexact):
        asked = {**REQUEST, "settings": {**before, "inexact": inexact}}
        return what_differs({**REQUEST, "settings": before}, asked)

    assert differences(False) == []
    assert differences(True) == ["--inexact was auto, now True"]
