import json
from importlib.resources import files
from types import SimpleNamespace

import pytest

from blockseg.inference.processor import Processor, maker_of_wide_vectors
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights_info import load_info
from blockseg.segmentation import known_rates
from blockseg.segmentation.known_rates import known_rate

CPUS = {
    "zen 4": ("AuthenticAMD", "25", "avx2 avx512f", ""),
    "zen 5": ("AuthenticAMD", "26", "avx2 avx512f", "AuthenticAMD"),
    "xeon": ("GenuineIntel", "6", "avx2 avx512f amx_tile", "GenuineIntel"),
    "laptop": ("GenuineIntel", "6", "avx2", ""),
}


def decisions(**other):
    values = {
        "backend": "llvm", "device": "cpu", "precision": "float32",
        "window": (64, 64, 64), "threads": 1,
    }  # fmt: skip
    return SimpleNamespace(**{**values, **other})


@pytest.fixture(scope="module")
def info():
    return load_info(default_weights())


@pytest.mark.parametrize("name", CPUS)
def test_a_processor_is_told_by_the_width_that_it_works_through(tmp_path, name):
    maker, family, flags, expected = CPUS[name]
    file = tmp_path / "cpuinfo"
    file.write_text(f"vendor_id : {maker}\ncpu family : {family}\nflags : {flags}\n\n")
    assert maker_of_wide_vectors(file) == expected
    assert maker_of_wide_vectors(tmp_path / "none") == ""


def test_rates_grow_with_threads_and_windows_and_are_those_of_the_backend(info):
    one = known_rate(decisions(), info)
    assert one.voxels_per_second > 0
    assert one.source
    two = known_rate(decisions(threads=2), info)
    assert two.voxels_per_second == pytest.approx(2 * one.voxels_per_second)
    large = known_rate(decisions(window=(128, 128, 128)), info)
    assert large.voxels_per_second > one.voxels_per_second, "margins cost less"
    assert (
        known_rate(decisions(backend="torch"), info).voxels_per_second
        < one.voxels_per_second
    )
    for unknown in (decisions(backend="fake"), decisions(device="cuda")):
        assert known_rate(unknown, info).voxels_per_second == 0


def test_an_unknown_processor_is_taken_for_the_slowest_that_was_measured(
    info, monkeypatch
):
    def with_maker(maker, tiles=""):
        monkeypatch.setattr(known_rates, "maker_of_wide_vectors", lambda: maker)
        monkeypatch.setattr(known_rates, "processor", lambda: Processor("x", tiles))

    with_maker("SomebodyElse")
    odd = known_rate(decisions(), info)
    with_maker("")
    assert known_rate(decisions(), info) == odd
    with_maker("AuthenticAMD")
    assert known_rate(decisions(), info).voxels_per_second > odd.voxels_per_second
    half = decisions(precision="bfloat16")
    for maker, unit in (("GenuineIntel", "amx"), ("", "avx512")):
        with_maker(maker, unit)
        plain = known_rate(decisions(), info).voxels_per_second
        assert known_rate(half, info).voxels_per_second > plain
    with_maker("GenuineIntel")  # without bfloat16, workers compute in float32
    assert known_rate(half, info) == known_rate(decisions(), info)


def test_the_table_is_that_of_the_published_runs():
    from benchmarks.infer.bench_rates import of_runs

    table = json.loads((files("blockseg.segmentation") / "rates.json").read_text())
    assert table["runs"] == of_runs()
    assert table["backends_measured_on"]["processor"]
