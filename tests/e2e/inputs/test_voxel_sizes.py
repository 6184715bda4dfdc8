import json

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.space import Space
from blockseg.io.find import find
from blockseg.io.open import open_volume

SCALE = [2.0, 0.5, 0.25]
UM = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]


def noise(shape=(16, 48, 48)):
    return np.random.default_rng(0).normal(200, 10, shape).astype(np.uint16)


def ome_zarr(path, transformations, version="0.6", outer=None, **multiscale):
    """An OME-Zarr with metadata of a newer version than anybody writes by hand."""
    group = zarr.create_group(path, zarr_format=3)
    data = noise()
    array = group.create_array(
        "0", shape=data.shape, dtype=data.dtype, chunks=(16, 48, 48)
    )
    array[...] = data
    systems = [{"name": "physical", "axes": UM}]
    axes = {"coordinateSystems": systems} if version.startswith("0.6") else {"axes": UM}
    stated = {
        **axes,
        "datasets": [{"path": "0", "coordinateTransformations": transformations}],
        **multiscale,
    }
    if outer is not None:
        stated["coordinateTransformations"] = outer
    group.attrs["ome"] = {"version": version, "multiscales": [stated]}
    return path


def to_physical(**transformation):
    return [{"input": "0", "output": "physical", **transformation}]


