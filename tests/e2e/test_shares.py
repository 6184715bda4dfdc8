"""A brain done by several drivers, a part each, is the brain that one driver makes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from blockseg.blockwise.shares import plan
from blockseg.core.errors import GeometryError
from blockseg.core.work_ranges import Share
from blockseg.runtime.ledger.ledger import Ledger

from .conftest import content

OPTIONS = ("--backend", "fake", "--block", "64", "--window", "64", "-q")
SERIAL = ("--scheduler", "serial")


@pytest.mark.parametrize("blocks", [0, 1, 7, 1000])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_are_disjoint_cover_all_and_differ_by_one_block_at_most(blocks, count):
    every = np.arange(blocks, dtype=np.int64) * 3
    shares = [Share(i + 1, count).of(every) for i in range(count)]
    assert np.array_equal(np.concatenate(shares), every)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    "text", ["", "2", "0/3", "4/3", "1/0", "a/b", "1/20000", "-1/3"]
)
def test_what_is_no_share_is_said(text):
    with pytest.raises(GeometryError, match="part"):
        Share.parse(text)


@pytest.fixture(scope="module")
def whole(brain, shared_blockseg):
    shared_blockseg("run", brain, "whole.zarr", *OPTIONS, *SERIAL)
    return shared_blockseg.folder / "whole.zarr"


def test_two_drivers_at_once_and_a_third_later_make_what_one_makes(
    brain, whole, blockseg
):
    drivers = [
        blockseg.start("run", brain, "out.zarr", *OPTIONS, *SERIAL, "--part", f"{i}/3")
        for i in (1, 3)
    ]
    for driver in drivers:
        assert driver.wait(300) == 0, driver.stdout.read()

    said = blockseg("finalize", "out.zarr", "-q", code=1).output
    assert "lacks part 2/3 (not begun)" in said
    assert not (blockseg.folder / "out.zarr" / "report.html").exists()
    status = json.loads(blockseg("status", "out.zarr", "--json").output)
    states = {part["name"]: part["state"] for part in status["parts"]}
    assert states == {
        "part 1/3": "complete",
        "part 2/3": "not begun",
        "part 3/3": "complete",
    }
    assert status["phases"][0]["blocks"] == 24
    assert status["phases"][0]["done"] == 16

    blockseg("run", brain, "out.zarr", *OPTIONS, *SERIAL, "--part", "2/3")
    assert "not put together" in blockseg("status", "out.zarr").output
    blockseg("finalize", "out.zarr", "-q")
    assert content(blockseg.folder / "out.zarr") == content(whole)
    blockseg("verify", "out.zarr", "--deep")
    blockseg("finalize", "out.zarr", "-q")  # again changes nothing
    assert content(blockseg.folder / "out.zarr") == content(whole)


def test_a_driver_that_another_overtakes_while_it_looks_joins_the_plan(
    brain, blockseg, monkeypatch
):
    blockseg("run", brain, "out.zarr", *OPTIONS, *SERIAL, "--part", "1/2")
    real, looks = plan.shared_plan, []

    def not_yet_at_first(out):
        looks.append(out)
        return real(out) if len(looks) > 1 else None

    monkeypatch.setattr(plan, "shared_plan", not_yet_at_first)
    blockseg("run", brain, "out.zarr", *OPTIONS, *SERIAL, "--part", "2/2")
    assert len(looks) > 1
    blockseg("finalize", "out.zarr", "-q")


def test_what_does_not_fit_the_parts_that_are_there_is_refused(brain, blockseg):
    blockseg("run", brain, "out.zarr", *OPTIONS, *SERIAL, "--part", "1/2")
    for options, said in (
        (("--part", "1/3"), "in 2 parts, not in 3"),
        (("--part", "2/2", "--threshold", "0.6"), "--threshold was 0.5, now 0.6"),
        ((), "is done in parts"),
    ):
        output = blockseg(
            "run", brain, "out.zarr", *OPTIONS, *SERIAL, *options, code=1
        ).output
        assert said in output
        assert output.count("\n") == 1
    said = blockseg("run", brain, "o", *OPTIONS, "--part", "3/2", code=1).output
    assert "--part '3/2': expected I/N" in said


def test_a_whole_run_is_not_cut_afterwards_and_has_no_parts_to_put_together(
    brain, whole, shared_blockseg
):
    said = shared_blockseg(
        "run", brain, whole, *OPTIONS, *SERIAL, "--part", "1/2", code=1
    ).output
    assert "not done in parts" in said
    said = shared_blockseg("finalize", whole, code=1).output
    assert "nothing to put together" in said


@pytest.fixture(scope="module")
def halves(brain, shared_blockseg):
    for i in (1, 2):
        shared_blockseg("run", brain, "h.zarr", *OPTIONS, *SERIAL, "--part", f"{i}/2")
    return shared_blockseg.folder / "h.zarr"


@pytest.fixture
def out(halves, tmp_path):
    return Path(shutil.copytree(halves, tmp_path / "out.zarr"))


def test_putting_together_goes_on_where_it_was_killed(out, whole, blockseg):
    # As after a kill between ledger and record, and with one that was half written.
    (out / ".blockseg" / "ledger.sqlite").write_bytes(b"SQLite format 3\0 torn")
    (out / ".blockseg" / "ledger.sqlite.merging").write_bytes(b"torn")
    blockseg("finalize", "out.zarr", "-q")
    assert content(out) == content(whole)


def ledger_of(out, share):
    return out / ".blockseg" / "shares" / f"000{share}-of-0002" / "ledger.sqlite"


def test_a_part_with_blocks_left_is_named_with_how_many(out, blockseg):
    path = ledger_of(out, 2)
    with Ledger.read(path) as ledger:
        fingerprint = ledger.fingerprint
    with Ledger.open(path, fingerprint) as ledger:
        ledger.reset("segment", [20, 21])
    said = blockseg("finalize", "out.zarr", "-q", code=1).output
    assert "lacks part 2/2 (2 of 12 blocks left)" in said


def test_a_block_in_two_ledgers_is_refused(out, blockseg):
    ledger_of(out, 2).write_bytes(ledger_of(out, 1).read_bytes())
    said = blockseg("finalize", "out.zarr", "-q", code=1).output
    assert "which that of another part holds, too" in said
    assert not (out / ".blockseg" / "run.json").exists()
