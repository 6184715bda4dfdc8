"""Counts of regions and their table, against whole arrays."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.atlas.census import (
    Foreground,
    Volumes,
    atlas_volumes,
    foreground_of,
    imaged_volumes,
    lattice_shape,
)
from blockseg.atlas.lengths import Lengths
from blockseg.atlas.names import read_names
from blockseg.atlas.table import MM3, region_rows, to_csv
from blockseg.atlas.volume import Atlas, AtlasSpec, Box
from blockseg.core.geometry import Roi, pieces
from blockseg.core.space import Space
from blockseg.core.specs import VolumeSpec
from blockseg.io.protocol import MemoryVolume
from blockseg.morphology.path_pieces import LENGTH_UNIT

SPACE = Space((2.0, 3.0, 5.0), "micrometer", (1.0, -2.0, 0.5))


def atlas_of(ids, space=SPACE):
    volume = MemoryVolume(ids, space)
    spec = AtlasSpec(VolumeSpec("x", "memory"), volume.shape, space, ids.dtype.name)
    return Atlas(spec, volume)


@pytest.fixture
def atlas():
    rng = np.random.default_rng(3)
    return atlas_of(rng.integers(0, 5, (70, 66, 9)).astype(np.uint32))


def test_volumes_add_up_over_boxes_and_stop_where_the_image_does(atlas):
    image = Box((10.0, 0.0, -20.0), (100.0, 150.0, 31.5))
    boxes = pieces(Roi.whole(atlas.volume.shape), 32)
    parts = [atlas_volumes(atlas, box, image) for box in boxes]
    found = Volumes.sum([Volumes.from_bytes(part.to_bytes()) for part in parts])
    ids = atlas.volume.array
    assert found.region.tolist() == [0, 1, 2, 3, 4]
    assert found.voxels.tolist() == np.bincount(ids.ravel()).tolist()
    common = [
        min(b, d) - max(a, c)
        for a, b, c, d in zip(
            image.start,
            image.stop,
            atlas.spec.box.start,
            atlas.spec.box.stop,
            strict=True,
        )
    ]
    assert found.imaged.sum() == pytest.approx(np.prod(common))


def test_without_a_transform_in_between_both_ways_to_the_volume_agree(atlas):
    image = atlas.spec.box
    exact = atlas_volumes(atlas, Roi.whole(atlas.volume.shape), image)
    shape = lattice_shape(image, 1.0)
    parts = [
        imaged_volumes(atlas, lambda points: points, image, shape, part)
        for part in pieces(Roi.whole(shape), 64)
    ]
    found = Volumes.sum(parts)
    assert found.region.tolist() == exact.region.tolist()
    assert found.imaged == pytest.approx(exact.imaged, rel=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_voxels_and_objects_add_up_over_blocks(seed):
    rng = np.random.default_rng(seed)
    region, item = rng.integers(0, 4, 500), rng.integers(1, 30, 500)
    cuts = np.sort(rng.integers(0, 500, 3))
    parts = [
        Foreground.from_bytes(foreground_of(a, b).to_bytes())
        for a, b in zip(np.split(region, cuts), np.split(item, cuts), strict=True)
    ]
    found = Foreground.sum(parts)
    pairs, voxels = np.unique(np.stack([region, item]), axis=1, return_counts=True)
    assert np.array_equal(np.stack([found.region, found.item]), pairs)
    assert found.voxels.tolist() == voxels.tolist()


def test_a_block_of_voxels_is_looked_up_like_single_places(atlas):
    axes = (
        np.linspace(-30, 190, 23),
        np.linspace(-9, 250, 31),
        np.linspace(-7, 60, 11),
    )
    ids, index = atlas.along(axes)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    assert np.array_equal(ids[np.ix_(*index)].ravel(), atlas.at(points))


def test_a_block_beyond_the_atlas_lies_in_no_region(atlas):
    ids, index = atlas.along((np.arange(900.0, 905), np.arange(3.0), np.arange(4.0)))
    assert not ids[np.ix_(*index)].any()


def test_ids_of_64_bits_are_said_as_the_atlas_has_them():
    large = atlas_of(np.full((2, 2, 2), 2**64 - 3, np.uint64))
    kept = large.at_voxels(np.zeros((1, 3), np.int64))[0]
    assert large.spec.said(int(kept)) == 2**64 - 3
    assert large.spec.kept(2**64 - 3) == kept
    signed = atlas_of(np.full((2, 2, 2), -3, np.int32)).spec
    assert signed.said(-3) == -3
    assert signed.kept(2**63) is None


NAMES = """id,name,acronym,parent
10,Cortex,CTX,
1,Layer 1,L1,10
2,Layer 2,L2,10
3,Striatum,STR,
4,Nothing here,NH,10
"""


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text(NAMES)
    one = np.array([0, 1, 2, 3, 7])
    mm3 = np.array([1.0, 2, 3, 4, 5]) * MM3
    volumes = Volumes(one, np.array([10, 20, 30, 40, 50]), mm3)
    units = np.array([7, 100, 200, 300, 0]) * int(1 / LENGTH_UNIT)
    foreground = foreground_of(
        np.array([1, 1, 2, 2, 2, 3, 0]), np.array([5, 6, 6, 6, 8, 5, 9])
    )
    spec = AtlasSpec(
        VolumeSpec("x", "memory"), (1, 1, 1), Space((1000.0,) * 3), "uint8"
    )
    return region_rows(
        spec, read_names(str(path)), volumes, Lengths(one, units, units), foreground
    )


def test_regions_come_in_the_order_of_their_names_and_the_rest_by_id(rows):
    assert [row.region for row in rows] == [10, 1, 2, 3, 7, 0]
    assert [row.name for row in rows][-2:] == ["region 7", "outside all regions"]


def test_what_is_part_of_a_region_counts_in_its_total(rows):
    cortex = rows[0]
    assert cortex.own.length_um == 0
    assert cortex.own.density is None
    assert cortex.total.length_um == 300
    assert cortex.total.volume_mm3 == 5
    assert cortex.total.density == 60
    assert cortex.total.voxels == 5
    # Object 6 lies in both layers and is one object of the cortex.
    assert [row.own.objects for row in rows] == [0, 2, 2, 1, 0, 1]
    assert cortex.total.objects == 3
    assert rows[1].total == rows[1].own


def test_somata_count_in_their_region_and_what_it_is_part_of(tmp_path):
    (tmp_path / "names.csv").write_text(NAMES)
    names = read_names(str(tmp_path / "names.csv"))
    nothing = np.zeros(0, np.int64)
    spec = AtlasSpec(VolumeSpec("x", "memory"), (1, 1, 1), Space(), "uint8")
    rows = region_rows(
        spec,
        names,
        Volumes.sum([]),
        Lengths(nothing, nothing, nothing),
        None,
        {1: 4, 0: 1},
    )
    assert {row.region: row.own.somata for row in rows} == {10: 0, 1: 4, 0: 1}
    assert rows[0].total.somata == 4
    head = to_csv(rows, parents=False, mapped=False, labels=False, somata=True)
    assert "somata" in head.splitlines()[0]


def test_all_rows_together_have_what_was_counted(rows):
    assert sum(row.own.length_um for row in rows) == 607
    assert sum(row.own.voxels for row in rows) == 7
    assert sum(row.own.volume_mm3 for row in rows) == 15
    assert sum(row.own.atlas_volume_mm3 for row in rows) == 150


def test_the_table_is_written_with_the_columns_that_say_something(rows):
    text = to_csv(rows, parents=True, mapped=False, labels=True)
    table = list(csv.DictReader(io.StringIO(text)))
    assert table[0]["total_length_um"] == "300"
    assert table[0]["density_um_per_mm3"] == ""
    assert table[1]["density_um_per_mm3"] == "50"
    assert "sample_length_um" not in table[0]
    bare = to_csv(rows, parents=False, mapped=True, labels=False).splitlines()[0]
    assert bare == (
        "region,acronym,name,parent,length_um,density_um_per_mm3,sample_length_um,"
        "volume_mm3,atlas_volume_mm3"
    )
