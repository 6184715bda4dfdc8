import numpy as np
import tifffile


def noise(shape=(16, 48, 48)):
    rng = np.random.default_rng(0)
    return rng.normal(200, 10, shape).astype(np.uint16)


def test_a_voxel_size_without_unit_is_said_and_an_option_silences_it(tmp_path, doubted):
    tifffile.imwrite(tmp_path / "a.tif", noise())
    doubted(
        tmp_path / "a.tif",
        "states no unit",
        "no lengths or traces",
        "--voxel-size Z,Y,X",
    )


def test_a_voxel_size_that_is_given_is_not_doubted(tmp_path, doubted):
    tifffile.imwrite(tmp_path / "a.tif", noise())
    doubted(
        tmp_path / "a.tif",
        options=("--voxel-size", "1,1,1"),
        silent=("states no unit",),
    )
