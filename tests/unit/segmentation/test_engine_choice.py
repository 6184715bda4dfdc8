import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zarr

from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.sources.inputs import Inputs, Weights, memory_source
from blockseg.config.settings import RunSettings
from blockseg.core.errors import BackendError, ConfigError
from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, BackendSpec, Normalization
from blockseg.inference import devices
from blockseg.inference.backends.device.engine import ByteEngine
from blockseg.inference.devices import Device
from blockseg.inference.engine import Engine
from blockseg.inference.engine_evaluation import EngineEvaluation
from blockseg.inference.fallback import FallbackEngine
from blockseg.io.find import find
from blockseg.io.protocol import MemoryVolume
from blockseg.networks.receptive_field import FIELDS
from blockseg.networks.weights_info import WeightsInfo
from blockseg.segmentation.decisions import _TRYING, decide
from blockseg.segmentation.engines import trial as engine_trial
from blockseg.segmentation.engines.choice import engines_of, measured_speed, trial_of
from blockseg.segmentation.engines.process import EvaluatorHere, EvaluatorProcess
from blockseg.segmentation.engines.trial import (
    EngineCriteria,
    EngineEvaluator,
    engine_for,
)
from blockseg.segmentation.engines.windows import read_samples, trial_windows
from blockseg.testing.backends import FakeBackend
from blockseg.testing.devices import FakeByteBackend, FakeDevice

SHAPE = (70, 64, 96)
FIELD = FIELDS["sdasn"]
FAKE = BackendSpec("fake", "", (32, 32, 32), "float16", device="cuda")
BY = Affine(100.0, 200.0, -5.0, 20.0)
CARD = Device("a card", 8 * 2**30, 8 * 2**30)


def voxels(shape=SHAPE):
    return np.random.default_rng(0).integers(100, 200, shape).astype("u2")


@pytest.fixture
def inputs(tmp_path):
    def of(array=None, **given):
        info = WeightsInfo("named", 1.0)
        weights = None
        if given.get("backend") != "fake":
            weights = Weights(tmp_path / "none", info, "")
        settings = RunSettings(normalization=Normalization("given", 150, 20), **given)
        volume = memory_source(voxels() if array is None else array)
        roi = Roi.whole(volume.volume.shape)
        return Inputs(volume, tmp_path, roi, weights, None, settings)

    return of


@pytest.fixture(autouse=True)
def _one_card(monkeypatch):
    monkeypatch.setattr(devices, "cuda_devices", lambda: ("0",))


class Scripted:
    """Engines that come to what a test says, by name and precision."""

    def __init__(self, outcomes, devices=(CARD,)):
        self.outcomes = outcomes
        self.found = devices
        self.asked = []
        self.trial = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.trial = None

    def devices(self):
        return self.found

    def beside(self, trial, spec, reference):
        return self.evaluate(trial, reference), self.evaluate(trial, spec)

    def evaluate(self, trial, spec):
        assert trial.windows
        self.asked.append((spec.name, spec.precision))
        outcome = self.outcomes.get(self.asked[-1], 1.0)
        tried = EngineEvaluation(spec.name, spec.precision, spec.device, spec.core)
        if isinstance(outcome, EngineEvaluation):
            return outcome
        if isinstance(outcome, str):
            return replace(tried, why_not=outcome)
        return replace(tried, voxels_per_second=outcome)


MISSING = EngineEvaluation(
    "tensorrt", "float16", "cuda", (0, 0, 0), "not installed", unsuited=True
)
FP16 = [("tensorrt", "float16"), ("cuda", "float16"), ("torch", "float16")]
FP32 = ("torch", "float32")


