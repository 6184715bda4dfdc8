"""``blockseg export`` end to end."""

import shutil
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume

pytestmark = pytest.mark.usefixtures("out")

SERIAL = ("--scheduler", "serial", "-q")


def voxels(path):
    volume = open_volume(find(str(path), mask=True))
    return volume.read(Roi.whole(volume.shape))


@pytest.fixture
def source(placed_out):
    return placed_out.parent / "placed.zarr"


def test_the_image_of_an_output_is_averaged_over_what_was_segmented(
    blockseg, box, source
):
    command = ("export", "out.zarr", "--voxel-size", "4,2.1,2.1", "--finest")
    said = blockseg(*command, "-o", "a.tif", "--scheduler", "serial").stdout
    with tifffile.TiffFile(blockseg.folder / "a.tif") as tif:
        data = tif.asarray()
        metadata = tif.imagej_metadata
        resolution = tif.pages.first.tags["XResolution"].value
    image = voxels(source)[16:128, 0:160, 32:256].astype(float)
    # 4×6×6 voxels each; of the last ones along y and x less is there.
    padded = np.full((112, 162, 228), np.nan)
    padded[:, :160, :224] = image
    wanted = np.nanmean(padded.reshape(28, 4, 27, 6, 38, 6), axis=(1, 3, 5))
    assert data.shape == wanted.shape
    assert data.dtype == np.uint16
    assert np.abs(data - wanted).max() <= 0.51
    assert metadata is not None
    assert metadata["spacing"] == 4
    assert metadata["unit"] == "um"
    assert resolution[1] / resolution[0] == pytest.approx(2.1, rel=1e-4)
    place = box[0] + np.array((4, 2.1, 2.1)) / 2
    origin = [-float(metadata[f"{a}origin"]) for a in "zyx"]
    assert np.array(origin) * (4, 2.1, 2.1) == pytest.approx(place, rel=1e-4)
    corner = ",".join(f"{t:.10g}" for t in box[0])
    assert f"lower corner lies at {corner} µm" in said
    assert not list(blockseg.folder.glob("*unfinished*"))


def test_a_coarse_level_is_read_where_it_is_fine_enough(blockseg):
    command = ("export", "out.zarr", "--voxel-size", "8,2.8,2.8")
    said = blockseg(*command, "-o", "a.tif", "--scheduler", "serial").stdout
    assert "placed.zarr 1" in said
    blockseg(*command, "--finest", "-o", "b.tif", *SERIAL)
    coarse, fine = (
        tifffile.imread(blockseg.folder / name).astype(int)
        for name in ("a.tif", "b.tif")
    )
    assert coarse.shape == (14, 20, 28)
    assert np.abs(coarse - fine).max() <= 1


def test_nifti_has_x_first_millimetres_and_the_same_place(blockseg, box):
    for name in ("a.nii.gz", "a.nii", "a.tif"):
        blockseg("export", "out.zarr", "--voxel-size", "5", "-o", name, *SERIAL)
    stack = tifffile.imread(blockseg.folder / "a.tif")
    for name in ("a.nii.gz", "a.nii"):
        image: Any = nibabel.load(blockseg.folder / name)
        assert np.array_equal(np.asarray(image.dataobj), stack.transpose())
        assert image.header.get_xyzt_units()[0] == "mm"
        place = (box[0][::-1] + 2.5) / 1000
        assert image.affine[:3, 3] == pytest.approx(place, rel=1e-6)
        assert np.diag(image.affine) == pytest.approx([0.005, 0.005, 0.005, 1])


def test_of_a_source_the_whole_or_a_region(blockseg, source):
    blockseg("export", source, "--voxel-size", "5", "-o", "a.tif", *SERIAL)
    assert tifffile.imread(blockseg.folder / "a.tif").shape == (26, 14, 18)
    blockseg(
        "export", source, "--voxel-size", "5", "--roi", "0:10,0:100,0:100",
        "-o", "b.tif", *SERIAL,
    )  # fmt: skip
    assert tifffile.imread(blockseg.folder / "b.tif").shape == (2, 7, 7)


def test_a_source_without_voxel_size_asks_for_it(blockseg, refused):
    data = np.random.default_rng(0).integers(0, 4000, (20, 30, 40), np.uint16)
    zarr.create_array(blockseg.folder / "bare.zarr", data=data, chunks=(20, 30, 40))
    words = ("export", "bare.zarr", "-o", "a.tif", "--voxel-size", "4")
    assert "--source-voxel-size" in refused(*words)
    blockseg(*words, "--source-voxel-size", "2,1,1", *SERIAL)
    assert tifffile.imread(blockseg.folder / "a.tif").shape == (10, 8, 10)


