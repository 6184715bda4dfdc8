"""Jobs that work on the result of a finished run and write into the same output."""

import json
import shutil
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.derived.image import RunImage
from blockseg.blockwise.derived.job import fresh_image, fresh_part, open_derived
from blockseg.blockwise.planning.light_tasks import reading_layout
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.run import run
from blockseg.blockwise.status import status
from blockseg.blockwise.task import OpenTask, Stored, report_of
from blockseg.config.settings import RunSettings
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.io.protocol import Volume
from blockseg.runtime.run_lock import RunLock

RUN = ("--scheduler", "serial", "--backend", "fake", "--block", "64", "-q")


@dataclass(frozen=True, slots=True)
class Inverse:
    """Writes the inverse of the foreground."""

    name: ClassVar[str] = "inverse"
    foreground: RunImage
    image: PyramidSpec

    @property
    def grid(self):
        return self.foreground.grid

    def open(self, cache_bytes):
        return _Inverting(self.foreground.open(cache_bytes), PyramidWriter(self.image))

    def stores(self):
        return (Stored(self.image),)

    def reads(self):
        return None


@dataclass(frozen=True, slots=True)
class _Inverting(OpenTask):
    volume: Volume
    writer: PyramidWriter

    def __call__(self, block, meter):
        with meter("read"):
            mask = self.volume.read(block.write_roi)
        return report_of(block, self.writer.write_block(block.write_roi, 1 - mask))


def invert(out, *, partial=False, overwrite=False, **parameters):
    settings = RunSettings(scheduler="serial")
    with derived_from(str(out), "inverse", allow_partial=partial) as finished:
        made = finished.provenance(**parameters)
        paths = Paths(finished.out, "inverse", owns=("labels/inverse",))
        begun = open_derived(finished, paths, made, settings, overwrite=overwrite)
        image = finished.label_image("inverse", "uint8", made, checked=begun.checked)
        foreground = finished.image("labels/foreground")
        layout = reading_layout(settings, finished.grid, foreground.open(), copies=4)
        job = begun.job(Inverse(foreground, image), *layout)
        result = run(job, lambda _: None, engine="inverting")
        assert result.complete
        return finished


def voxels(path):
    volume = open_volume(find(str(path), mask=True))
    return volume.read(Roi.whole(volume.shape))


@pytest.fixture
def out(blockseg, brain):
    blockseg("run", brain, "out.zarr", *RUN, "--roi", "16:128,0:160,0:200")
    return blockseg.folder / "out.zarr"


def test_a_derived_job_writes_beside_the_run_and_leaves_its_record_alone(
    blockseg, out, content_of
):
    before = content_of(out)
    record = (out / ".blockseg/run.json").read_bytes()
    finished = invert(out)
    assert (
        voxels(out / "labels/inverse") == 1 - voxels(out / "labels/foreground")
    ).all()
    assert (out / ".blockseg/run.json").read_bytes() == record
    after = content_of(out)
    assert {name for name in before if after[name] != before[name]} == {
        "labels/zarr.json"
    }
    listed = json.loads((out / "labels/zarr.json").read_text())["attributes"]["ome"]
    assert listed["labels"] == ["foreground", "inverse"]
    inverse = open_volume(find(str(out / "labels/inverse"), mask=True))
    assert inverse.space == finished.space
    assert finished.space.translation[0] == 16 * finished.space.voxel_size[0]
    assert fresh_image(finished, "labels/inverse", "") == finished.provenance()
    said = blockseg("status", "out.zarr").stdout
    assert "out.zarr: complete" in said
    assert "inverse: complete" in said.replace(f" of {out}", "")


def test_the_run_given_again_keeps_what_was_derived(blockseg, brain, out, content_of):
    invert(out)
    before = content_of(out)
    again = blockseg(
        "run", brain, "out.zarr", *RUN[:-1], "--roi", "16:128,0:160,0:200", "--verify"
    )
    assert "as they were written" in again.stdout
    assert content_of(out) == before
    assert status(str(out)).parts[0].state == "complete"