def test_the_fastest_engine_that_agrees_is_taken_and_the_others_may_take_its_place(
    inputs,
):
    evaluators = Scripted({FP16[0]: MISSING, FP16[1]: 9e8, FP16[2]: 2e8})
    found = decide(inputs(), evaluators)
    assert evaluators.asked == FP16  # the reference is not tried: it is no candidate
    assert (found.backend, found.precision, found.device) == ("cuda", "float16", "cuda")
    assert found.note == ""  # what is not installed is no news
    assert found.trial is not None
    assert [one.why_not for one in found.trial.tried] == ["not installed", "", ""]
    assert found.trial.devices == ("a card",)
    specs = engines_of(found, "w")
    assert [(s.name, s.precision) for s in specs] == [FP16[1], FP16[2], FP32]
    assert {s.device for s in specs} == {"cuda"}
    assert measured_speed(found) == 9e8


def test_that_engines_are_tried_is_said_before_for_it_may_take_minutes(inputs):
    said: list[Any] = []

    class Late(Scripted):
        def __enter__(self):
            assert [event.text for event in said] == [_TRYING]
            return self

    decide(inputs(), Late({}), said.append)
    assert len(said) == 1


def test_what_was_chosen_survives_run_json(inputs):
    found = decide(inputs(), Scripted({}))
    read = decisions_from(json.loads(json.dumps(found.to_plain())))
    assert read == found
    assert engines_of(read, "w") == engines_of(found, "w")
    assert trial_of(inputs(), read) == trial_of(inputs(), found)
    assert trial_of(inputs(), read).windows


def test_an_engine_that_is_off_is_passed_over_and_the_user_told(inputs):
    evaluators = Scripted({FP16[0]: "probabilities differ", FP16[1]: 1.0, FP16[2]: 2.0})
    found = decide(inputs(), evaluators)
    assert (found.backend, found.precision) == ("torch", "float16")
    assert found.note == "tensorrt float16 is not used: probabilities differ"


def test_where_no_engine_of_half_precision_agrees_float32_computes(inputs):
    evaluators = Scripted(dict.fromkeys(FP16, "it is off"))
    found = decide(inputs(), evaluators)
    assert evaluators.asked == [*FP16, FP32]
    assert (found.backend, found.precision) == FP32
    assert engines_of(found, "w")[1:] == ()
    assert found.note.count("is not used: it is off") == 3


def test_where_nothing_works_on_the_device_the_cpu_does_and_the_user_is_told(inputs):
    evaluators = Scripted(dict.fromkeys([*FP16, FP32], "broken"))
    found = decide(inputs(), evaluators)
    assert (found.device, found.precision) == ("cpu", "float32")
    assert found.backend in ("llvm", "openvino", "torch")
    assert "the CPU does the work" in found.note
    assert "torch float32: broken" in found.note
    assert found.trial is not None
    assert len(found.trial.tried) == 4
    assert [spec.device for spec in engines_of(found, "w")] == ["cpu"]


def test_where_the_user_wants_the_device_and_nothing_works_the_run_does_not_begin(
    inputs,
):
    evaluators = Scripted(dict.fromkeys([*FP16, FP32], "broken"))
    with pytest.raises(BackendError, match="torch float32: broken"):
        decide(inputs(device="cuda"), evaluators)


def test_a_named_engine_is_taken_however_fast_others_are(inputs):
    evaluators = Scripted({FP16[1]: 1.0, FP16[2]: 5.0})
    found = decide(inputs(backend="cuda"), evaluators)
    assert evaluators.asked == [FP16[1]]
    assert found.backend == "cuda"
    assert [(s.name, s.precision) for s in engines_of(found, "w")] == [*FP16[1:], FP32]


def test_a_named_engine_that_is_off_gives_way_to_the_next_in_the_chain(inputs):
    evaluators = Scripted({FP16[0]: "off", FP16[1]: "off too"})
    found = decide(inputs(backend="tensorrt"), evaluators)
    assert evaluators.asked == FP16
    assert (found.backend, found.precision) == ("torch", "float16")
    assert "cuda float16 is not used: off too" in found.note


def test_a_named_engine_that_is_not_installed_is_an_error_that_says_so(inputs):
    with pytest.raises(BackendError, match="not installed"):
        decide(inputs(backend="tensorrt"), Scripted({FP16[0]: MISSING}))


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"precision": "float32"}, [("tensorrt", "float32"), FP32]),
        ({"precision": "float64"}, [("torch", "float64")]),
        ({"backend": "torch"}, [("torch", "float16")]),
        ({"backend": "torch", "precision": "float32"}, [FP32]),
    ],
)
def test_the_precision_decides_which_engines_are_tried(inputs, given, asked):
    evaluators = Scripted({})
    decide(inputs(**given), evaluators)
    assert evaluators.asked == asked