def test_mask_probability_and_density_of_an_output(blockseg, out, walks):
    blockseg("density", "out.zarr", "--traces", walks[0], "--voxel-size", "5", *SERIAL)
    for what in ("mask", "probability", "density"):
        words = ("export", "out.zarr", "--what", what, "--voxel-size", "5")
        blockseg(*words, "-o", f"{what}.tif", *SERIAL)
    found = {
        what: tifffile.imread(blockseg.folder / f"{what}.tif")
        for what in ("mask", "probability", "density")
    }
    shape = found["mask"].shape
    assert found["density"].shape == found["probability"].shape == shape
    assert found["mask"].dtype == np.float32
    assert 0 < found["mask"].max() <= 1
    assert found["mask"][:-1, :-1, :-1].mean() == pytest.approx(
        voxels(out / "labels/foreground")[:110, :150, :200].mean(), abs=0.02
    )
    assert np.array_equal(found["density"], voxels(out / "density"))


def test_of_a_downsampled_run_image_mask_and_density_lie_on_each_other(
    blockseg, brain, walks
):
    blockseg(
        "run", brain, "half.zarr", "--backend", "fake", "--downsample", "2,4,4",
        "--roi", "8:60,0:40,16:64", *SERIAL,
    )  # fmt: skip
    size = ("--voxel-size", "4,2.8,2.8")
    places, shapes = [], []
    for what in ("image", "mask"):
        words = ("export", "half.zarr", *size, "--what", what, "-o", f"{what}.nii")
        blockseg(*words, *SERIAL)
        found: Any = nibabel.load(blockseg.folder / f"{what}.nii")
        places.append(found.affine[:3, 3][::-1] * 1000)
        shapes.append(found.shape[::-1])
    blockseg("density", "half.zarr", "--traces", walks[0], *size, *SERIAL)
    density = open_volume(find(str(blockseg.folder / "half.zarr/density")))
    places.append(np.array(density.space.translation))
    shapes.append(density.shape)
    # Cells of 2×4×4 stored voxels; the region begins at cell (8, 0, 16).
    corner = np.array((1, 0.35, 0.35)) * (np.array((16, 0, 64)) - 0.5)
    for place in places:
        assert place == pytest.approx(corner + np.array((4, 2.8, 2.8)) / 2, rel=1e-6)
    assert set(shapes) == {(26, 20, 24)}


def test_killed_it_goes_on_to_the_same_bytes(blockseg, killed):
    command = ("export", "out.zarr", "--voxel-size", "2,1,1")
    blockseg(*command, "-o", "a.tif", *SERIAL)
    killed("blockseg.export.run", "export", "export", *command, "-o", "b.tif", *SERIAL)
    assert not (blockseg.folder / "b.tif").exists()
    assert (blockseg.folder / "b.tif.unfinished.zarr").exists()
    blockseg(*command, "-o", "b.tif", *SERIAL)
    a, b = ((blockseg.folder / name).read_bytes() for name in ("a.tif", "b.tif"))
    assert a == b
    assert not (blockseg.folder / "b.tif.unfinished.zarr").exists()


@pytest.mark.dask
def test_workers_average_what_one_process_does(blockseg):
    command = ("export", "out.zarr", "--voxel-size", "3.3,1.1,2")
    blockseg(*command, "-o", "a.nii", *SERIAL)
    blockseg(*command, "-o", "b.nii", "-q", "--workers", "2")
    a, b = ((blockseg.folder / name).read_bytes() for name in ("a.nii", "b.nii"))
    assert a == b


def test_a_file_that_is_there_is_kept(blockseg, refused):
    blockseg("export", "out.zarr", "--voxel-size", "9", "-o", "a.tif", *SERIAL)
    assert "already exists" in refused("export", "out.zarr", "-o", "a.tif")
    words = ("--voxel-size", "8", "-o", "a.tif", "--overwrite")
    blockseg("export", "out.zarr", *words, *SERIAL)
    assert tifffile.imread(blockseg.folder / "a.tif").shape == (14, 7, 10)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("out.zarr",), "-o FILE is needed"),
        (("out.zarr", "-o", "a.nrrd"), "the ending says the format"),
        (("out.zarr", "-o", "a.tif", "--what", "density"), "blockseg density"),
        (("out.zarr", "-o", "a.tif", "--what", "clean"), "blockseg label"),
        (("out.zarr", "-o", "a.tif", "--roi", "0:8,0:8,0:8"), "--roi is an option for a SOURCE"),
        (("out.zarr", "-o", "a.tif", "--voxel-size", "-3"), "must be positive"),
        (("nothing.zarr", "-o", "a.tif"), "nothing.zarr"),
        (("out.zarr", "-o", "a.tif", "--voxel-size", "0.001"), "more than the 4 GiB"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_one_line(refused, words, said):
    assert said in refused("export", *words)


def test_of_another_volume_there_is_no_mask(source, refused):
    words = ("export", source, "-o", "a.tif", "--what", "mask")
    assert "is no output of blockseg run" in refused(*words)


def test_an_output_whose_source_is_gone_says_so(blockseg, brain, refused):
    shutil.copytree(brain, blockseg.folder / "gone.zarr")
    blockseg("run", "gone.zarr", "other.zarr", "--backend", "fake", *SERIAL)
    shutil.rmtree(blockseg.folder / "gone.zarr")
    assert "gone.zarr" in refused("export", "other.zarr", "-o", "a.tif")
