"""Reports at the end of commands, and comparisons, as a user has them."""

import json
import shlex
from html.parser import HTMLParser

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.reports.write import FILE

RUN = ("--scheduler", "serial", "--backend", "fake", "--block", "64")
BOX = ("--roi", "10:70,20:148,0:128")
SERIAL = ("--scheduler", "serial", "-q")


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words, self.sources, self.commands = [], "", [], []
        self.text = path.read_text(encoding="utf-8")
        self.size = path.stat().st_size
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "pre":
            self.commands.append("")
        for name, value in attrs:
            assert not name.startswith("on"), "a script in an attribute"
            if name in ("src", "href", "xlink:href"):
                self.sources.append(value)

    def handle_data(self, data):
        self.words += data
        if self.commands and self.tags[-1] == "pre":
            self.commands[-1] += data


def is_self_contained(page):
    assert "script" not in page.tags
    assert page.size < 3_000_000
    for source in page.sources:
        assert source.startswith(("data:image/", "#")), source[:80]
    assert "prefers-color-scheme: dark" in page.text
    if "svg" in page.tags:
        assert "currentColor" in page.text
    assert "#012345" not in page.text


@pytest.mark.usefixtures("reports")
def test_a_run_its_labels_and_its_traces_end_with_a_page(blockseg, brain, content_of):
    blockseg("run", brain, "out.zarr", *RUN, *BOX, "-q")
    out = blockseg.folder / "out.zarr"
    first = Page(out / FILE)
    is_self_contained(first)
    assert "Complete: 4 of 4 blocks written" in first.words
    assert "Objects" not in first.words
    # The command that the page gives makes the same result from anywhere.
    again = first.commands[0]
    assert again.startswith(f"blockseg run {brain} OUT ")
    words = shlex.split(again.replace("OUT", "again.zarr", 1))[1:]
    blockseg(*words, "--no-report", "-q")
    assert not (blockseg.folder / "again.zarr" / FILE).exists()
    assert content_of(out) == content_of(blockseg.folder / "again.zarr")
    blockseg("label", "out.zarr", *SERIAL)
    blockseg("skeletonize", "out.zarr", *SERIAL)
    second = Page(out / FILE)
    is_self_contained(second)
    for heading in ("The whole brain", "Probability", "Metrics", "Objects", "Machine"):
        assert f"<h2>{heading}</h2>" in second.text
    assert "branch points" in second.words
    assert second.tags.count("svg") >= 5
    assert second.tags.count("img") > 10
    assert len(second.commands) == 4


@pytest.mark.usefixtures("reports")
def test_a_run_with_a_damaged_chunk_says_so_on_its_page(blockseg):
    voxels = np.random.default_rng(0).normal(200, 9, (64, 64, 128)).astype(np.uint16)
    made = zarr.create_array(
        blockseg.folder / "a.zarr", shape=voxels.shape, dtype="u2", chunks=(64, 64, 64)
    )
    made[:] = voxels
    (blockseg.folder / "a.zarr" / "c" / "0" / "0" / "1").write_bytes(b"no chunk")
    blockseg(
        "run", "a.zarr", "out.zarr", *RUN, "--voxel-size", "1,1,1", "--halo", "0",
        "--inexact", "--normalization", "200,9", "-q", code=3,
    )  # fmt: skip
    page = Page(blockseg.folder / "out.zarr" / FILE)
    is_self_contained(page)
    assert "Incomplete: 1 of 2 blocks written" in page.words
    assert "<h3>Failures</h3>" in page.text
    assert "c/0/0/1" in page.words


@pytest.mark.usefixtures("reports")
def test_a_page_that_cannot_be_written_costs_nothing(blockseg, brain):
    box = ("--roi", "0:64,0:64,0:64")
    blockseg("run", brain, "out.zarr", *RUN, *box, "--no-report", "-q")
    (blockseg.folder / "out.zarr" / FILE).mkdir()
    done = blockseg("run", brain, "out.zarr", *RUN, *box)
    said = [line for line in done.output.splitlines() if "report" in line]
    assert len(said) == 1
    assert "the report could not be written" in said[0]
    assert "Done: 1 block" in done.output
    (line,) = blockseg("report", "out.zarr", code=1).stderr.splitlines()
    assert "report.html" in line


@pytest.mark.usefixtures("reports")
def test_what_has_no_run_has_no_report(blockseg, brain):
    (line,) = blockseg("report", brain, code=1).stderr.splitlines()
    assert "no output of blockseg run" in line


