"""One run at a time."""

import os
import signal
import subprocess
import sys

import pytest

from blockseg.core.errors import LedgerError
from blockseg.runtime.run_lock import RunLock

HOLD = """
import pathlib, sys, time
from blockseg.runtime.run_lock import RunLock
with RunLock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(3600)
"""


def test_a_second_run_is_refused_and_told_who_is_first(tmp_path):
    path = tmp_path / "run.lock"
    with (
        RunLock(path),
        pytest.raises(LedgerError, match=rf"process {os.getpid()} on "),
    ):
        RunLock(path).acquire()


def test_the_lock_is_free_after_its_holder_let_go(tmp_path):
    path = tmp_path / "run.lock"
    for _ in range(2):
        with RunLock(path):
            pass


def test_the_lock_is_free_after_its_holder_was_killed(tmp_path):
    path = tmp_path / "run.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerError, match=f"process {holder.pid} on "):
            RunLock(path).acquire()
        holder.send_signal(signal.SIGKILL)
    with RunLock(path):
        pass


def test_a_holder_without_a_name_is_still_a_holder(tmp_path):
    path = tmp_path / "run.lock"
    with RunLock(path):
        (tmp_path / "run.lock.json").write_text("{", encoding="utf-8")
        with pytest.raises(LedgerError, match="process unknown"):
            RunLock(path).acquire()


def test_a_lock_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot lock"):
        RunLock(tmp_path / "file" / "run.lock").acquire()
