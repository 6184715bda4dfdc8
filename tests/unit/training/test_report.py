"""What a training leaves to look at."""

import csv
import re
import sys

import numpy as np
import pytest

from blockseg.core.errors import MissingExtraError
from blockseg.reports.curves import Curve, curves
from blockseg.training.data.examples import make_example
from blockseg.training.history import Row, as_csv
from blockseg.training.reports.html import Report, ReportFacts
from blockseg.training.reports.tensorboard import TensorBoard

FACTS = ReportFacts(
    title="mine & <yours>",
    network="sdasn of width 2",
    sources=({"name": "lines", "voxels": "4,096"},),
    settings={"rate": "0.02"},
    machine={"cores": "2"},
    again="blockseg train '/a b' -o RUN",
)


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    from tests.unit.training.conftest import Tiny

    folder = tmp_path_factory.mktemp("reported")
    run = Tiny(folder / "run")
    run.path.mkdir()
    page = Report(run.folder.report, FACTS)
    run(watchers=(page, TensorBoard(run.folder.tensorboard, 0)))
    return run


def test_the_report_needs_nothing_but_itself(reported):
    page = reported.folder.report.read_text()
    assert not re.search(r"(src|href)=['\"](?!data:|#)", page)
    assert "<script" not in page
    assert page.count("<svg") == 4
    assert page.count("data:image/") == 8  # two volumes, four pictures each
    assert "mine &amp; &lt;yours&gt;" in page
    assert "Finished</b>: 12 steps" in page
    assert "blockseg train &#x27;/a b&#x27; -o RUN" in page


def test_the_log_holds_every_validation(reported):
    with reported.folder.log.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3", "4", "6", "8", "9", "12"]
    assert [bool(row["f1"]) for row in rows] == [False, True, False, True, False, True]
    assert rows[-1]["improved"] in ("True", "False")


def test_tensorboard_gets_scalars_and_pictures(reported):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    events = accumulator.EventAccumulator(str(reported.folder.tensorboard))
    events.Reload()
    assert [e.step for e in events.Scalars("loss/validation")] == [4, 8, 12]
    assert [e.step for e in events.Images("volume 0")] == [4, 8, 12]


def test_tensorboard_that_is_missing_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"blockseg\[train\]"):
        TensorBoard(tmp_path, 0)


def test_a_row_without_a_validation_leaves_its_cells_empty():
    text = as_csv([Row(10, 0.5, 0.001), Row(20, 0.25, f1=1.0)])
    lines = text.splitlines()
    assert lines[1] == "10,0.5,0.001,0,,,,,,,"
    assert lines[2] == "20,0.25,,0,,1,,,,,"


def test_a_chart_draws_what_is_finite_and_no_more_than_a_page_holds():
    points = ((0.0, 1.0), (5.0, float("nan")), (10.0, 100.0))
    drawn = curves("loss", [Curve("a < b", points)] * 2, logarithmic=True)
    assert "a &lt; b" in drawn
    assert "currentColor" in drawn
    assert "NaN" not in drawn
    many = tuple((float(n), n % 7 + 0.5) for n in range(50_000))
    assert len(curves("loss", [Curve("many", many)])) < 40_000


@pytest.mark.parametrize("points", [(), ((0.0, float("nan")),)])
def test_of_nothing_there_is_no_chart(points):
    assert not curves("f1", [Curve("f1", points)], low=0, high=1)


def test_a_chart_of_one_point_is_still_a_chart():
    drawn = curves("f1", [Curve("f1", ((3.0, 0.5),), dots=True)], low=0, high=1)
    assert drawn.rstrip().endswith("</svg>")


def test_an_example_shows_the_part_with_most_neurites(toys):
    from blockseg.training.data.data import ValidationVolume

    image, target = toys.lines(1, (80, 16, 400))
    target[:] = 0
    target[60, 8, 350:] = 1
    target[:, :2] = 255
    example = make_example(ValidationVolume("v", image, target), target == 1)
    assert example.image.shape == (16, 320)
    assert (example.truth == 255).sum() == 50
    assert (example.truth[:2] == 90).all()
    found = (example.overlay == 255).all(axis=-1)
    np.testing.assert_array_equal(found, example.truth == 255)
