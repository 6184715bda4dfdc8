"""What would be released works where the repository is not."""

import os
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*words, cwd):
    """Run a command without Python's variables; what it prints."""
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


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build a source archive, and a wheel from it alone."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    (archive,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return archive, wheel


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_installs_and_runs_outside_the_repository(built, tmp_path):
    archive, wheel = built
    run(sys.executable, "-m", "venv", "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    run(
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-compile", "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path,
    )  # fmt: skip
    command = tmp_path / "env" / "bin" / "blockseg"
    assert "version" in run(command, "--version", cwd=tmp_path)
    assert "default" in run(command, "configs", "list", cwd=tmp_path)
    assert "sha256" in run(command, "weights", "show", cwd=tmp_path)
    run(
        command, "synth", "b.zarr", "--shape", "64,64,64", "--preset", "clean",
        "--scheduler", "serial", cwd=tmp_path,
    )  # fmt: skip
    out = run(command, "run", "b.zarr", "--scheduler", "serial", cwd=tmp_path)
    assert "pip install 'blockseg[cpu]'" in out, (
        "torch stands in for OpenVINO, and is named"
    )
    assert "Done: " in out
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "cli/main.py"} <= names


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(find_spec("twine") is None, reason="needs twine (extra dev)")
def test_an_index_would_take_the_archive_and_the_wheel(built, tmp_path):
    said = run(sys.executable, "-m", "twine", "check", "--strict", *built, cwd=tmp_path)
    assert said.count("PASSED") == 2
