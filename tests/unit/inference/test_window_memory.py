import json
from pathlib import Path

import pytest

from blockseg.inference.window_memory import window_memory
from blockseg.networks.weights_info import WeightsInfo
from blockseg.runtime.memory import Machine, Need, plan_layout

RESULTS = Path(__file__).parents[3] / "benchmarks/run/results/memory.json"
MEASURED = [
    row for row in json.loads(RESULTS.read_text())["rows"] if row["workers"] == 1
]


def test_memory_grows_with_the_window_and_the_precision():
    small, large = (window_memory((n, n, n), "torch") for n in (64, 128))
    assert small < large < window_memory((128, 128, 128), "torch", itemsize=8)
    assert window_memory((64, 64, 64), "fake") < small


def test_a_window_as_long_as_the_volume_needs_less_on_openvino():
    core = (128, 128, 128)
    plain = window_memory(core, "openvino")
    assert window_memory(core, "openvino", volume=(200, 200, 200)) == plain
    flat = window_memory(core, "openvino", volume=(126, 200, 200))
    assert window_memory(core, "openvino", volume=(128, 128, 128)) < flat < plain
    assert window_memory(core, "torch", volume=core) == window_memory(core, "torch")


def test_memory_is_that_of_the_network():
    core = (64, 64, 64)
    for backend in ("torch", "openvino"):
        plain = window_memory(core, backend)
        assert window_memory(core, backend, info=WeightsInfo("w", 1.0)) == plain
        needs = [
            window_memory(core, backend, info=WeightsInfo("w", 1.0, **more))
            for more in (
                {"width": 16},
                {"width": 8, "architecture": "unet3d"},
                {"width": 32, "architecture": "unet3d"},
            )
        ]
        assert plain < needs[0]
        assert needs[1] < needs[2]


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row["name"])
def test_workers_took_what_is_planned_within_15_percent(row):
    backend, edge = row["name"].replace(",", "").split()[:2]
    core = (int(edge),) * 3
    assert list(core) == row["window"]
    grown = int(edge) + 68  # two halos and the alignment
    z, y, x = row["shape"]
    need = Need(
        block_bytes=grown**3 * 2 + int(edge) ** 3 * 6,
        engine_bytes=window_memory(core, backend, volume=(z, y, x)),
    )
    fit = plan_layout(Machine(2, 2**36, 2**36), need, workers=1)
    planned = fit.peak_bytes + row["cache_MB"] * 1e6
    assert planned == pytest.approx(row["foreseen_MB"] * 1e6, rel=1e-3)
    assert 0.85 <= max(row["peaks_MB"]) * 1e6 / planned <= 1.15


def test_both_backends_were_measured_over_small_and_large_windows():
    names = [row["name"] for row in MEASURED]
    assert {"openvino 32", "openvino 128", "torch 32", "torch 96"} <= set(names)
