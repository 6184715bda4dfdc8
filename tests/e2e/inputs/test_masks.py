import json

import numpy as np
import pytest
import tifffile
import zarr


def ome_zarr(path, data, scale, translation=None, unit="micrometer"):
    """An OME-Zarr image of one level, with its scale alone unless it is placed."""
    group = zarr.create_group(path, zarr_format=2)
    array = group.create_array(
        "0", shape=data.shape, dtype=data.dtype, chunks=data.shape
    )
    array[...] = data
    transformations = [{"type": "scale", "scale": list(scale)}]
    if translation is not None:
        transformations.append({"type": "translation", "translation": translation})
    axis = {"type": "space"} | ({"unit": unit} if unit else {})
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": name, **axis} for name in "zyx"],
            "datasets": [{"path": "0", "coordinateTransformations": transformations}],
        }
    ]
    return path


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.normal(200, 10, (32, 48, 50)).astype(np.uint16)
    data[10:13, 5:45, 48] = 3000
    return ome_zarr(tmp_path / "source.zarr", data, (1, 1, 1))


def mask(tmp_path, shape, scale=(8, 8, 8), translation=None, unit="micrometer"):
    return ome_zarr(
        tmp_path / "mask.zarr", np.ones(shape, np.uint8), scale, translation, unit
    )


SERIAL = ("--scheduler", "serial")
MASKED = ("plan", "run", "metrics", "predict")


@pytest.fixture
def said(blockseg, reading):
    """Return what each command that takes a mask says of it."""

    def lines(source, *options, code=0):
        words = reading(source, *options)
        found = {}
        for name in MASKED:
            done = blockseg(*words[name], code=code)
            starts = ("Warning: ", "Error: ", "Note: ")
            found[name] = [x for x in done.output.splitlines() if x.startswith(starts)]
        return found

    return lines


@pytest.mark.parametrize("translation", [None, [3.5, 3.5, 3.5]])
@pytest.mark.parametrize("shape", [(4, 6, 6), (4, 6, 7)])
def test_a_coarse_mask_loses_no_border(
    tmp_path, blockseg, source, said, shape, translation
):
    whole = ("--mask", mask(tmp_path, shape, translation=translation))
    assert not any(said(source, *whole).values())
    blockseg("predict", source, "-o", tmp_path / "a", "--backend", "fake", *whole)
    blockseg("predict", source, "-o", tmp_path / "b", "--backend", "fake")
    ours, theirs = (
        tifffile.imread(tmp_path / name / "source_prob.tif") for name in "ab"
    )
    assert theirs.any()
    np.testing.assert_array_equal(ours, theirs)


def test_what_lies_outside_of_a_mask_is_said_in_per_cent(tmp_path, source, said):
    half = ("--mask", mask(tmp_path, (4, 3, 7)))
    found = said(source, *half)
    for name in MASKED:
        assert "50 % of the region lies outside of --mask" in found[name][0]
    for name in ("run", "metrics"):
        closing = "Note: 50 % of the region lies outside of the mask's extent"
        assert closing in found[name][-1]


def test_a_region_inside_of_a_mask_is_not_doubted(tmp_path, source, said):
    half = ("--mask", mask(tmp_path, (4, 3, 7)), "--roi", "0:32,0:24,0:50")
    assert not any(said(source, *half).values())


def refusal(found, *parts):
    for name, lines in found.items():
        assert len(lines) == 1, (name, lines)
        assert all(part in lines[0] for part in ("Error: --mask", *parts)), lines


def test_a_mask_elsewhere_is_refused(tmp_path, source, said):
    there = mask(tmp_path, (4, 6, 6), translation=[0.0, 0.0, 900.0])
    refusal(said(source, "--mask", there, code=1), "wholly outside")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("unit", ["micrometer", None])
def test_a_mask_with_its_axes_turned_is_refused(tmp_path, source, said, unit):
    turned = mask(tmp_path, (7, 6, 4), unit=unit)
    refusal(said(source, "--mask", turned, code=1), "xyz and not zyx")


