import math

import numpy as np
import pytest

from blockseg.blockwise.planning import resources as fitting
from blockseg.blockwise.planning.resources import make_grid, plan_resources
from blockseg.blockwise.sources.inputs import Inputs, Weights, memory_source
from blockseg.config.settings import RunSettings
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Roi
from blockseg.core.specs import Normalization
from blockseg.networks.weights_info import WeightsInfo
from blockseg.runtime.memory import Machine
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.forecast import work_over_one_pass

GIB = 2**30


def inputs_of(shape, tmp_path, roi=None, **given):
    """Return a run on a volume that takes no memory, of the default network."""
    noise = np.random.default_rng(0).integers(100, 200, shape[-1], np.uint16)
    volume = np.broadcast_to(noise, shape)
    info = WeightsInfo("named", 1.0)
    settings = RunSettings(normalization=Normalization("given", 150, 20), **given)
    return Inputs(
        memory_source(volume),
        tmp_path,
        roi or Roi.whole(shape),
        Weights(tmp_path / "none", info, ""),
        None,
        settings,
    )


@pytest.fixture
def a_machine_of(monkeypatch):
    def chosen(cores, gib):
        here = Machine(cores, int(gib * GIB), int(gib * GIB * 9 // 10))
        monkeypatch.setattr(fitting, "machine", lambda: here)

    return chosen


@pytest.mark.parametrize("backend", ["openvino", "torch"])
@pytest.mark.parametrize(
    "shape",
    [
        (256, 512, 512),
        (512, 1024, 1024),
        (300, 1000, 1000),
        (277, 733, 911),
        (513, 1025, 1025),
        (400, 400, 400),
        (2000, 12000, 9001),
    ],
)
def test_a_brain_costs_135_hundredths_of_one_pass_at_most_on_24_gib(
    shape, backend, tmp_path, a_machine_of
):
    a_machine_of(2, 24)
    inputs = inputs_of(shape, tmp_path, backend=backend)
    chosen = decide(inputs)
    layout = plan_resources(inputs, chosen)
    assert layout.workers == 2
    assert layout.peak_bytes * 2 < 24 * GIB * 0.85
    assert work_over_one_pass(inputs, chosen) <= 1.35


def test_a_region_off_the_networks_grid_costs_no_more(tmp_path, a_machine_of):
    a_machine_of(2, 24)
    roi = Roi((2, 3, 5), (500, 700, 700))
    inputs = inputs_of((512, 1024, 1024), tmp_path, roi=roi)
    assert work_over_one_pass(inputs, decide(inputs)) <= 1.35


@pytest.mark.parametrize("cores", [2, 4, 16])
def test_all_workers_have_as_many_blocks(cores, tmp_path, a_machine_of):
    a_machine_of(cores, 12 * cores)
    inputs = inputs_of((256, 512, 512), tmp_path)
    chosen = decide(inputs)
    blocks = len(make_grid(inputs, chosen.block))
    workers = plan_resources(inputs, chosen).workers
    assert blocks / workers / math.ceil(blocks / workers) > 0.8


def test_less_memory_makes_smaller_windows_not_fewer_workers(tmp_path, a_machine_of):
    windows = []
    for gib in (2, 3, 24):
        a_machine_of(2, gib)
        inputs = inputs_of((512, 1024, 1024), tmp_path)
        chosen = decide(inputs)
        assert plan_resources(inputs, chosen).workers == 2
        windows.append(math.prod(chosen.window))
    assert windows[0] < windows[1] <= windows[2]


def test_a_machine_too_small_for_any_window_is_refused(tmp_path, a_machine_of):
    a_machine_of(2, 0.75)
    with pytest.raises(ConfigError, match="one worker needs"):
        decide(inputs_of((64, 64, 64), tmp_path))


def test_what_is_given_is_kept(tmp_path, a_machine_of):
    a_machine_of(2, 24)
    given = {"block": (128, 256, 64), "window": (64, 128, 32), "threads": 3}
    chosen = decide(inputs_of((300, 300, 300), tmp_path, **given))
    assert (chosen.block, chosen.window) == (given["block"], given["window"])
    assert chosen.threads == 3


@pytest.mark.parametrize("gib", [6, 12])
def test_workers_that_are_given_get_windows_that_fit(gib, tmp_path, a_machine_of):
    a_machine_of(2, gib)
    inputs = inputs_of((512, 1024, 1024), tmp_path, workers=3)
    layout = plan_resources(inputs, decide(inputs))
    assert layout.workers == 3
    assert 3 * layout.peak_bytes < gib * GIB


def test_more_workers_than_fit_get_the_smallest_windows(tmp_path, a_machine_of):
    a_machine_of(2, 2)
    inputs = inputs_of((256, 256, 256), tmp_path, workers=20)
    chosen = decide(inputs)
    assert plan_resources(inputs, chosen).workers == 20
    assert math.prod(chosen.window) <= 64**3
