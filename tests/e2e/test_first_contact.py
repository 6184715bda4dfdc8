"""Commands as a new user gives them: log files, plans, a run on a result."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile


def test_a_log_file_takes_what_is_said_with_times(blockseg):
    code = (
        "import logging, sys\n"
        "from blockseg_cli.main import main\n"
        "sys.argv = ['blockseg', '--log-file', 'run.log', 'weights', 'list']\n"
        "try: main()\n"
        "finally: logging.getLogger('blockseg.test').info('a word')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=blockseg.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "INFO blockseg.test: a word" in (blockseg.folder / "run.log").read_text()
    assert "a word" not in done.stderr


def test_a_log_file_has_the_command_what_was_said_and_every_block(blockseg, brain):
    tifffile.imwrite(blockseg.folder / "bare.tif", np.zeros((8, 64, 64), np.uint16) + 9)
    options = ("--scheduler", "serial", "--backend", "fake", "--block", "64")
    for source, code in ((brain, 0), ("bare.tif", 0), ("none.tif", 1)):
        words = ["--log-file", "all.log", "run", source, f"{code}.zarr", "--overwrite"]
        words = blockseg.words(*words, *options)
        done = subprocess.run(
            words, cwd=blockseg.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert "blockseg.progress" not in done.stderr
    said = (blockseg.folder / "all.log").read_text()
    assert f"blockseg --log-file all.log run {brain}" in said
    assert "128×192×256 voxels in 24 blocks" in said
    assert sum("segment block" in line for line in said.splitlines()) == 24 + 1
    assert "Warning: " in said
    assert "Error: " in said


def test_a_log_file_that_cannot_be_written_is_one_line(blockseg):
    failed = blockseg("--log-file", "no/such.log", "weights", "list", code=1)
    assert "--log-file no/such.log cannot be written" in failed.output


def test_a_run_on_its_own_output_names_the_run_and_the_image(blockseg, brain):
    options = ("--scheduler", "serial", "--backend", "fake", "--block", "64", "-q")
    blockseg("run", brain, "out.zarr", *options)
    for command in ("run", "plan"):
        failed = blockseg(command, "out.zarr", *options[:6], code=1)
        assert "is the output of a run" in failed.output
        assert str(brain) in failed.output
        assert "blockseg run" in failed.output
    assert not (blockseg.folder / "out.blockseg.zarr").exists()


def test_a_plan_without_a_trial_answers_from_what_is_known(
    blockseg, brain, monkeypatch
):
    options = ("--scheduler", "serial", "--backend", "fake", "--block", "64")
    quick = blockseg("plan", brain, "out.zarr", *options, "--no-trial")
    assert "not known" in quick.stdout, "no table has the engine of tests"
    assert "measuring the speed" not in quick.output
    for waits in (True, False):
        monkeypatch.setattr("blockseg_cli.plan.somebody_waits", lambda w=waits: w)
        full = blockseg("plan", brain, "out.zarr", *options)
        assert ("measuring the speed of fake" in full.stderr) == waits
    assert "million voxels/s" in full.stdout


def test_a_plan_without_a_trial_estimates_hours_from_machines_that_were_measured(
    blockseg, brain, monkeypatch
):
    def refuse(*_):
        pytest.fail("something is computed")

    monkeypatch.setattr("blockseg.segmentation.forecast.make_backend", refuse)
    options = ("--backend", "torch", "--block", "64", "--no-trial")
    said = blockseg("plan", brain, "out.zarr", *options).stdout
    assert "time       roughly" in said
    assert "to start included: by runs on an" in said
    found = json.loads(blockseg("plan", brain, "out.zarr", *options, "--json").stdout)
    seconds = 128 * 192 * 256 * found["computed_over_written"]
    seconds /= found["voxels_per_second"] * found["computed_over_written"]
    assert found["hours"] * 3600 == pytest.approx(seconds + found["start_seconds"])
    assert 1 < found["start_seconds"] < 60
    assert found["rate_of"]
