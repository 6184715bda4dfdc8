"""Another threshold for a finished run: the same bytes as a run with it."""

import json
import shutil

import numpy as np
import pytest
import tifffile
from scipy.ndimage import label as components

from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.status import status
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.thresholding.run import threshold
from blockseg.thresholding.task import _OpenThresholding

RUN = ("--scheduler", "serial", "--backend", "fake", "--block", "64", "-q")
SERIAL = ("--scheduler", "serial", "-q")


def voxels(path):
    volume = open_volume(find(str(path), mask=True))
    return volume.read(Roi.whole(volume.shape))


def facts(out):
    record = json.loads((out / ".blockseg/run.json").read_text())
    return {key: record[key] for key in ("request", "decisions", "facts")}


REGION = ("--roi", "16:128,0:160,0:200", "--mask", "mask.tif")


@pytest.fixture(scope="module")
def made(shared_blockseg, brain):
    """Return a folder with two outputs of one run, by the thresholds 0.5 and 0.3."""
    mask = np.zeros((128, 192, 256), np.uint8)
    mask[:, 20:, :150] = 1
    tifffile.imwrite(shared_blockseg.folder / "mask.tif", mask)
    shared_blockseg("run", brain, "half.zarr", *RUN, *REGION)
    shared_blockseg("run", brain, "third.zarr", *RUN, *REGION, "--threshold", "0.3")
    return shared_blockseg.folder


@pytest.fixture
def two(blockseg, made):
    """Return both: the first as a copy, and the second, which stays as it is."""
    blockseg.folder = made
    shutil.rmtree(made / "copy.zarr", ignore_errors=True)
    shutil.copytree(made / "half.zarr", made / "copy.zarr")
    return made / "copy.zarr", made / "third.zarr"


def test_a_threshold_gives_the_bytes_of_a_run_with_it(blockseg, two, content_of):
    half, third = two
    before = content_of(half)
    assert before != content_of(third)
    blockseg("threshold", half, "0.3", *SERIAL)
    assert content_of(half) == content_of(third)
    assert facts(half) == facts(third)
    ours, theirs = (status(str(out)) for out in (half, third))
    assert (ours.state, ours.totals["foreground"]) == (
        "complete",
        theirs.totals["foreground"],
    )
    assert ours.totals["computed"] == theirs.totals["computed"]
    blockseg("verify", half, "--deep")
    blockseg("threshold", half, "0.5", *SERIAL)
    assert content_of(half) == before


def test_a_run_with_another_threshold_names_the_command(blockseg, brain, two):
    half, _ = two
    options = (*RUN, *REGION)
    said = blockseg("run", brain, half, *options, "--threshold", "0.3", code=1)
    assert f"blockseg threshold {half} 0.3" in said.output
    blockseg("threshold", half, "0.3", *SERIAL)
    blockseg("run", brain, half, *options, "--threshold", "0.3")
    said = blockseg("run", brain, half, *options, code=1)
    assert f"blockseg threshold {half} 0.5" in said.output
    said = blockseg("run", brain, half, *options, "--halo", "40", code=1)
    assert "belongs to another run" in said.output


def test_what_was_stopped_goes_on_and_is_left_alone_by_others(
    blockseg, brain, two, content_of, monkeypatch
):
    half, third = two
    made: list[int] = []
    whole = _OpenThresholding.__call__

    def stopped(self, block, meter):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(block.number)
        return whole(self, block, meter)

    with monkeypatch.context() as patch:
        patch.setattr(_OpenThresholding, "__call__", stopped)
        blockseg("threshold", half, "0.3", *SERIAL, code=130)
    assert status(str(half)).state == "stopped"
    options = (*RUN, *REGION)
    again = f"blockseg threshold {half} 0.3"
    said = blockseg("run", brain, half, *options, "--threshold", "0.3", code=1)
    assert again in said.output
    assert again in blockseg("threshold", half, "0.2", *SERIAL, code=1).output
    blockseg("threshold", half, "0.3", *SERIAL)
    assert len(made) == 3
    assert content_of(half) == content_of(third)


def test_the_command_that_is_named_goes_on_with_a_threshold_of_many_digits(
    blockseg, two, monkeypatch
):
    half, _ = two
    with monkeypatch.context() as patch:
        patch.setattr("blockseg.thresholding.run.run_job", _killed)
        with pytest.raises(KeyboardInterrupt):
            threshold(str(half), 0.300000123)
    refused = blockseg("threshold", half, "0.2", *SERIAL, code=1).output
    named = refused.partition("blockseg threshold ")[2].split()
    blockseg("threshold", *named, *SERIAL)
    assert status(str(half)).state == "complete"