def test_a_window_that_was_made_smaller_is_the_runs(inputs):
    small = EngineEvaluation(
        "cuda", "float16", "cuda", (32, 32, 48), short="too little memory"
    )
    evaluators = Scripted({FP16[0]: MISSING, FP16[1]: small, FP16[2]: "off"})
    found = decide(inputs(), evaluators)
    assert found.window == (32, 32, 48)
    assert "windows of cuda float16 are smaller than planned: too little" in found.note


def test_the_window_follows_from_the_devices_memory(inputs):
    large = inputs(np.broadcast_to(voxels((1, 1, 512)), (512, 512, 512)))
    edges = []
    for gib in (3, 80):
        card = Device("a card", gib * 2**30, gib * 2**30)
        found = decide(large, Scripted({}, (card,)))
        edges.append(max(found.window))
    assert edges[0] < edges[1] <= 320


def test_workers_elsewhere_judge_for_themselves(inputs, monkeypatch):
    monkeypatch.setattr(devices, "cuda_devices", tuple)
    given = inputs(device="cuda", scheduler="tcp://nowhere:1")
    evaluators = Scripted({}, devices=())
    found = decide(given, evaluators)
    assert evaluators.asked == []
    assert [(s.name, s.precision) for s in engines_of(found, "w")] == [*FP16, FP32]
    assert trial_of(given, found).windows


def test_engines_that_need_a_device_are_refused_without_one(inputs, monkeypatch):
    monkeypatch.setattr(devices, "cuda_devices", tuple)
    with pytest.raises(ConfigError, match="--backend cuda needs a GPU"):
        decide(inputs(backend="cuda"))
    with pytest.raises(ConfigError, match="--precision float16 needs a GPU"):
        decide(inputs(precision="float16"))


def test_windows_are_the_brightest_the_first_and_one_like_most():
    array = voxels((64, 64, 256))
    array[20:30, 20:40, 150:170] = 9000
    array[30:40, 20:40, 200:220] = 4000
    volume = MemoryVolume(array)
    region = Roi.whole(array.shape)
    found = trial_windows(volume, region, (64, 64, 64), FIELD)
    assert found == trial_windows(volume, region, (64, 64, 64), FIELD)
    assert [array[window.slices()].max() for window in found[:2]] == [9000, 4000]
    assert len(found) == 4
    assert Roi((0, 0, 0), (64, 64, 64)) in found
    assert all(region.contains(window) for window in found)
    assert all(n % 4 == 0 for window in found for n in window.start)


def test_windows_of_a_small_region_are_cut_at_its_end():
    volume = MemoryVolume(voxels())
    region = Roi((3, 5, 7), (43, 50, 61))
    found = trial_windows(volume, region, (64, 64, 64), FIELD)
    assert found == (region,)
    (sample,) = read_samples(volume, found, FIELD)
    assert sample.read_roi == Roi((0, 0, 0), (70, 64, 96))
    assert sample.voxels.shape == sample.read_roi.shape


def fake_judge(monkeypatch, **suffers):
    volume = MemoryVolume(voxels())
    window = Roi((0, 0, 0), (32, 32, 32))
    evaluator = EngineEvaluator(EngineCriteria((window,), FIELD, BY, 128), volume)

    def make(spec):
        device = FakeDevice(**suffers)
        return ByteEngine(FakeByteBackend(FakeBackend(spec.core), BY, device))

    monkeypatch.setattr(evaluator, "make", make)
    return evaluator


def test_a_worker_judges_its_own_device(monkeypatch):
    good, bad = fake_judge(monkeypatch), fake_judge(monkeypatch, error=0.1)
    for evaluator, accepted in ((good, True), (bad, False)):
        engine = evaluator.make(FAKE)
        why = evaluator.accepts(engine, FAKE)
        engine.close()
        assert (why == "") == accepted
    assert "differ from torch float32 by up to 0.1" in why
    with pytest.raises(BackendError, match="differ from torch"):
        FallbackEngine([FAKE], 4, bad.make, bad.accepts)


