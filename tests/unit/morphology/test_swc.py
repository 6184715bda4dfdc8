"""SWC files, and the voxels that their paths pass."""

import numpy as np
import pytest

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.morphology.swc import read_swc, swc_files, trace

LINE = "1 2 0 0 0 1 -1\n2 2 6 0 0 1 1\n"


def write(folder, text, name="a.swc"):
    path = folder / name
    path.write_text(text)
    return path


def passed(path, shape, size=(1.0, 1.0, 1.0), **options):
    return trace([read_swc(path)], shape, size, **options)


def test_nodes_are_read_in_zyx_with_the_rows_of_their_parents(tmp_path):
    tree = read_swc(write(tmp_path, "# a comment\n7 2 1 2 3 .5 -1\n9 3 4 5 6 .7 7\n"))
    np.testing.assert_array_equal(tree.position, [[3, 2, 1], [6, 5, 4]])
    assert tree.parent.tolist() == [-1, 0]
    assert tree.kind.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 0 0 0 1 -1\n2 2 x 0 0 1 1\n", "line 2 is not of the form"),
        ("1 2 0 0 0 1\n", "line 1 is not of the form"),
        ("1 2 nan 0 0 1 -1\n", "line 1 is not of the form"),
        ("1 2 0 0 0 1 5\n", "line 1 names the parent 5"),
        ("1 2 0 0 0 1 -1\n1 2 1 0 0 1 -1\n", "the same id"),
        ("# nothing\n", "no SWC node"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_line(tmp_path, text, message):
    with pytest.raises(VolumeError, match=rf"a\.swc.*{message}"):
        read_swc(write(tmp_path, text))


def test_a_path_passes_every_voxel_between_its_nodes(tmp_path):
    got = passed(write(tmp_path, LINE), (1, 1, 10))
    assert got.voxel.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_the_voxel_size_and_the_place_of_the_volume_are_respected(tmp_path):
    path = write(tmp_path, LINE)
    got = passed(path, (1, 1, 4), (1.0, 1.0, 2.0), translation=(0.0, 0.0, 4.0))
    assert got.voxel.tolist() == [0, 1]
    assert got.outside > 0


def test_a_node_without_a_parent_is_a_point(tmp_path):
    assert passed(write(tmp_path, "1 2 2 1 0 1 -1\n"), (1, 3, 3)).voxel.tolist() == [5]


def test_what_lies_inside_a_soma_is_left_out(tmp_path):
    path = write(tmp_path, "1 1 0 0 0 3 -1\n2 2 6 0 0 1 1\n")
    assert passed(path, (1, 1, 10)).voxel.min() >= 3


def test_a_region_takes_its_own_voxels_counted_from_its_corner(tmp_path):
    path = write(tmp_path, "1 2 0 0 0 1 -1\n2 2 7 7 7 1 1\n")
    whole = passed(path, (8, 8, 8))
    roi = Roi((2, 3, 1), (7, 8, 6))
    places, _ = whole.within(roi)
    dense = np.zeros((8, 8, 8), dtype=bool)
    dense.ravel()[whole.voxel] = True
    got = np.zeros(roi.shape, dtype=bool)
    got[tuple(places.T)] = True
    np.testing.assert_array_equal(got, dense[roi.slices()])
    assert got.any()


def test_comments_give_the_snr_of_nodes(tmp_path):
    path = write(tmp_path, "# branch 4 2 2 3.5 6\n" + LINE)
    tree = read_swc(path)
    assert np.isnan(tree.snr[0])
    assert tree.snr[1] == 3.5
    got = trace([tree], (1, 1, 10), (1.0, 1.0, 1.0))
    assert got.snr[-1] == 3.5


def test_where_paths_cross_the_brighter_one_is_taken(tmp_path):
    dim = read_swc(write(tmp_path, "# branch 1 1 2 1 6\n" + LINE))
    bright = read_swc(write(tmp_path, "# branch 1 1 2 9 6\n" + LINE, "b.swc"))
    unknown = read_swc(write(tmp_path, LINE, "c.swc"))
    got = trace([unknown, dim, bright], (1, 1, 10), (1.0, 1.0, 1.0))
    assert set(got.snr.tolist()) == {9.0}


def test_nodes_too_far_apart_point_to_the_unit(tmp_path):
    path = write(tmp_path, "1 2 0 0 0 1 -1\n2 2 9e9 0 0 1 1\n")
    with pytest.raises(VolumeError, match="--swc-unit"):
        passed(path, (1, 1, 10))


def test_a_folder_names_the_swc_files_in_it(tmp_path):
    first, second = write(tmp_path, LINE), write(tmp_path, LINE, "b.SWC")
    write(tmp_path, "no", "notes.txt")
    assert swc_files([tmp_path]) == (first, second)


def test_a_folder_without_swc_files_is_refused(tmp_path):
    with pytest.raises(VolumeError, match="without SWC"):
        swc_files([tmp_path])