def test_retry_goes_on_with_what_was_stopped(blockseg, two, content_of, monkeypatch):
    half, third = two
    with monkeypatch.context() as patch:
        # As if the driver died between ledger and record.
        patch.setattr("blockseg.blockwise.record.record.RunRecord.save", _killed)
        with pytest.raises(KeyboardInterrupt):
            threshold(str(half), 0.3)
    blockseg("threshold", half, "0.3", *SERIAL)
    assert content_of(half) == content_of(third)
    with monkeypatch.context() as patch:
        patch.setattr("blockseg.thresholding.run.run_job", _killed)
        with pytest.raises(KeyboardInterrupt):
            threshold(str(half), 0.6)
    blockseg("retry", half, *SERIAL)
    blockseg("threshold", half, "0.3", *SERIAL)
    assert content_of(half) == content_of(third)


def _killed(*_, **__):
    raise KeyboardInterrupt


def test_damaged_probability_is_inferred_again_and_never_taken_for_sound(
    blockseg, two, content_of
):
    half, third = two
    shard = max((half / "0/c").rglob("*"), key=lambda path: path.stat().st_size)
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(bytes(data))
    said = blockseg("threshold", half, "0.3", *SERIAL, code=3)
    assert "segment block" in said.output
    assert f"again with: blockseg retry {half}" in " ".join(said.output.split())
    for words in (("threshold", half, "0.2"), ("label", half)):
        refused = blockseg(*words, *SERIAL, code=1)
        assert f"finish it with: blockseg retry {half}" in " ".join(
            refused.stderr.split()
        )
    blockseg("retry", half, *SERIAL)
    assert content_of(half) == content_of(third)


def test_objects_of_another_threshold_are_stale_until_the_first_is_back(
    blockseg, two, content_of
):
    half, _ = two
    blockseg("label", half, *SERIAL, "--no-image")
    before = content_of(half)
    said = blockseg("threshold", half, "0.3", *SERIAL[:2])
    assert f"blockseg label {half} --overwrite" in said.stdout
    assert {part.name: part.state for part in status(str(half)).parts} == {
        "label": "stale"
    }
    said = " ".join(blockseg("status", half).stdout.split())
    assert (
        said.count("stale: it was made by the threshold 0.5, and the run's is 0.3") == 1
    )
    assert f"remake it with: blockseg label {half} " in said
    assert "label-pieces" not in said
    assert "the threshold 0.5" in blockseg("skeletonize", half, *SERIAL, code=1).output
    blockseg("threshold", half, "0.5", *SERIAL)
    assert content_of(half) == before
    assert {part.state for part in status(str(half)).parts} == {"complete"}


def test_small_objects_are_left_out_where_that_is_asked_for(blockseg, two):
    half, _ = two
    blockseg("label", half, *SERIAL, "--no-image")
    blockseg("threshold", half, "0.3", *SERIAL, "--min-size", "200")
    with derived_from(str(half), "look", allow_partial=False) as finished:
        assert finished.decisions.threshold == 76
    mask, clean = (
        voxels(half / "labels" / name) for name in ("foreground", "foreground_clean")
    )
    found, _ = components(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(found.ravel())
    assert (clean == ((sizes >= 200)[found] & (found > 0))).all()
    assert 0 < clean.sum() < mask.sum()
    table = half / "tables" / "objects.csv"
    made = table.stat().st_mtime_ns
    blockseg("threshold", half, "0.3", *SERIAL, "--min-size", "200")
    assert table.stat().st_mtime_ns == made, "what fits is not labelled anew"
    blockseg("threshold", half, "0.3", *SERIAL, "--min-size", "100")
    assert table.stat().st_mtime_ns > made


def test_without_the_image_the_mask_is_made_and_metrics_are_left_out(
    blockseg, brain, content_of
):
    shutil.copytree(brain, blockseg.folder / "brain.zarr")
    blockseg("run", "brain.zarr", "out.zarr", *RUN)
    blockseg(
        "run", "brain.zarr", "bare.zarr", *RUN, "--no-metrics", "--threshold", ".4"
    )
    shutil.rmtree(blockseg.folder / "brain.zarr")
    out = blockseg.folder / "out.zarr"
    before = content_of(out)
    said = blockseg("threshold", out, "0.4", *SERIAL, code=1)
    assert "--no-metrics" in said.output
    assert content_of(out) == before
    blockseg("threshold", out, "0.4", *SERIAL, "--no-metrics")
    assert content_of(out) == content_of(blockseg.folder / "bare.zarr")
    assert not (out / "blocks").exists()


def test_what_is_no_finished_run_is_refused(blockseg, brain, two):
    half, _ = two
    with pytest.raises(VolumeError, match="no output of blockseg run"):
        threshold(str(brain), 0.3)
    for wrong in ("0", "1.5", "half"):
        said = blockseg("threshold", half, wrong, code=1)
        assert "--threshold" in said.output
