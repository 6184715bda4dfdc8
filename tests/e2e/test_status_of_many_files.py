"""The status of a run with many files is there at once, and says what it left out."""

import blockseg.blockwise.status as module


def test_files_of_some_blocks_are_looked_at_where_there_are_many(
    brain, blockseg, monkeypatch
):
    words = ("--backend", "fake", "--block", "64", "--window", "64", "-q")
    blockseg("run", brain, "out.zarr", *words, "--scheduler", "serial", "--no-metrics")
    assert "looked at" not in blockseg("status", "out.zarr").output
    monkeypatch.setattr(module, "_MOST_FILES", 30)
    said = blockseg("status", "out.zarr").output
    assert "files of one block in" in said
    assert "blockseg verify compares all" in said
    # Of the blocks that are looked at what is gone is seen as always.
    (blockseg.folder / "out.zarr" / "0" / "c" / "0" / "0" / "0").unlink()
    assert "damaged" in blockseg("status", "out.zarr").output
