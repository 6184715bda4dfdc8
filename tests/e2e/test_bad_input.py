"""Bad input is one line and exit code 1, before anything is written."""

import os
import pickle
from functools import partial

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.errors import BlocksegError
from blockseg.runtime.dask.cluster import connect

QUICK = ("--scheduler", "serial", "--backend", "fake")


def refused(blockseg, *arguments):
    before = sorted(blockseg.folder.rglob("*"))
    done = blockseg("run", *arguments, code=1)
    lines = [x for x in done.stderr.splitlines() if not x.startswith("Warning: ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("Error: ")
    assert done.stdout == ""
    assert sorted(blockseg.folder.rglob("*")) == before, "something was written"
    return lines[0]


def make_zarr(folder, name, shape, dtype="uint16", **more):
    array = zarr.create_array(
        folder / name, shape=shape, dtype=dtype, chunks=shape, **more
    )
    array[...] = np.ones(shape, dtype)
    return name


def test_a_missing_path(blockseg):
    assert "nowhere.zarr" in refused(blockseg, "nowhere.zarr", *QUICK)


def test_an_empty_zarr_group(blockseg):
    zarr.open_group(blockseg.folder / "empty.zarr", mode="w")
    assert "empty.zarr" in refused(blockseg, "empty.zarr", *QUICK)


def test_a_2d_array(blockseg):
    make_zarr(blockseg.folder, "flat.zarr", (8, 8))
    assert "2" in refused(blockseg, "flat.zarr", *QUICK)


def test_a_5d_array_without_a_choice_of_channel(blockseg):
    name = make_zarr(
        blockseg.folder, "many.zarr", (1, 2, 8, 8, 8), dimension_names=list("tczyx")
    )
    assert "--channel" in refused(blockseg, name, *QUICK)


def test_complex_voxels(blockseg):
    make_zarr(blockseg.folder, "complex.zarr", (8, 8, 8), "complex64")
    assert "complex64" in refused(blockseg, "complex.zarr", *QUICK)


def test_a_truncated_tiff(blockseg):
    path = blockseg.folder / "cut.tif"
    tifffile.imwrite(path, np.ones((16, 64, 64), np.uint16))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    size = path.stat().st_size
    assert "cut.tif" in refused(blockseg, "cut.tif", *QUICK)
    assert path.stat().st_size == size


def test_a_file_that_is_no_volume(blockseg):
    (blockseg.folder / "brain.tif").write_text("not a TIFF")
    assert "brain.tif" in refused(blockseg, "brain.tif", *QUICK)


def test_an_output_below_a_file(blockseg, brain):
    (blockseg.folder / "file").write_text("")
    assert "is no folder" in refused(blockseg, brain, "file/out.zarr", *QUICK)


def test_an_output_where_nobody_may_write(blockseg, brain):
    if os.geteuid() == 0:
        where = "/proc/out.zarr"  # root may write everywhere else
    else:
        (blockseg.folder / "closed").mkdir(mode=0o500)
        where = "closed/out.zarr"
    assert "cannot be written" in refused(blockseg, brain, where, *QUICK)


def test_an_output_inside_the_source(blockseg, brain):
    assert "lies inside SOURCE" in refused(blockseg, brain, brain / "out.zarr", *QUICK)


def test_a_source_inside_the_output(blockseg, brain):
    assert "lies inside OUT" in refused(blockseg, brain, brain.parent, *QUICK)


def test_weights_of_another_kind(blockseg, brain):
    (blockseg.folder / "w.safetensors").write_bytes(b"\x00" * 64)
    said = refused(
        blockseg, brain, "--weights", "w.safetensors", "--scheduler", "serial"
    )
    assert "w.safetensors" in said


class Evil:
    def __reduce__(self):
        return (open, ("touched", "w"))


def test_a_pickle_with_code_in_it_is_not_run(blockseg):
    path = blockseg.folder / "evil.ckpt"
    path.write_bytes(pickle.dumps({"state_dict": Evil()}))
    done = blockseg("weights", "import", "evil.ckpt", "w.safetensors", code=1)
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert not (blockseg.folder / "touched").exists()
    assert not (blockseg.folder / "w.safetensors").exists()


def test_a_block_that_does_not_fit_the_network(blockseg, brain):
    assert "no multiple of 4" in refused(blockseg, brain, "--block", "30", *QUICK)


def test_a_window_that_does_not_fit_the_network(blockseg, brain):
    assert "multiple of 4" in refused(blockseg, brain, "--window", "30", *QUICK)


def test_a_region_outside_the_volume(blockseg, brain):
    said = refused(blockseg, brain, "--roi", "0:129,0:64,0:64", *QUICK)
    assert "does not lie inside" in said


def test_a_halo_that_would_make_seams(blockseg, brain):
    assert "--inexact" in refused(blockseg, brain, "--halo", "16", *QUICK)


def test_an_unknown_codec(blockseg, brain):
    assert "blosc-zstd" in refused(blockseg, brain, "--codec", "blosc-zst", *QUICK)


def test_a_mask_that_is_not_there(blockseg, brain):
    assert "--mask" in refused(blockseg, brain, "--mask", "none.tif", *QUICK)


def test_a_scheduler_that_does_not_answer(blockseg, brain, monkeypatch):
    soon = partial(connect, timeout=0.5)
    monkeypatch.setattr("blockseg.runtime.dask.cluster.connect", soon)
    said = refused(
        blockseg, brain, "--scheduler", "tcp://127.0.0.1:9", "--backend", "fake"
    )
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in said


def test_a_scheduler_address_that_is_none(blockseg, brain):
    refused(blockseg, brain, "--scheduler", "here", "--backend", "fake")


def test_an_unknown_setting_in_a_file(blockseg, brain):
    (blockseg.folder / "mine.yaml").write_text("blokc: 64\n")
    said = refused(blockseg, brain, "--config", "mine.yaml", *QUICK)
    assert "did you mean 'block'" in said


def test_a_glob_without_an_output(blockseg):
    tifffile.imwrite(blockseg.folder / "s1.tif", np.ones((8, 8), np.uint16))
    tifffile.imwrite(blockseg.folder / "s2.tif", np.ones((8, 8), np.uint16))
    assert "give OUT" in refused(blockseg, "s*.tif", *QUICK)


@pytest.mark.parametrize("settings", [{"roi": "0:9,0:9,0:9"}, {"block": 30}])
def test_the_python_functions_raise_the_same_errors(settings):
    import blockseg

    with pytest.raises(BlocksegError):
        blockseg.predict(np.zeros((8, 8, 8), np.uint16), backend="fake", **settings)


def test_a_gpu_that_is_not_there(blockseg, brain):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    said = refused(blockseg, brain, "--device", "cuda", "--scheduler", "serial")
    assert "no CUDA device" in said
