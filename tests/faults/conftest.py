"""A brain for faults, made once; the faults that CI makes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.lab import Brain
from tests.faults.runner import fault_run, why_not
from tests.faults.table import FAULTS

ROOT = Path(__file__).parents[2]
SEED = 7


@pytest.fixture(scope="session")
def faulted_brain(tmp_path_factory):
    return Brain(tmp_path_factory.mktemp("faults") / "brain")


@pytest.fixture
def make_fault(faulted_brain, tmp_path):
    """Make a fault; what needs small disks moves into a mount namespace of its own."""

    def make(name):
        reason = why_not(FAULTS[name])
        if "namespace" in reason:
            words = [sys.executable, "-m", "tests.faults", "--runs", "1"]
            more = ["--only", name, "--seed", str(SEED), "--scratch", str(tmp_path)]
            done = subprocess.run(
                [*words, *more], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            reason = "" if " ok: " in done.stdout else done.stdout
        elif not reason:
            outcome = fault_run(name, SEED, faulted_brain, tmp_path)
            assert outcome.result == "ok", outcome.error
        if reason:
            pytest.skip(reason)

    return make
