import numpy as np
import pytest

from blockseg.annotation.swc_edit import SwcTree
from blockseg.annotation.traces import Placed, Traces
from blockseg.core.errors import VolumeError
from blockseg.morphology.swc import read_swc

LINE = """# source: brain
# length: 12
1 1 0 0 0 1 -1
2 0 0 0 0 1 1 7
3 0 1.50 0 0 1 2
4 0 2 0 0 1 3
5 0 2 1 0 1 3
"""
OTHER = "9 0 10 0 0 1 -1\n4 0 11 0 0 1 9\n6 0 12 0 0 1 4\n"
HERE = Placed((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (8, 8, 16))


@pytest.fixture
def traces(tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "a.swc").write_text(LINE)
    (tmp_path / "from" / "b.swc").write_text(OTHER)
    (tmp_path / "from" / "far.swc").write_text("1 0 500 0 0 1 -1\n")
    return Traces.open(
        tmp_path / "traces", tmp_path / "kept", str(tmp_path / "from"), [HERE]
    )


def edges(path):
    tree = read_swc(path)
    return {
        frozenset((tuple(tree.position[n]), tuple(tree.position[p])))
        for n, p in enumerate(tree.parent)
        if p >= 0
    }


def files(traces):
    return {path.name: path.read_text() for path in traces.root.iterdir()}


def test_only_files_that_pass_a_pick_are_copied_and_only_once(traces, tmp_path):
    assert files(traces) == {"a.swc": LINE, "b.swc": OTHER}
    traces.delete("b")
    again = Traces.open(traces.root, traces.backup, str(tmp_path / "from"), [HERE])
    assert files(again) == {"a.swc": LINE}
    assert (tmp_path / "kept" / "deleted" / "b.swc").read_text() == OTHER


def test_a_split_cuts_one_edge_and_loses_nothing(traces, tmp_path):
    before = edges(traces.root / "a.swc")
    traces.split("a", 3)
    upper, lower = (edges(traces.root / f"{name}.swc") for name in ("a", "a-2"))
    assert before - upper - lower == {frozenset(((0, 0, 0), (0, 0, 1.5)))}
    assert not upper & lower
    assert "3 0 1.50 0 0 1 -1" in (traces.root / "a-2.swc").read_text()
    assert "2 0 0 0 0 1 1 7" in (traces.root / "a.swc").read_text()
    assert "length" not in (traces.root / "a.swc").read_text()
    assert "# source: brain" in (traces.root / "a-2.swc").read_text()
    assert (tmp_path / "kept" / "a.swc").read_text() == LINE
    assert traces.undo()
    assert files(traces).keys() == {"a.swc", "b.swc"}
    assert edges(traces.root / "a.swc") == before
    assert not traces.undo()


def test_a_join_makes_one_tree_of_all_edges_and_a_new_one(traces):
    both = edges(traces.root / "a.swc") | edges(traces.root / "b.swc")
    traces.join("a", 4, "b", 4)
    assert files(traces).keys() == {"a.swc"}
    joined = edges(traces.root / "a.swc")
    assert joined == both | {frozenset(((0, 0, 2), (0, 0, 11)))}
    tree = read_swc(traces.root / "a.swc")
    assert (tree.parent < 0).sum() == 1
    assert (tree.parent < np.arange(len(tree.parent))).all()
    with pytest.raises(VolumeError, match="cycle"):
        traces.join("a", 4, "a", 5)


def test_a_soma_that_only_stood_in_goes_when_its_tree_is_hung_elsewhere(traces):
    traces.join("b", 6, "a", 4)
    tree = read_swc(traces.root / "b.swc")
    assert len(tree.parent) == 3 + 4
    assert not (tree.kind == 1).any()


def test_accepted_traces_say_so_and_it_can_be_taken_back(traces):
    traces.accept("a", yes=True)
    assert SwcTree.read(traces.root / "a.swc").accepted
    assert [t.accepted for t in traces.shown(HERE)] == [True, False]
    traces.accept("a", yes=False)
    assert not SwcTree.read(traces.root / "a.swc").accepted
    traces.accept("a", yes=True)
    traces.split("a", 3)
    assert not any(trace.accepted for trace in traces.shown(HERE))


def test_what_is_shown_is_what_lies_in_the_pick_and_its_neighbours(traces):
    part = Placed((0.0, 0.0, 1.5), (1.0, 1.0, 0.5), (1, 1, 1))
    (shown,) = traces.shown(part)
    assert shown.name == "a"
    assert {node[0]: node[1:4] for node in shown.nodes} == {
        2: (0, 0, -3), 3: (0, 0, 0), 4: (0, 0, 1), 5: (0, 1, 1),
    }  # fmt: skip


def test_a_node_or_trace_that_is_gone_is_said(traces):
    for edit in (
        lambda: traces.split("a", 99),
        lambda: traces.split("a", 1),
        lambda: traces.delete("c"),
        lambda: traces.split("../a", 3),
    ):
        with pytest.raises(VolumeError):
            edit()
    assert files(traces) == {"a.swc": LINE, "b.swc": OTHER}
