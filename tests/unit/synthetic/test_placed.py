"""Real neurons in synthetic brains: read, smoothed, placed."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, Zyx
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.neurons.placed import Placed
from blockseg.synthetic.neurons.reconstruction import read_reconstruction, smooth_path
from blockseg.synthetic.neurons.swc import neuron_swc
from blockseg.synthetic.params import Morphology
from blockseg.synthetic.presets import preset

# A soma, an axon that forks into a straight and a crooked branch, and a dendrite.
TREE = """# made for a test
1 1 0 0 0 4 -1
2 2 6 0 0 0.5 1
3 2 16 1 0 0.6 2
4 2 26 0 1 0.5 3
5 2 36 0 2 0.5 4
6 2 46 1 2 0.5 5
7 2 26 12 1 0.4 4
8 2 25 22 3 0.4 7
9 3 -6 0 0 0.9 1
10 3 -16 4 4 0.8 9
11 3 -26 6 4 0.6 10
"""
SHAPE: Zyx = (64, 80, 80)
SIZE = (1.0, 0.5, 0.5)


def _file(tmp_path: Path, text: str = TREE) -> Path:
    path = tmp_path / "tree.swc"
    path.write_text(text)
    return path


def _brain(tmp_path: Path, seed: int = 1) -> SyntheticBrain:
    form = read_reconstruction(_file(tmp_path))
    params = preset("clean")
    placed = Placed(SHAPE, params, seed, [form], SIZE)
    return SyntheticBrain(SHAPE, params, seed, neurites=placed)


def test_a_tree_is_cut_at_its_branch_points_and_its_soma_is_no_neurite(
    tmp_path: Path,
) -> None:
    form = read_reconstruction(_file(tmp_path))
    assert [len(s.node) for s in form.stretches if s.parent < 0] == [3, 3]
    children = [s for s in form.stretches if s.parent >= 0]
    assert sorted(len(s.node) for s in children) == [3, 3]
    assert all(s.at_soma == (s.parent < 0) for s in form.stretches)
    # The course goes on along the straighter of the two branches only.
    assert sorted(s.before >= 0 for s in children) == [False, True]
    assert sorted({s.kind for s in form.stretches}) == [2, 3]
    assert form.soma is not None
    assert form.has_radii
    assert form.length == pytest.approx(10.1 * 2 + 20.1 + 22.2 + 21.8, abs=1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("12 2 1 2 3 1", "line 13 is not of the form"),
        ("12 2 1 nan 3 1 4", "line 13 is not of the form"),
        ("12 2 1 2 3 1 77", "line 13 names the parent 77"),
        ("12 2 1 2 3 1 12", "line 13 belongs to a circle"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(VolumeError, match=rf"tree\.swc, {message}"):
        read_reconstruction(_file(tmp_path, TREE + line + "\n"))


def test_a_file_without_neurites_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"tree\.swc holds no neurite"):
        read_reconstruction(_file(tmp_path, "1 1 0 0 0 4 -1\n"))


def test_equal_radii_do_not_count_as_measured(tmp_path: Path) -> None:
    text = "1 2 0 0 0 1 -1\n2 2 9 0 0 1 1\n3 2 19 3 0 1 2\n"
    assert not read_reconstruction(_file(tmp_path, text)).has_radii


def test_a_smooth_path_is_even_and_passes_its_nodes() -> None:
    nodes = np.array([[0, 0, 0], [0, 10, 0], [5, 12, 8], [5, 30, 8]], float)
    points, radius = smooth_path(nodes, np.array([1.0, 2.0, 2.0, 1.0]), step=0.5)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps.mean() == pytest.approx(0.5, rel=0.02)
    assert steps.max() < 0.51
    for node in nodes:
        assert np.linalg.norm(points - node, axis=1).min() < 0.3
    np.testing.assert_allclose(points[[0, -1]], nodes[[0, -1]], atol=1e-5)
    assert radius.min() == pytest.approx(1)
    assert radius.max() == pytest.approx(2, abs=0.05)
    turns = (np.diff(points, axis=0)[1:] * np.diff(points, axis=0)[:-1]).sum(axis=1)
    assert (turns / steps[1:] / steps[:-1]).min() > 0.8  # no corner at a node


def test_equal_nodes_do_no_harm() -> None:
    nodes = np.array([[0, 0, 0], [0, 0, 0], [0, 4, 0], [0, 4, 0]], float)
    points, radius = smooth_path(nodes, np.ones(4))
    assert np.isfinite(points).all()
    np.testing.assert_allclose(radius, 1)


def test_a_region_with_real_neurons_equals_the_crop_of_the_whole(
    tmp_path: Path,
) -> None:
    whole = _brain(tmp_path).block(Roi.whole(SHAPE))
    assert len(np.unique(whole.labels)) > 1
    for roi in (Roi((10, 30, 30), (50, 80, 79)), Roi((60, 64, 0), (64, 80, 64))):
        part = _brain(tmp_path).block(roi)
        np.testing.assert_array_equal(part.image, whole.image[roi.slices()])
        np.testing.assert_array_equal(part.labels, whole.labels[roi.slices()])
        np.testing.assert_array_equal(part.branches, whole.branches[roi.slices()])


def test_real_neurons_come_back_from_a_pickle_the_same(tmp_path: Path) -> None:
    placed = _brain(tmp_path).neurites
    again = pickle.loads(pickle.dumps(placed))
    roi = Roi((0, 0, 0), (60, 60, 60))
    np.testing.assert_array_equal(
        placed.near(roi, 5).points.position, again.near(roi, 5).points.position
    )


def test_placed_neurons_keep_their_lengths_and_joints(tmp_path: Path) -> None:
    brain = _brain(tmp_path, seed=2)
    form = read_reconstruction(_file(tmp_path))
    lengths = []
    for unit in brain.neurites.units:
        for tracing in brain.neurites.owned(unit.index):
            (neuron,) = tracing.neurons()
            tree = neuron_swc(tracing, neuron, voxel_size=SIZE)
            assert tree is not None
            rows = np.array(
                [r.split() for r in tree.text.splitlines() if r[0] != "#"], float
            )
            if len(tree.branches) < len(form.stretches):
                continue  # the brain ends here
            assert (rows[:, 6] == -1).sum() == 1  # all of it hangs on the soma
            linked = (rows[:, 6] > 1) & (rows[:, 1] != 1)
            ends = rows[rows[linked, 6].astype(int) - 1, 2:5]
            step = np.linalg.norm(rows[linked, 2:5] - ends, axis=1)
            assert step.max() < 0.7  # µm: a step of 0.6 voxels, at most along z
            lengths.append(step.sum())
    assert len(lengths) > 0
    # Roots begin at the first node off the soma; the path is a little longer, being smooth.
    np.testing.assert_allclose(lengths, form.length, rtol=0.06)


def test_there_is_as_much_path_as_the_preset_has_passing_axons(tmp_path: Path) -> None:
    form = read_reconstruction(_file(tmp_path))
    params = replace(preset("clean"), morphology=Morphology(axon_density=3000.0))
    placed = Placed((96, 96, 96), params, 1, [form], SIZE)
    points = placed.near(Roi.whole((96, 96, 96)), 0).points
    assert len(points.radius) * 0.6 / 0.96**3 == pytest.approx(3000, rel=0.4)