def test_two_runs_are_compared_side_by_side(blockseg, brain):
    blockseg("run", brain, "a.zarr", *RUN, *BOX, "-q")
    blockseg("run", brain, "b.zarr", *RUN, *BOX, "--threshold", "0.9", "-q")
    done = blockseg("compare", "a.zarr", "b.zarr", "-o", "page.html")
    a, b = (level(blockseg.folder / name) > 0 for name in ("a.zarr", "b.zarr"))
    assert (a & ~b).sum() > 0
    counted = f"{(a & b).sum():,} voxels in both masks, {(a & ~b).sum():,} only in A, 0"
    assert done.output.startswith(counted)
    page = Page(blockseg.folder / "page.html")
    is_self_contained(page)
    assert "--threshold was 0.5, now 0.9" in page.words
    assert "Voxels that differ" in page.words
    ids = np.ones((4, 8, 8), np.uint8)
    ids[2:] = 2
    tifffile.imwrite(blockseg.folder / "atlas.tif", ids, photometric="minisblack")
    regions = blockseg(
        "compare", "a.zarr", "b.zarr", "-o", "page.html", "--atlas", "atlas.tif",
        "--atlas-voxel-size", size_of(blockseg.folder / "a.zarr", a.shape, ids.shape),
    ).output  # fmt: skip
    halves = [((a & ~b)[part]).sum() for part in (np.s_[:30], np.s_[30:])]
    for region, only in enumerate(halves, 1):
        (line,) = [one for one in regions.splitlines() if f"  region {region}:" in one]
        assert f" {only:,} only in A" in line
    assert "<h2>By region</h2>" in Page(blockseg.folder / "page.html").text
    same = blockseg("compare", "a.zarr", "a.zarr", "-o", "same.html").output
    assert "Dice 1.0000" in same
    assert "differ in 0 of" in same


def size_of(out, shape, parts):
    """Return the voxel size by which an atlas of so many parts is as large as OUT."""
    from blockseg.io.find import find
    from blockseg.io.open import open_volume

    size = open_volume(find(str(out / "labels/foreground"), mask=True)).space.voxel_size
    edges = (n * s / m for n, s, m in zip(shape, size, parts, strict=True))
    return ",".join(map(str, edges))


def level(out):
    from blockseg.core.geometry import Roi
    from blockseg.io.find import find
    from blockseg.io.open import open_volume

    volume = open_volume(find(str(out / "labels/foreground"), mask=True))
    return volume.read(Roi.whole(volume.shape))


def test_a_comparison_with_the_truth_says_which_is_better(blockseg):
    truth = np.zeros((20, 48, 64), np.uint8)
    truth[8:12, 20:24] = truth[8:12, :, 30:34] = 1
    worse = truth.copy()
    worse[:, 30:] = 0
    for name, voxels in (("truth", truth), ("a", worse), ("b", truth)):
        tifffile.imwrite(blockseg.folder / f"{name}.tif", voxels)
    done = blockseg("compare", "a.tif", "b.tif", "--truth", "truth.tif")
    blockseg("evaluate", "a.tif", "truth.tif", "--json", "s.json", "-q")
    scores = json.loads((blockseg.folder / "s.json").read_text())["measures"]
    said = f"centreline: F1: A {scores['centreline_f1']['value']:.3f}, B 1.000"
    assert f"{said}, B is better." in done.output
    page = Page(blockseg.folder / "compare.html")
    is_self_contained(page)
    assert "<h2>Scores</h2>" in page.text
    assert f"{scores['voxel_dice']['value']:.4f}" in page.words


def test_what_cannot_be_compared_is_refused_in_one_line(blockseg, brain):
    box = ("--roi", "0:64,0:64,0:64")
    blockseg("run", brain, "a.zarr", *RUN, *box, "-q")
    blockseg("run", brain, "b.zarr", *RUN, "--roi", "0:64,0:64,64:128", "-q")
    (line,) = blockseg("compare", "a.zarr", brain, code=1).stderr.splitlines()[-1:]
    assert "compare segmentations of the same volume" in line or "holds" in line
    (line,) = blockseg("compare", "a.zarr", "b.zarr", code=1).stderr.splitlines()
    assert "the same region" in line
    (line,) = blockseg(
        "compare", "a.zarr", "a.zarr", "-o", "no/where.html", code=1
    ).stderr.splitlines()
    assert "--output" in line