def test_without_a_window_to_judge_by_no_engine_but_the_reference_is_used():
    trial = EngineCriteria((), FIELD, BY, 128)
    evaluator = EngineEvaluator(trial, MemoryVolume(voxels()))
    assert "no window" in evaluator.evaluate(FAKE).why_not
    reference = replace(FAKE, name="torch", precision="float32")
    assert evaluator.evaluate(reference).why_not == ""
    assert math.isclose(evaluator.evaluate(reference).voxels_per_second, 0)


def test_a_process_of_its_own_tries_engines_and_outlives_their_crash(
    tmp_path, monkeypatch
):
    array = zarr.create_array(tmp_path / "a", shape=SHAPE, dtype="u2", chunks=(32,) * 3)
    array[:] = voxels()
    trial = EngineCriteria((Roi((0, 0, 0), (32, 32, 32)),), FIELD, BY, 128)
    (tmp_path / "dies").touch()
    monkeypatch.setenv("BLOCKSEG_FAKE_DEVICE", f"dies={tmp_path / 'dies'}")
    with EvaluatorProcess(find(tmp_path / "a")) as evaluators:
        first = evaluators.evaluate(trial, FAKE)
        second = evaluators.evaluate(trial, FAKE)
    assert "its process died while it was tried" in first.why_not
    assert (second.why_not, second.difference) == ("", 0.0)


def test_a_fake_device_is_chosen_like_any_other_and_may_fail_to_be(inputs, monkeypatch):
    found = decide(inputs(backend="fake", device="cuda"))
    assert (found.backend, found.device, found.precision) == ("fake", "cuda", "float16")
    assert found.trial is not None
    assert found.trial.tried[0].why_not == ""
    monkeypatch.setenv("BLOCKSEG_FAKE_DEVICE", "error=0.2")
    found = decide(inputs(backend="fake", device="cuda"))
    assert (found.backend, found.device, found.precision) == ("fake", "cpu", "float32")
    assert "differ from torch float32 by up to 0.2" in found.note


def test_the_engine_of_an_actor_on_the_cpu_is_not_judged():
    volume = MemoryVolume(voxels())
    trial = EngineCriteria((), FIELD, BY, 128)
    engine = engine_for(
        [replace(FAKE, device="cpu", precision="float32")], trial, volume
    )
    assert isinstance(engine, Engine)
    engine.close()


class Counted:
    """Remembers what was read."""

    def __init__(self, array):
        self._volume = MemoryVolume(array)
        self.shape, self.dtype = self._volume.shape, self._volume.dtype
        self.reads = []

    def read(self, roi):
        self.reads.append(roi)
        return self._volume.read(roi)


def test_trials_in_this_process_read_the_volume_once():
    volume: Any = Counted(voxels())
    trial = EngineCriteria((Roi((0, 0, 0), (32, 32, 32)),), FIELD, BY, 128)
    with EvaluatorHere(volume) as evaluators:
        assert evaluators.evaluate(trial, FAKE).why_not == ""
        assert evaluators.evaluate(trial, FAKE).why_not == ""
    assert len(volume.reads) == 1


def test_a_worker_keeps_no_window_that_it_was_judged_by(monkeypatch):
    volume: Any = Counted(voxels())
    trial = EngineCriteria((Roi((0, 0, 0), (32, 32, 32)),), FIELD, BY, 128)
    judges: list[EngineEvaluator] = []

    def evaluator(*given: Any) -> EngineEvaluator:
        judges.append(EngineEvaluator(*given))
        return judges[0]

    monkeypatch.setattr(engine_trial, "EngineEvaluator", evaluator)
    engine = engine_for([FAKE], trial, volume)
    engine.close()
    assert len(volume.reads) == 1
    assert judges[0]._samples is None
    assert judges[0]._answers == {}
