"""SWC text and Neuroglancer's skeletons, read back as their formats say."""

import json
import struct

import numpy as np
import pytest

from blockseg.morphology.swc import read_swc
from blockseg.skeletons.precomputed import (
    Measured,
    info_json,
    properties_json,
    skeleton_bytes,
)
from blockseg.skeletons.swc_text import TraceHeader, swc_text
from blockseg.skeletons.trees import ObjectTree

PLACES = np.array([[1.0, 2, 3], [1, 2, 4], [2, 2, 4], [1, 3, 4]])


def tree(kind=0):
    return ObjectTree(
        component=7,
        position=PLACES,
        radius=np.array([0.5, 0.6, 0.7, 0.8]),
        kind=np.array([kind, 0, 0, 0]),
        parent=np.array([-1, 0, 1, 1]),
    )


def header(*, soma):
    size, corner = (1.0, 0.35, 0.35), (16.0, 0.0, 7.0)
    return TraceHeader("brain.zarr", size, corner, "labels/foreground_clean", soma=soma)


def test_measures_of_a_tree():
    assert tree().length == 3
    assert (tree().tips, tree().branchings) == (3, 1)


@pytest.mark.parametrize(("kind", "soma"), [(0, False), (1, True), (1, False)])
def test_a_tree_comes_back_from_swc(tmp_path, kind, soma):
    path = tmp_path / "7.swc"
    path.write_text(swc_text(tree(kind), header(soma=soma)))
    found = read_swc(path)
    np.testing.assert_array_equal(found.position, PLACES)
    np.testing.assert_array_equal(found.parent, tree().parent)
    np.testing.assert_array_equal(found.radius, tree().radius)
    np.testing.assert_array_equal(found.kind, tree(kind).kind)


def test_a_node_stands_for_the_soma_of_a_tree_without_one(tmp_path):
    path = tmp_path / "7.swc"
    path.write_text(swc_text(tree(), header(soma=True)))
    found = read_swc(path)
    assert found.kind.tolist() == [1, 0, 0, 0, 0]
    assert found.parent.tolist() == [-1, 0, 1, 2, 2]
    np.testing.assert_array_equal(found.position[1:], PLACES)
    np.testing.assert_array_equal(found.position[0], PLACES[0])
    assert "no soma was found" in path.read_text()


def test_the_head_of_a_file_says_units_origin_and_source():
    text = swc_text(tree(), header(soma=False))
    for said in (
        "# source: brain.zarr",
        "# units: micrometer; x y z",
        "# voxel_size_xyz: 0.35 0.35 1",
        "# first_voxel_xyz: 7 0 16",
        "# length: 3.000",
        "# branch_points: 1",
        "# tips: 3",
    ):
        assert said in text
    rows = [line for line in text.splitlines() if not line.startswith("#")]
    assert rows[0] == "1 0 3.000 2.000 1.000 0.500 -1"


def test_skeletons_are_laid_out_as_neuroglancer_reads_them():
    packed = skeleton_bytes(tree())
    vertices, edges = struct.unpack_from("<II", packed)
    assert (vertices, edges) == (4, 3)
    found = np.frombuffer(packed, "<f4", 12, 8).reshape(4, 3)
    np.testing.assert_allclose(found, 1000 * PLACES[:, ::-1])
    pairs = np.frombuffer(packed, "<u4", 6, 56).reshape(3, 2)
    assert pairs.tolist() == [[0, 1], [1, 2], [1, 3]]
    radii = np.frombuffer(packed, "<f4", 4, 80)
    np.testing.assert_allclose(radii, [500, 600, 700, 800])
    assert len(packed) == 96
    info = json.loads(info_json("segment_properties"))
    assert info["@type"] == "neuroglancer_skeletons"
    assert info["vertex_attributes"] == [
        {"id": "radius", "data_type": "float32", "num_components": 1}
    ]
    assert info["segment_properties"] == "segment_properties"
    inline = json.loads(properties_json([Measured(7, 3.0, 3, 1)]))["inline"]
    assert inline["ids"] == ["7"]
    columns = {column["id"]: column["values"] for column in inline["properties"]}
    assert columns == {"length_um": [3.0], "tips": [3], "branch_points": [1]}
