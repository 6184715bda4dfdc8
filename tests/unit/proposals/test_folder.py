"""Files of a folder of picks: what is asked, the manifest, points and the report."""

import json
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from blockseg.config.merging import read_settings
from blockseg.config.propose_settings import ProposeSettings
from blockseg.core.errors import ConfigError, LedgerError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.space import Space
from blockseg.proposals.folder import PicksFolder, earlier_rows
from blockseg.proposals.manifest import ManifestRow, Origin
from blockseg.proposals.map import BrainMap
from blockseg.proposals.points import napari_points, neuroglancer_points
from blockseg.proposals.report import ReportFacts, report
from blockseg.proposals.request import BrainRequest, command_again
from blockseg.reports.curves import Axis, scatter

PNG = b"\x89PNG"
SEEN = "data:image/jpeg;base64,AA"


def row(name="a", rank=1, number=1, source="brain", **more):
    return ManifestRow(
        name=name,
        rank=rank,
        round=number,
        rule="dhpr",
        reason="L < 2 & more",
        box=Roi((64, 0, 128), (128, 64, 160)),
        source=source,
        measures={"low_snr": 0.5, "entropy": None, **more},
    )


def request(count=2, run="x", **more):
    return BrainRequest(ProposeSettings(count=count, **more), run, 1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rule": "best"}, "--rule 'best': choose one of dhpr"),
        ({"count": 0}, "--count 0: at least 1"),
        ({"margin": -1}, "--margin -1"),
        ({"pick_shape": (64, 0, 64)}, "--pick-shape"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        ProposeSettings(**values)


def test_settings_are_read_as_users_write_them():
    given = {"count": "20", "pick-shape": "128", "exclude": "a", "mask": None}
    assert read_settings(ProposeSettings, given) == ProposeSettings(
        count=20, pick_shape=(128, 128, 128), exclude=("a",)
    )
    several = {"exclude": ("a", "b"), "pick_shape": (64, 64, 128), "update": True}
    assert read_settings(ProposeSettings, several) == ProposeSettings(
        exclude=("a", "b"), pick_shape=(64, 64, 128), update=True
    )
    with pytest.raises(ConfigError, match="did you mean 'count'"):
        read_settings(ProposeSettings, {"counts": 3})
    with pytest.raises(ConfigError, match="--margin 'wide': expected a whole number"):
        read_settings(ProposeSettings, {"margin": "wide"})


def test_what_only_says_how_to_go_on_is_no_part_of_a_request():
    same = {"pick_shape": (64, 64, 64), "exclude": ("a",)}
    one = request(**same).to_plain()
    assert one == request(**same, update=True, allow_partial=True).to_plain()
    assert json.loads(json.dumps(one)) == one


@pytest.mark.parametrize(
    "kept",
    [
        row(region=3, hardness=0.5),
        replace(row(), image_start=(60, 0, 124)),
        replace(row(), image_start=(60, 0, 124), centre=(0.5, 2.0, 9.25)),
    ],
)
def test_a_row_comes_back_as_it_was_written(kept):
    plain = kept.to_plain()
    read = ManifestRow.from_plain(json.loads(json.dumps(plain)))
    assert read == kept
    assert list(read.to_plain().items()) == list(plain.items())


def test_a_folder_grows_by_rounds_and_knows_what_was_asked(tmp_path):
    root = tmp_path / "picks"
    first = PicksFolder.open(root, request(2, "x"), update=False)
    assert not root.exists()
    with first.locked(request(2, "x")):
        pass
    first.finish([row("a"), row("b", 2)], Origin("brain"))
    assert [r.name for r in earlier_rows(root)] == ["a", "b"]
    lines = (root / "manifest.csv").read_text().splitlines()
    assert lines[1].startswith("a,1,1,dhpr,L < 2 & more,64,0,128,64,64,32,0.5,,brain")

    again = PicksFolder.open(root, request(2, "x"), update=False)
    assert (again.number, again.earlier) == (1, [])
    with pytest.raises(LedgerError, match=r"count was 2, now 3\); choose another"):
        PicksFolder.open(root, request(3, "x"), update=False)

    more = PicksFolder.open(root, request(2, "y"), update=True)
    assert (more.number, [r.name for r in more.earlier]) == (2, ["a", "b"])
    with more.locked(request(2, "y")):
        pass
    with pytest.raises(LedgerError, match=r"did not finish .* run was y, now z"):
        PicksFolder.open(root, request(2, "z"), update=True)
    more.finish([row("c", 1, 2)], Origin("brain"))
    assert [r.name for r in earlier_rows(root)] == ["a", "b", "c"]
    same = PicksFolder.open(root, request(2, "y"), update=True)
    assert (same.number, [r.name for r in same.earlier]) == (2, ["a", "b"])
    with pytest.raises(LedgerError, match="made with --update"):
        PicksFolder.open(root, request(2, "y"), update=False)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(VolumeError, match="exists and holds no picks"):
        PicksFolder.open(tmp_path, request(), update=False)
    with pytest.raises(LedgerError, match=r"no picks in .* to add to"):
        PicksFolder.open(tmp_path / "new", request(), update=True)
    with pytest.raises(VolumeError, match=r"holds no manifest\.json"):
        earlier_rows(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 9, "picks": []}')
    with pytest.raises(LedgerError, match="another version"):
        earlier_rows(tmp_path)
    for damaged in ("{", '{"format": 1}', '{"format": 1, "picks": [{"name": "a"}]}'):
        (tmp_path / "manifest.json").write_text(damaged)
        with pytest.raises(VolumeError, match="cannot be read as picks"):
            earlier_rows(tmp_path)


def test_a_label_saved_under_another_ending_is_found(tmp_path):
    folder = PicksFolder(tmp_path)
    (tmp_path / "label").mkdir()
    assert folder.label("a").name == "a.tif"
    (tmp_path / "label" / "a.TIFF").write_bytes(b"")
    assert folder.label("a").name == "a.TIFF"


def test_viewers_get_the_boxes_and_the_centres():
    space = Space((2.0, 0.5, 0.5), "micrometer", (4.0, 0.0, 1.0))
    state = json.loads(neuroglancer_points([row()], space))
    assert state["dimensions"] == {"z": [2e-6, "m"], "y": [5e-7, "m"], "x": [5e-7, "m"]}
    (box,) = state["layers"][0]["annotations"]
    assert (box["pointA"], box["pointB"]) == ([66, 0, 130], [130, 64, 162])
    assert state["position"] == [98, 32, 146]
    assert "position" not in json.loads(neuroglancer_points([], Space()))
    assert napari_points([row()]) == ("index,axis-0,axis-1,axis-2\n0,95.5,31.5,143.5\n")


class Elements(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found, self.links = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href")]


def test_a_report_needs_nothing_else_and_has_a_row_for_each_pick():
    blocks = {
        "low_snr": np.array([0.1, 0.5, np.nan]),
        "entropy": np.full(3, np.nan),
        "fragmentation": np.array([1.0, 10.0, 0.0]),
    }
    rows = [
        row("a", fragmentation=2.0),
        row("b<", 2, source="other", fragmentation=None),
    ]
    facts = ReportFacts(
        "T & T",
        "2 picks",
        ("a note",),
        blocks,
        BrainMap(PNG, (0, 0), (64, 256)),
        "brain",
    )
    page = report(rows, dict.fromkeys(("a", "b<"), (SEEN, SEEN)), facts)
    elements = Elements(page)
    assert elements.found.count("tr") == 3
    assert elements.found.count("svg") == 1  # of the others, one side is unknown
    assert all(link.startswith(("data:image/", "#")) for link in elements.links)
    assert "script" not in elements.found
    assert "#a" in elements.links, "a dot leads to its row"
    assert "T &amp; T" in page
    assert "<li>a note</li>" in page
    assert "left:50.0%;top:0.0%;width:12.5%;height:100.0%" in page
    assert page.count("class='place'") == 1  # the other brain looks different


def test_a_chart_of_one_value_is_drawn_and_ticks_are_round():
    same = Axis("x", np.array([174.0, 174.0]), np.array([174.0]))
    wide = Axis("y", np.array([0.02, 300.0]), np.array([0.0]), logarithmic=True)
    drawn = scatter(same, wide, ["a"])
    assert ">174" in drawn
    assert ">100<" in drawn
    assert "nan" not in drawn


def test_the_command_of_a_report_says_what_was_asked():
    settings = ProposeSettings(count=3, exclude=("/a b", "/c"), ignore_uncertain=True)
    words = shlex.split(command_again("/out.zarr", settings))
    assert words[:5] == ["blockseg", "propose-annotations", "/out.zarr", "-o", "PICKS"]
    options = dict(zip(words[5::2], words[6::2], strict=False))
    assert options["--count"] == "3"
    assert words.count("--exclude") == 2
    assert "--ignore-uncertain" in words
    assert "--rule" not in words
