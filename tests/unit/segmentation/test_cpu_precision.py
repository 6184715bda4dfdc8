"""Precision on CPUs: what fast and bfloat16 decide, and what workers make of it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tifffile

from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.planning.resources import plan_resources
from blockseg.blockwise.sources.inputs import Inputs, Weights, memory_source
from blockseg.config.settings import RunSettings
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, BackendSpec, Normalization
from blockseg.inference import devices
from blockseg.inference.backends import table
from blockseg.inference.backends.table import BackendRow
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.inference.engine_evaluation import EngineEvaluation
from blockseg.inference.processor import Processor
from blockseg.io.protocol import MemoryVolume
from blockseg.networks.receptive_field import FIELDS
from blockseg.networks.weights_info import WeightsInfo
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.engines import cpu_precision
from blockseg.segmentation.engines import trial as engine_trial
from blockseg.segmentation.engines.choice import (
    engines_of,
    evaluation_lines,
    trial_of,
)
from blockseg.segmentation.engines.cpu_precision import gain_line
from blockseg.segmentation.engines.process import EvaluatorHere
from blockseg.segmentation.engines.trial import EngineCriteria, engine_for
from blockseg.segmentation.forecast import plan
from blockseg.segmentation.predict import predict
from blockseg.testing.backends import FakeBackend

TILES = Processor("with tiles", "amx")
VECTORS = Processor("with vectors", "avx512")
PLAIN = Processor("plain")
FIELD = FIELDS["sdasn"]
BY = Affine(100.0, 200.0, -5.0, 20.0)
FIRST = BackendRow(
    "first",
    windows="blockseg.testing.backends:made",
    precisions=("float32", "bfloat16"),
    memory="blockseg.testing.backends:window_memory",
    bfloat16_gain={"amx": 2.5, "avx512": 1.5},
)


def voxels(shape=(70, 64, 96)):
    return np.random.default_rng(0).integers(100, 200, shape).astype("u2")


@pytest.fixture(autouse=True)
def _no_card(monkeypatch):
    monkeypatch.setattr(devices, "cuda_devices", tuple)
    monkeypatch.setattr(table, "_ROWS", (FIRST, *table._ROWS))


@pytest.fixture
def on(monkeypatch):
    def chosen(found):
        for module in (cpu_precision, engine_trial):
            monkeypatch.setattr(module, "processor", lambda: found)

    chosen(TILES)
    return chosen


@pytest.fixture
def inputs(tmp_path, on):  # noqa: ARG001 - it is always some processor
    def of(architecture="sdasn", **given):
        info = WeightsInfo("named", 1.0, architecture=architecture)
        settings = RunSettings(normalization=Normalization("given", 150, 20), **given)
        volume = memory_source(voxels())
        roi = Roi.whole(volume.volume.shape)
        weights = Weights(tmp_path / "none", info, "")
        return Inputs(volume, tmp_path, roi, weights, None, settings)

    return of


class Scripted:
    """Trials that come to what a test says."""

    def __init__(self, why_not="", gain=2.0):
        self.why_not, self.gain = why_not, gain
        self.asked = []
        self.windows = ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def devices(self):
        return ()

    def evaluate(self, trial, spec):
        raise AssertionError(trial, spec)

    def beside(self, trial, spec, reference):
        self.asked.append((spec.name, spec.precision, reference.precision))
        self.windows = trial.windows
        assert max(spec.core) <= 64
        base, judged = (
            EngineEvaluation(one.name, one.precision, one.device, one.core)
            for one in (reference, spec)
        )
        speed = 0.0 if self.why_not else self.gain * 1e6
        return (
            replace(base, voxels_per_second=1e6),
            replace(judged, why_not=self.why_not, voxels_per_second=speed),
        )


ASKED = [("first", "bfloat16", "float32")]


def test_by_default_a_cpu_computes_in_float32_and_nothing_is_tried(inputs):
    evaluators = Scripted()
    found = decide(inputs(), evaluators)
    assert (found.precision, found.trial, evaluators.asked) == ("float32", None, [])


def test_fast_takes_bfloat16_where_it_agrees_and_gains(inputs):
    said: list[Any] = []
    evaluators: Any = Scripted()
    found = decide(inputs(precision="fast"), evaluators, said.append)
    assert evaluators.asked == ASKED
    assert evaluators.windows
    assert (found.backend, found.precision, found.device) == (
        "first",
        "bfloat16",
        "cpu",
    )
    assert found.note == ""
    assert ["bfloat16" in event.text for event in said] == [True]
    assert found.trial is not None
    assert found.trial.devices == ("with tiles",)
    assert [one.precision for one in engines_of(found, "w")] == ["bfloat16", "float32"]
    assert evaluation_lines(found) == (
        "first float32: 1 million voxels/s",
        "first bfloat16: 2 million voxels/s",
    )


@pytest.mark.parametrize(
    ("evaluators", "told"),
    [
        (Scripted("the foreground differs"), "the foreground differs"),
        (Scripted(gain=1.05), "it is 1.05 times as fast as float32 here, not 1.1"),
    ],
    ids=["off", "slow"],
)
def test_fast_computes_in_float32_where_bfloat16_is_no_use_and_says_why(
    inputs, evaluators, told
):
    found = decide(inputs(precision="fast"), evaluators)
    assert found.precision == "float32"
    assert f"first bfloat16 is not used: {told}" in found.note
    assert found.trial is not None
    assert [one.precision for one in engines_of(found, "w")] == ["float32"]


def test_bfloat16_by_name_need_not_be_faster(inputs):
    assert decide(inputs(precision="bfloat16"), Scripted(gain=0.5)).precision == (
        "bfloat16"
    )


def test_bfloat16_by_name_gives_way_where_masks_differ_and_the_user_is_told(inputs):
    found = decide(inputs(precision="bfloat16"), Scripted("masks differ"))
    assert found.precision == "float32"
    assert "bfloat16 is not used: masks differ" in found.note


def test_fast_tries_nothing_on_a_cpu_without_bfloat16(inputs, on):
    on(PLAIN)
    evaluators = Scripted()
    found = decide(inputs(precision="fast"), evaluators)
    assert (found.precision, found.trial, evaluators.asked) == ("float32", None, [])


def test_fast_tries_no_backend_that_gains_nothing_on_this_cpu(inputs, on, monkeypatch):
    on(VECTORS)
    evaluators = Scripted()
    assert decide(inputs(precision="fast"), evaluators).precision == "bfloat16"
    assert evaluators.asked == ASKED
    rows = [replace(row, bfloat16_gain={"avx512": 1.0}) for row in table._ROWS]
    monkeypatch.setattr(table, "_ROWS", tuple(rows))
    evaluators = Scripted()
    given = inputs(precision="fast", backend="first")
    found = decide(given, evaluators)
    assert (found.precision, found.trial, evaluators.asked) == ("float32", None, [])


def test_bfloat16_by_name_is_tried_where_vectors_have_it(inputs, on):
    on(VECTORS)
    assert decide(inputs(precision="bfloat16"), Scripted()).precision == "bfloat16"


def test_bfloat16_by_name_is_refused_where_the_cpu_lacks_it(inputs, on):
    on(PLAIN)
    with pytest.raises(ConfigError, match="this CPU has no instructions for bfloat16"):
        decide(inputs(precision="bfloat16"), Scripted())


def test_workers_elsewhere_judge_where_this_cpu_cannot(inputs, on):
    on(PLAIN)
    evaluators = Scripted()
    given = inputs(precision="bfloat16", scheduler="tcp://nowhere:1")
    found = decide(given, evaluators)
    assert (found.precision, evaluators.asked) == ("bfloat16", [])
    assert trial_of(given, found).processors == ()
    assert trial_of(given, found).windows


def test_a_named_backend_without_bfloat16_is_refused(inputs, monkeypatch):
    rows = tuple(
        replace(row, precisions=("float32",)) if row.name == "openvino" else row
        for row in table._ROWS
    )
    monkeypatch.setattr(table, "_ROWS", rows)
    given = inputs(precision="bfloat16", backend="openvino")
    with pytest.raises(
        ConfigError, match=r"needs backend first or .*torch, not openvino"
    ):
        decide(given, Scripted())
    found = decide(inputs(precision="fast", backend="openvino"), Scripted())
    assert (found.precision, found.backend) == ("float32", "openvino")


def test_fast_takes_another_backend_where_the_first_has_no_bfloat16(
    inputs, monkeypatch
):
    exact = replace(FIRST, name="exact", precisions=("float32",))
    monkeypatch.setattr(table, "_ROWS", (exact, *table._ROWS))
    found = decide(inputs(precision="fast"), Scripted())
    assert (found.backend, found.precision) == ("first", "bfloat16")
    specs = [(one.name, one.precision) for one in engines_of(found, "w")]
    assert specs == [("first", "bfloat16"), ("exact", "float32")]
    found = decide(inputs(precision="fast"), Scripted("off"))
    assert (found.backend, found.precision) == ("exact", "float32")


def test_a_backend_of_one_network_is_refused_for_another(inputs, monkeypatch):
    narrow = replace(FIRST, name="openvino", architectures=("sdasn",))
    monkeypatch.setattr(table, "_ROWS", (narrow, *table._ROWS[2:]))
    assert decide(inputs()).backend in ("openvino", "tensorrt")
    with pytest.raises(ConfigError, match="runs sdasn only, not unet3d"):
        decide(inputs("unet3d", backend="openvino"))


def test_what_was_decided_survives_run_json(inputs):
    given = inputs(precision="fast")
    found = decide(given, Scripted())
    read = decisions_from(json.loads(json.dumps(found.to_plain())))
    assert read == found
    assert engines_of(read, "w") == engines_of(found, "w")
    assert trial_of(given, read).processors == ("with tiles",)
    assert plan_resources(given, read) == plan_resources(given, found)


def test_a_run_of_an_earlier_version_goes_on_in_float32(inputs):
    plain = decide(inputs()).to_plain()
    del plain["trial"]
    (spec,) = engines_of(decisions_from(plain), "w")
    assert (spec.precision, spec.device) == ("float32", "cpu")


def test_on_a_gpu_fast_means_what_auto_means_and_bfloat16_is_refused(
    inputs, monkeypatch
):
    monkeypatch.setattr(devices, "cuda_devices", lambda: ("0",))
    with pytest.raises(ConfigError, match="--precision bfloat16 is for CPUs"):
        decide(inputs(precision="bfloat16"))
    given = inputs(precision="fast", device="cuda", scheduler="tcp://nowhere:1")
    assert decide(given, Scripted()).precision == "float16"
    cpu = inputs(precision="bfloat16", device="cpu")
    assert decide(cpu, Scripted()).precision == "bfloat16"


def test_a_run_in_float32_says_once_what_fast_would_gain(inputs, on):
    given = inputs()
    found = decide(given)
    line = gain_line(given.settings, found, "sdasn")
    assert "--precision fast computes about 2.5 times as fast" in line
    named = replace(given.settings, precision="float32")
    assert gain_line(named, found, "sdasn") == ""
    assert gain_line(given.settings, replace(found, device="cuda"), "sdasn") == ""
    on(VECTORS)
    line = gain_line(given.settings, found, "sdasn")
    assert "this CPU has AVX-512 for bfloat16" in line
    assert "about 1.5 times as fast" in line
    on(PLAIN)
    assert gain_line(given.settings, found, "sdasn") == ""


class Shifted(FakeBackend):
    """A fake whose probabilities are too high in bfloat16, as a test says."""

    off = 0.0

    def __init__(self, spec):
        super().__init__(spec.core)
        self._off = np.float32(self.off if spec.precision == "bfloat16" else 0)

    def infer(self, tile, inside):
        return np.clip(super().infer(tile, inside) + self._off, 0, 1)


@pytest.fixture
def shifted(monkeypatch):
    def by(off):
        class Other(Shifted):
            pass

        Other.off = off
        monkeypatch.setattr(engine_trial, "make_backend", Other)
        return Other

    return by


QUICK = BackendSpec("fake", "", (96, 32, 32), "bfloat16")
EXACT = replace(QUICK, precision="float32")


def criteria(*processors):
    window = Roi((0, 0, 0), (32, 32, 32))
    return EngineCriteria((window,), FIELD, BY, 128, processors)


def block():
    roi = Roi.whole((70, 64, 96))
    return BlockInput(voxels(), roi, roi, roi.shape)


@pytest.mark.parametrize(
    ("here", "judged_on", "off", "note"),
    [
        (TILES, "with tiles", 0.3, ""),
        (TILES, "another", 0.0, ""),
        (TILES, "another", 0.3, "differ from fake float32 by up to 0.3"),
        (PLAIN, "with tiles", 0.0, "this CPU has no instructions for bfloat16"),
    ],
    ids=["judged before", "judged here", "off here", "without"],
)
def test_a_worker_on_another_kind_of_cpu_judges_for_itself(
    on, shifted, here, judged_on, off, note
):
    on(here)
    shifted(off)
    engine = engine_for([QUICK, EXACT], criteria(judged_on), MemoryVolume(voxels()))
    done = engine.segment(block())
    engine.close()
    assert engine.depth == 1
    if not note:
        assert isinstance(engine, Engine)
        assert done.note == ""
        return
    assert done.note.startswith("computed by fake float32 with windows of 96×32×32: ")
    assert note in done.note


def test_without_a_window_to_judge_by_bfloat16_is_not_used(on, shifted):
    on(TILES)
    shifted(0.0)
    trial = replace(criteria(), windows=())
    engine = engine_for([QUICK, EXACT], trial, MemoryVolume(voxels()))
    assert "no window of the volume" in engine.segment(block()).note
    engine.close()


@pytest.mark.parametrize("off", [0.0, 0.3])
def test_predict_takes_bfloat16_where_it_agrees(on, monkeypatch, shifted, off):
    on(TILES)
    build = shifted(off)
    made = []

    def recorded(evaluator, spec):
        made.append(spec.precision)
        return Engine(build(spec), evaluator.trial.affine)

    monkeypatch.setattr(engine_trial.EngineEvaluator, "make", recorded)
    settings = RunSettings(
        backend="fake",
        precision="bfloat16",
        normalization=Normalization("given", 100, 50),
    )
    assert predict(voxels(), settings).shape == (70, 64, 96)
    assert made == ["float32" if off else "bfloat16"]


def test_a_plan_measures_what_fast_would_gain(on, tmp_path):
    on(TILES)
    tifffile.imwrite(tmp_path / "v.tif", voxels())
    settings = RunSettings(
        backend="fake",
        normalization=Normalization("given", 100, 9),
        voxel_size=(1.0, 1.0, 1.0),
    )
    found = plan(str(tmp_path / "v.tif"), str(tmp_path / "o.zarr"), settings)
    line = next(line for line in found.lines() if line.startswith("precision "))
    assert "--precision fast: " in line
    assert found.to_plain()["gain"] in line
    on(PLAIN)
    found = plan(str(tmp_path / "v.tif"), str(tmp_path / "o.zarr"), settings)
    assert (found.gain, "precision" in " ".join(found.lines())) == ("", False)


def test_trials_in_this_process_read_the_volume_once(on, shifted):
    on(TILES)
    shifted(0.0)
    reads = []

    class Counted(MemoryVolume):
        def read(self, roi):
            reads.append(roi)
            return super().read(roi)

    with EvaluatorHere(Counted(voxels())) as evaluators:
        for _ in range(2):
            base, judged = evaluators.beside(criteria(), QUICK, EXACT)
            assert base.voxels_per_second > 0
            assert judged.why_not == ""
    assert len(reads) == 1