def test_a_complete_derived_job_does_nothing_and_other_parameters_are_refused(out):
    invert(out, size=3)
    shard = next(p for p in (out / "labels/inverse/0/c").rglob("*") if p.is_file())
    before = shard.stat().st_mtime_ns
    invert(out, size=3)
    assert shard.stat().st_mtime_ns == before
    record = RunRecord.of(Paths(out, "inverse"))
    assert record is not None
    assert len(record.sessions) == 2
    with pytest.raises(LedgerError, match=r"--size was 3, now 4.*--overwrite"):
        invert(out, size=4)
    invert(out, size=4, overwrite=True)
    assert (
        voxels(out / "labels/inverse") == 1 - voxels(out / "labels/foreground")
    ).all()


def test_what_is_gone_is_made_again(blockseg, out, content_of):
    invert(out)
    before = content_of(out)
    lost = next(
        path for path in (out / "labels/inverse/0/c").rglob("*") if path.is_file()
    )
    lost.unlink()
    assert status(str(out)).parts[0].state == "damaged"
    assert "Go on with" in blockseg("status", "out.zarr").stdout
    invert(out)
    assert content_of(out) == before


def test_what_was_made_from_another_state_of_the_run_is_stale(blockseg, brain, out):
    invert(out)
    kept = blockseg.folder / "kept"
    shutil.copytree(out / "labels/inverse", kept / "image")
    shutil.copytree(out / ".blockseg/inverse", kept / "part")
    again = ("--roi", "16:128,0:160,0:200", "--threshold", "0.3", "--overwrite")
    blockseg("run", brain, "out.zarr", *RUN, *again)
    assert not (out / "labels/inverse").exists()
    shutil.copytree(kept / "image", out / "labels/inverse")
    shutil.copytree(kept / "part", out / ".blockseg/inverse")
    with derived_from(str(out), "other", allow_partial=False) as finished:
        for look in (fresh_image, fresh_part):
            name = "labels/inverse" if look is fresh_image else "inverse"
            with pytest.raises(
                LedgerError, match=r"threshold 0.5.*0.3;.*blockseg invert --over"
            ):
                look(finished, name, "blockseg invert")
    with pytest.raises(LedgerError, match=r"stale.*--overwrite makes it anew"):
        invert(out)
    invert(out, overwrite=True)


def test_an_incomplete_run_is_refused_unless_what_is_missing_may_be_background(
    blockseg, brain
):
    shutil.copytree(brain, blockseg.folder / "torn.zarr")
    shard = blockseg.folder / "torn.zarr/0/c/0/1/1"
    shard.write_bytes(shard.read_bytes()[:-9])
    blockseg("run", "torn.zarr", "out.zarr", *RUN, "--normalization", "200,10", code=3)
    out = blockseg.folder / "out.zarr"
    with pytest.raises(LedgerError, match=r"not complete.*--allow-partial"):
        invert(out)
    finished = invert(out, partial=True)
    assert finished.missing
    assert "count as background" in finished.notes[0]
    assert fresh_image(finished, "labels/inverse", "").missing == finished.missing
    missing = int(np.flatnonzero(~finished.done)[0])
    roi = finished.grid.numbered(missing).write_roi
    assert (voxels(out / "labels/inverse")[roi.slices()] == 1).all()
    # Whatever lies on disk there.
    written = replace(finished.image("labels/foreground"), absent=frozenset({0}))
    first = finished.grid.numbered(0).write_roi
    assert not written.open().read(first).any()
    assert written.open().read(first.shifted((0, 1, 1)))[:, -1, -1].size


def test_a_run_that_is_under_way_and_what_is_no_run_are_refused(blockseg, brain, out):
    # Another process holds it: locks of one process do not exclude each other.
    with (
        RunLock(out / ".blockseg/lock"),
        pytest.raises(LedgerError, match="another run"),
    ):
        invert(out)
    with pytest.raises(VolumeError, match="no output of blockseg run"):
        invert(brain)
    with pytest.raises(VolumeError, match="no output of blockseg run"):
        invert(blockseg.folder / "nothing.zarr")


def test_a_part_that_was_never_made_is_named_with_what_makes_it(out):
    with derived_from(str(out), "other", allow_partial=False) as finished:
        with pytest.raises(VolumeError, match="make it with: blockseg invert"):
            fresh_image(finished, "labels/inverse", "blockseg invert")
        with pytest.raises(VolumeError, match="make it with: blockseg invert"):
            fresh_part(finished, "inverse", "blockseg invert")
        assert status(str(out)).state == "complete"  # the run, while a part holds it
