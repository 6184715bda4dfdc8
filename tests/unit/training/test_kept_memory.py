"""Memory that a training keeps from step to step."""

import ctypes
import os
import sys

import pytest

from blockseg.training.learning.kept_memory import kept_memory

GNU = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")


@pytest.fixture
def untold(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("MALLOC_", "GLIBC_TUNABLES")):
            monkeypatch.delenv(name)


@pytest.mark.skipif(not GNU, reason="no C library of GNU")
@pytest.mark.usefixtures("untold")
def test_memory_is_kept_where_the_c_library_is_gnus():
    with kept_memory() as kept:
        assert kept


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_environment_says_of_memory_stays(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with kept_memory() as kept:
        assert not kept