def test_a_mask_whose_voxel_size_cannot_be_read_is_said(tmp_path, source, said):
    odd = mask(tmp_path, (4, 6, 7))
    file = odd / ".zattrs"
    attributes = json.loads(file.read_text())
    dataset = attributes["multiscales"][0]["datasets"][0]
    dataset["coordinateTransformations"] = [{"type": "displacements", "path": "d"}]
    file.write_text(json.dumps(attributes))
    for lines in said(source, "--mask", odd).values():
        assert len(lines) == 1
        assert all(
            part in lines[0] for part in ("--mask", "'displacements'", "stretched")
        )


def test_a_mask_of_nothing_is_said(tmp_path, source, said):
    nothing = ome_zarr(tmp_path / "m.zarr", np.zeros((4, 6, 7), "u1"), (8, 8, 8))
    found = said(source, "--mask", nothing)
    for name in MASKED:
        assert "is 0 in the whole region" in found[name][0]


def test_regions_cover_their_volume_as_masks_do(tmp_path, blockseg, source):
    regions = mask(tmp_path, (4, 6, 6))
    picks = tmp_path / "picks"
    words = ("propose-annotations", source, "-o", picks, "--count", "1", *SERIAL)
    blockseg(*words, "--regions", regions, "--mask", regions)
    row = json.loads((picks / "manifest.json").read_text())["picks"][0]
    assert row["region"] == 1


def test_regions_elsewhere_are_refused(tmp_path, blockseg, source):
    there = mask(tmp_path, (4, 6, 6), translation=[0.0, 0.0, 900.0])
    words = ("propose-annotations", source, "-o", tmp_path / "p", *SERIAL)
    done = blockseg(*words, "--regions", there, code=1)
    assert "--regions" in done.output
    assert "wholly outside" in done.output


@pytest.mark.parametrize("translation", [None, [1.5, 1.5, 1.5]])
def test_a_mask_of_a_part_lies_over_a_coarse_level_as_over_the_finest(
    tmp_path, source, said, translation
):
    fine = zarr.open_array(source / "0")[...]
    moved = [0.5, 0.5, 0.5]  # as the second level of a pyramid
    coarse = ome_zarr(tmp_path / "coarse.zarr", fine, (2, 2, 2), moved)
    part = mask(tmp_path, (16, 12, 25), (4, 4, 4), translation)
    for lines in said(coarse, "--mask", part).values():
        assert "50 % of the region lies outside of --mask" in lines[0]


@pytest.mark.parametrize("unit", ["micrometer", None])
def test_a_place_that_does_not_count_without_a_unit_is_said(tmp_path, said, unit):
    data = np.random.default_rng(0).normal(200, 10, (32, 48, 50)).astype("u2")
    plain = ome_zarr(tmp_path / "plain.zarr", data, (1, 1, 1), unit=None)
    part = mask(tmp_path, (2, 3, 3), (8, 8, 8), [11.5, 11.5, 11.5], unit)
    for lines in said(plain, "--mask", part).values():
        assert any("stretched over the whole volume" in line for line in lines)


def test_a_voxel_size_that_is_given_makes_a_place_count(tmp_path, said):
    data = np.random.default_rng(0).normal(200, 10, (32, 48, 50)).astype("u2")
    plain = ome_zarr(tmp_path / "plain.zarr", data, (1, 1, 1), unit=None)
    part = mask(tmp_path, (4, 3, 7), (8, 8, 8), [3.5, 27.5, 3.5])
    for lines in said(plain, "--mask", part, "--voxel-size", "1,1,1").values():
        assert not any("stretched" in line for line in lines)
        assert "50 % of the region lies outside of --mask" in lines[0]


def test_channels_of_a_mask_are_not_said_to_be_the_sources(tmp_path, source, said):
    group = zarr.create_group(tmp_path / "m.zarr")
    group.create_array(
        "0", shape=(2, 4, 6, 7), dtype="u1", dimension_names=["c", "z", "y", "x"]
    )
    path = tmp_path / "m.zarr"
    found = said(source, "--mask", path, code=1)
    for lines in found.values():
        assert "has 2 channels; write one of them alone" in lines[0]


def test_a_mask_whose_unit_is_mistaken_is_said(tmp_path, source, said):
    mistaken = mask(tmp_path, (4, 6, 7), unit="millimeter")
    for lines in said(source, "--mask", mistaken).values():
        assert len(lines) == 1
        assert "a single voxel of --mask" in lines[0]