SCALED = {"type": "scale", "scale": SCALE}
MOVED = {"type": "translation", "translation": [1.0, 2.0, 3.0]}
AFFINE = [[2.0, 0, 0, 1.0], [0, 0.5, 0, 2.0], [0, 0, 0.25, 3.0]]
READ = {
    "scale": to_physical(**SCALED),
    "sequence": to_physical(type="sequence", transformations=[SCALED, MOVED]),
    "nested sequence": to_physical(
        type="sequence",
        transformations=[
            {"type": "identity"},
            {"type": "sequence", "transformations": [SCALED]},
            MOVED,
        ],
    ),
    "affine": to_physical(type="affine", affine=AFFINE),
    "affine without a shift": to_physical(type="affine", affine=[r[:3] for r in AFFINE]),
    "homogeneous affine": to_physical(type="affine", affine=[*AFFINE, [0, 0, 0, 1]]),
    "flat affine": to_physical(type="affine", affine=[n for r in AFFINE for n in r]),
    "mapAxis that maps nothing": to_physical(
        type="sequence", transformations=[{"type": "mapAxis", "mapAxis": [0, 1, 2]}, SCALED]
    ),
    "mapAxis by names": to_physical(
        type="sequence",
        transformations=[
            SCALED, {"type": "mapAxis", "mapAxis": {"z": "dim_0", "y": "dim_1", "x": "x"}},
        ],
    ),
    "byDimension": to_physical(
        type="byDimension",
        transformations=[
            {"type": "scale", "scale": [2.0], "input_axes": ["z"], "output_axes": ["z"]},
            {
                "transformation": {"type": "scale", "scale": [0.5, 0.25]},
                "input_axes": [1, 2],
                "output_axes": [1, 2],
            },
        ],
    ),
    "identity rotation": to_physical(
        type="sequence",
        transformations=[
            SCALED,
            {"type": "rotation", "rotation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]},
        ],
    ),
    "bijection": to_physical(type="bijection", forward=SCALED, inverse={"type": "identity"}),
    "no path": to_physical(**SCALED, path=None),
    "named ends": [
        {"input": {"path": "0"}, "output": {"name": "physical"}, **SCALED},
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_scales_and_moves_alone_is_read(tmp_path, name):
    volume = open_volume(find(ome_zarr(tmp_path / "a.zarr", READ[name])))
    assert volume.space.voxel_size == tuple(SCALE)
    assert volume.space.unit == "micrometer"
    assert not volume.space.problem
    moved = "sequence" in name or "affine" in name
    moved &= name != "affine without a shift"
    assert volume.space.translation == ((1.0, 2.0, 3.0) if moved else (0.0, 0.0, 0.0))


REFUSED = {
    "rotation": to_physical(type="rotation", rotation=[[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
    "affine": to_physical(
        type="affine", affine=[[2, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    ),
    "'affine' whose numbers are stored": to_physical(type="affine", path="matrix"),
    "mapAxis": to_physical(
        type="sequence", transformations=[{"type": "mapAxis", "mapAxis": [1, 0, 2]}, SCALED]
    ),
    "displacements": to_physical(type="displacements", path="field"),
    "coordinates": to_physical(type="coordinates", path="field"),
    "projectAxis": to_physical(type="projectAxis"),
    "without a scale of x": to_physical(
        type="byDimension",
        transformations=[
            {"type": "scale", "scale": [2.0, 1], "input_axes": ["z", "y"],
             "output_axes": ["z", "y"]},
        ],
    ),
    "does not fit 3 axes": to_physical(type="scale", scale=[1.0, 1.0]),
    "'affine' that does not fit": to_physical(type="affine", affine=[[1, 0, 0, 5], [0, 1, 0], [0, 0, 1]]),
    "--axes says in which order": to_physical(type="mapAxis", mapAxis=[2, 1, 0]),
    "of 1,inf,1": to_physical(type="scale", scale=[1, 10**400, 1]),
    "place the first voxel at nan,0,0": to_physical(
        type="sequence",
        transformations=[
            SCALED, {"type": "translation", "translation": [float("nan"), 0, 0]},
        ],
    ),
    "holds no numbers": to_physical(type="scale", scale=["1", "1", "1"]),
    "nan,1,1": to_physical(type="scale", scale=[float("nan"), 1, 1]),
    "1,0,1": to_physical(type="scale", scale=[1, 0, 1]),
    "inf": to_physical(type="scale", scale=[1, 1, float("inf")]),
    "flip the axis y": to_physical(type="scale", scale=[1, -0.5, 1]),
    "state a unit, but no scale": to_physical(**MOVED),
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED)
def test_what_gives_no_voxel_size_is_named_and_a_size_that_is_given_opens_it(
    tmp_path, blockseg, said
):
    source = ome_zarr(tmp_path / "a.zarr", REFUSED[said], version="0.6.dev3")
    words = ("plan", source, tmp_path / "o", "--backend", "fake")
    refusal = blockseg(*words, code=1).output
    assert said in refusal
    assert "--voxel-size Z,Y,X" in refusal
    assert len(refusal.splitlines()) == 1
    shown = blockseg("info", source, "--voxel-size", "3,2,1").output
    assert "voxels of 3×2×1 µm" in shown
    assert "but:" not in shown


def test_every_command_refuses_it_and_takes_the_size_that_is_given(
    tmp_path, refused, doubted
):
    rotated = REFUSED["rotation"]
    source = ome_zarr(tmp_path / "a.zarr", rotated, version="0.6.dev3")
    refused(source, "OME-NGFF 0.6.dev3", "'rotation'", "--voxel-size Z,Y,X")
    doubted(source, options=("--voxel-size", "3,2,1"), silent=("unit", "rotation"))
    written = json.loads((tmp_path / "written/run.zarr/zarr.json").read_text())
    levels = written["attributes"]["ome"]["multiscales"][0]["datasets"]
    assert levels[0]["coordinateTransformations"][0]["scale"] == [3, 2, 1]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_affine_alone_is_read_in_older_versions_too(tmp_path, version):
    affine = [{"type": "affine", "affine": AFFINE}]
    space = open_volume(find(ome_zarr(tmp_path / "a", affine, version))).space
    assert (space.voxel_size, space.translation) == (tuple(SCALE), (1.0, 2.0, 3.0))


def test_a_scale_in_an_array_is_refused_by_its_path(tmp_path, blockseg):
    source = ome_zarr(tmp_path / "a", [{"type": "scale", "path": "sizes"}], "0.4")
    assert "stored in an array" in blockseg("info", source).output


def test_the_system_that_the_array_leads_to_counts_and_not_a_later_one(tmp_path):
    nm = [{**axis, "unit": "nanometer"} for axis in UM]
    systems = [
        {"name": "atlas", "axes": UM},
        {"name": "physical", "axes": nm},
    ]
    turned = {"type": "rotation", "rotation": [[0, 1, 0], [1, 0, 0], [0, 0, 1]]}
    outer = [{"input": "physical", "output": "atlas", **turned}]
    scaled = to_physical(type="scale", scale=[2000, 500, 250])
    source = ome_zarr(tmp_path / "a", scaled, outer=outer, coordinateSystems=systems)
    assert open_volume(find(source)).space.voxel_size == pytest.approx(tuple(SCALE))


def test_a_system_without_units_leads_on_to_one_that_has_them(tmp_path):
    plain = [{"name": name, "type": "space"} for name in "zyx"]
    systems = [
        {"name": "physical", "axes": plain},
        {"name": "world", "axes": UM},
    ]
    outer = [{"input": "physical", "output": "world", **SCALED}]
    halved = to_physical(type="scale", scale=[1, 2, 2])
    source = ome_zarr(tmp_path / "a", halved, outer=outer, coordinateSystems=systems)
    space = open_volume(find(source)).space
    assert (space.voxel_size, space.unit) == ((2.0, 1.0, 0.5), "micrometer")


@pytest.mark.parametrize("first", ["pixel", None, "dim"])
def test_systems_that_measure_nothing_lead_on_step_by_step(tmp_path, first):
    plain = [{"name": name, "type": "space"} for name in "zyx"]
    names = ["dim_0", "dim_1", "dim_2"] if first == "dim" else "zyx"
    unit = {"unit": "pixel"} if first == "pixel" else {}
    systems = [
        {"name": "array", "axes": [{"name": name, **unit} for name in names]},
        {"name": "between", "axes": plain},
        {"name": "physical", "axes": UM},
    ]
    outer = [
        {"input": "between", "output": "physical", **MOVED},
        {"input": "array", "output": "between", **SCALED},
        {"input": "between", "output": "array", "type": "identity"},
    ]
    inner = [{"input": "0", "output": "array", "type": "identity"}]
    source = ome_zarr(tmp_path / "a", inner, outer=outer, coordinateSystems=systems)
    space = open_volume(find(source)).space
    assert space == Space((2.0, 0.5, 0.25), "micrometer", (1.0, 2.0, 3.0))


def test_a_transformation_without_ends_leads_to_the_system_that_measures(tmp_path):
    array = [{"name": f"dim_{n}", "type": "array"} for n in range(3)]
    systems = [{"name": "array", "axes": array}, {"name": "physical", "axes": UM}]
    source = ome_zarr(tmp_path / "a", [SCALED], coordinateSystems=systems)
    assert open_volume(find(source)).space == Space((2.0, 0.5, 0.25), "micrometer")


def ome_tiff(path, **sizes):
    tifffile.imwrite(path, noise(), ome=True, metadata={"axes": "ZYX", **sizes})
    return path


@pytest.mark.parametrize("size", [0.0, -0.5, float("nan"), float("inf")])
def test_sizes_that_no_voxel_has_are_refused_in_ome_tiff(tmp_path, blockseg, size):
    source = ome_tiff(
        tmp_path / "a.tif", PhysicalSizeZ=1, PhysicalSizeY=size, PhysicalSizeX=1
    )
    shown = blockseg("info", source).output
    assert "run would refuse" in shown
    assert "--voxel-size" in shown
    assert "refuse" not in blockseg("info", source, "--voxel-size", "1,1,1").output


def test_a_spacing_that_no_stack_has_is_refused_in_imagej_tiff(tmp_path, refused):
    tifffile.imwrite(
        tmp_path / "a.tif",
        noise(),
        imagej=True,
        resolution=(2, 2),
        metadata={"axes": "ZYX", "spacing": -2.0, "unit": "um"},
    )
    refused(tmp_path / "a.tif", "flip the axis z (-2)", "--voxel-size Z,Y,X")


def test_units_that_differ_from_axis_to_axis_are_read_in_imagej_tiff(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        noise(),
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "spacing": 0.002, "unit": "um", "zunit": "mm"},
    )
    space = open_volume(find(tmp_path / "a.tif")).space
    assert space == Space((2.0, 0.5, 0.25), "micrometer")


def test_a_level_that_is_no_whole_factor_coarser_keeps_its_extent(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        size = {f"PhysicalSize{axis}": 1.0 for axis in "ZYX"}
        tif.write(noise((8, 30, 61)), subifds=1, metadata={"axes": "ZYX", **size})
        tif.write(noise((8, 20, 30)), subfiletype=1)
    space = open_volume(find(tmp_path / "a.ome.tif", level=1)).space
    assert space == Space((1.0, 1.5, 2.0), "micrometer", (0.0, 0.25, 0.5))


@pytest.mark.parametrize(
    "stated",
    [[0, 1, 1], [1, -1, 1], [1, 1], "x", [None] * 3, [10**400, 1, 1], {"unit": "um"}],
)
def test_sizes_that_no_voxel_has_are_refused_in_n5(tmp_path, blockseg, stated):
    dataset = tmp_path / "a.n5" / "raw"
    dataset.mkdir(parents=True)
    attributes = {
        "dimensions": [16, 16, 16], "blockSize": [8, 8, 8], "dataType": "uint16",
        "compression": {"type": "raw"}, "resolution": stated,
    }  # fmt: skip
    (dataset / "attributes.json").write_text(json.dumps(attributes))
    shown = blockseg("info", tmp_path / "a.n5", "--allow-empty").output
    assert "its N5 attributes state a voxel size of" in shown
    given = ("--allow-empty", "--voxel-size", "1,1,1")
    assert "refuse" not in blockseg("info", tmp_path / "a.n5", *given).output


def test_a_unit_that_is_none_is_named(tmp_path, doubted):
    axes = [{"name": name, "type": "space", "unit": "pixel"} for name in "zyx"]
    source = ome_zarr(tmp_path / "a.zarr", [SCALED], "0.5", axes=axes)
    doubted(source, "states no unit", "it says 'pixel'", "--voxel-size Z,Y,X")


@pytest.mark.parametrize("size", [350_000.0, 350.0, 0.00035])
def test_a_size_of_no_microscope_is_said(tmp_path, blockseg, size):
    sized = [{"type": "scale", "scale": [size] * 3}]
    source = ome_zarr(tmp_path / "a.zarr", sized, "0.5")
    shown = blockseg("info", source).output
    assert f"but: {source} states voxels of {size:g},{size:g},{size:g} µm" in shown
    assert "--voxel-size Z,Y,X" in shown
    given = blockseg("info", source, "--voxel-size", "0.35,0.35,0.35").output
    assert "but:" not in given


def test_every_command_says_a_size_of_no_microscope(tmp_path, doubted):
    sized = [{"type": "scale", "scale": [350] * 3}]
    doubted(ome_zarr(tmp_path / "a.zarr", sized, "0.5"), "states voxels of 350,350,350")


@pytest.mark.parametrize(
    "size", [[1.0, 0.2, 0.2], [100, 1.8, 1.8], [0.04, 0.012, 0.012]]
)
def test_sizes_of_microscopes_are_not_doubted(tmp_path, blockseg, size):
    source = ome_zarr(tmp_path / "a.zarr", [{"type": "scale", "scale": size}], "0.5")
    assert "but:" not in blockseg("info", source).output
