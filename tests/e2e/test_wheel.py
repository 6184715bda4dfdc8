"""The wheel works where the repository is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_installs_and_runs_outside_the_repository(tmp_path):
    def run(*words, cwd=tmp_path):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(  # noqa: PLW1510 - the assert below tells more
            [str(word) for word in words],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=clean,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "venv", "env")
    python = tmp_path / "env" / "bin" / "python"
    run(
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--constraint", ROOT / "constraints.txt", wheel,
    )  # fmt: skip
    command = tmp_path / "env" / "bin" / "blockseg"
    assert "version" in run(command, "--version")
    assert "default" in run(command, "configs", "list")
    assert "sha256" in run(command, "weights", "show")
    run(
        command, "synth", "b.zarr", "--shape", "64,64,64", "--preset", "clean",
        "--scheduler", "serial",
    )  # fmt: skip
    out = run(command, "run", "b.zarr", "--scheduler", "serial")
    assert "pip install 'blockseg[cpu]'" in out, (
        "torch stands in for OpenVINO, and is named"
    )
    assert "Done: " in out
