"""Kernels as wide as the network's channels, where the CPU gains nothing from wider."""

import os
import subprocess
import sys

import pytest

from blockseg.inference.backends.openvino.vector_width import (
    fitting_vectors,
    halves_vectors,
)

VARIABLE = "ONEDNN_MAX_CPU_ISA"


def said(folder, vendor="AuthenticAMD", family="25", flags="fpu avx2 avx512f avx512bw"):
    info = folder / f"{vendor}-{family}-{len(flags)}"
    lines = (f"vendor_id\t: {vendor}", f"cpu family\t: {family}", f"flags\t\t: {flags}")
    both = "processor\t: 0\n{0}\n\nprocessor\t: 1\n{0}\n".format("\n".join(lines))
    info.write_text(both)
    return info


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("facts", "halved"),
    [
        ({}, True),
        ({"family": "26"}, False),
        ({"vendor": "GenuineIntel", "family": "6"}, False),
        ({"flags": "fpu avx avx2"}, False),
    ],
    ids=["Zen 4", "Zen 5", "Intel", "Zen 3"],
)
def test_only_zen_4_works_through_wide_vectors_in_halves(tmp_path, facts, halved):
    assert halves_vectors(said(tmp_path, **facts)) is halved


def test_a_system_that_says_nothing_of_its_processors_keeps_its_kernels(tmp_path):
    with fitting_vectors(8, tmp_path / "none"):
        assert VARIABLE not in os.environ


def test_narrow_networks_get_narrow_kernels_and_nothing_is_left_behind(tmp_path):
    with fitting_vectors(8, said(tmp_path)):
        assert os.environ[VARIABLE] == "AVX2"
    assert VARIABLE not in os.environ
    with fitting_vectors(16, said(tmp_path)):
        assert VARIABLE not in os.environ


def test_what_a_user_has_set_stays(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "AVX512_CORE")
    with fitting_vectors(8, said(tmp_path)):
        assert os.environ[VARIABLE] == "AVX512_CORE"
    assert os.environ[VARIABLE] == "AVX512_CORE"


PROGRAM = """
import numpy as np
from blockseg.core.specs import BackendSpec
from blockseg.networks.shipped import default_weights
from blockseg.inference.backends.openvino.backend import OpenVinoBackend

backend = OpenVinoBackend(BackendSpec("openvino", str(default_weights()), (8, 8, 8)))
backend._settings["PERF_COUNT"] = True
backend.infer(np.zeros((72, 72, 72), np.float32), None)
print(*{layer.exec_type for layer in backend._request.profiling_info})
"""


@pytest.mark.skipif(not halves_vectors(), reason="this CPU is no Zen 4")
def test_on_zen_4_the_default_network_runs_on_kernels_of_eight_channels():
    pytest.importorskip("openvino", reason="needs the extra cpu")
    words = [sys.executable, "-c", PROGRAM]
    kinds = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert "avx2" in kinds
    assert "avx512" not in kinds
