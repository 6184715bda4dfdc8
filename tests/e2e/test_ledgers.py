"""The ledger where the user wants it, and never that of somebody else."""

import pytest

SMALL = ("--shape", "16,32,32", "--preset", "clean", "--block", "16")
SERIAL = ("--scheduler", "serial", "-q")
FAKE = ("--backend", "fake", "--block", "16", *SERIAL)


@pytest.fixture
def tiny(blockseg):
    """A brain of 16×32×32 voxels."""
    blockseg("synth", "tiny.zarr", *SMALL, *SERIAL)
    return "tiny.zarr"


@pytest.mark.parametrize(
    "command",
    [
        ("synth", "out.zarr", *SMALL, *SERIAL),
        ("convert", "tiny.zarr", "out.zarr", "--block", "16", *SERIAL),
        ("run", "tiny.zarr", "out.zarr", *FAKE),
    ],
    ids=lambda words: words[0],
)
def test_every_job_goes_on_with_a_ledger_elsewhere(blockseg, tiny, command):
    blockseg(*command, "--ledger", "here.sqlite")
    assert (blockseg.folder / "here.sqlite").exists()
    assert not (blockseg.folder / "out.zarr/.blockseg/ledger.sqlite").exists()
    assert "complete" in blockseg("status", "out.zarr").stdout
    blockseg(*command)
    assert not (blockseg.folder / "out.zarr/.blockseg/ledger.sqlite").exists()
