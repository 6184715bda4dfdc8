"""Reasons why workers do not start, as a user can mend them."""

import errno
import sys
from types import SimpleNamespace

import pytest

from blockseg.runtime.dask.start_errors import why_no_workers


def caused(error, cause):
    error.__cause__ = cause
    return error


NANNY = RuntimeError("Nanny failed to start.")


def test_without_shared_memory_the_line_names_it(tmp_path):
    gone = tmp_path / "shm"
    cause = FileNotFoundError(errno.ENOENT, "No such file or directory")
    line = why_no_workers(caused(RuntimeError("Cluster failed"), cause), gone)
    assert f"{gone} is missing, full or cannot be written to" in line
    assert "__main__" not in line
    assert "--scheduler serial" in line


@pytest.mark.parametrize(
    "cause",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=repr,
)
def test_with_little_memory_the_line_says_so(tmp_path, cause):
    line = why_no_workers(caused(RuntimeError("Cluster failed"), cause), tmp_path)
    assert "too little memory or address space" in line
    assert "__main__" not in line


def test_a_script_is_told_of_its_guard_and_a_command_is_not(tmp_path, monkeypatch):
    script = SimpleNamespace(__file__="/home/me/mine.py", __spec__=None)
    monkeypatch.setitem(sys.modules, "__main__", script)
    assert "if __name__ == '__main__'" in why_no_workers(NANNY, tmp_path)
    command = SimpleNamespace(__spec__=SimpleNamespace(name="blockseg_cli.__main__"))
    monkeypatch.setitem(sys.modules, "__main__", command)
    assert "__main__" not in why_no_workers(NANNY, tmp_path)
    installed = SimpleNamespace(__file__="/usr/bin/blockseg", __spec__=None)
    monkeypatch.setitem(sys.modules, "__main__", installed)
    assert "__main__" not in why_no_workers(NANNY, tmp_path)
