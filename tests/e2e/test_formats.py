"""One volume in five formats gives one result, that of one pass over the whole."""

import hashlib

import numpy as np
import pytest
import tifffile
import torch
import z5py
import zarr

from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.networks.published import import_published
from blockseg.networks.weights import load_weights
from blockseg.normalization.affine import normalize
from tests.written import formats as written


def read(path):
    volume = open_volume(find(str(path)))
    return volume.read(Roi.whole(volume.shape))


@pytest.fixture(scope="module")
def published(shared_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "published.safetensors"
    import_published(shared_data / "sdasn" / "Fast_MyNet5_Re300_epoch_24.ckpt", path)
    return path


@pytest.fixture(scope="module")
def formats(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    whole = tifffile.imread(shared_data / "real" / "trailmap_chunk" / "image_160.tif")
    voxels = whole[5:70, :96, 20:124]
    tiff = folder / "crop.tif"
    tifffile.imwrite(tiff, voxels, compression="zlib")
    for version in (2, 3):
        array = zarr.create_array(
            folder / f"v{version}.zarr",
            shape=voxels.shape,
            dtype=voxels.dtype,
            chunks=(50, 64, 64),
            zarr_format=version,
        )
        array[...] = voxels
    with z5py.File(str(folder / "brain.n5"), "w", use_zarr_format=False) as file:
        data = file.create_dataset(
            "volume", shape=voxels.shape, chunks=(48, 64, 64), dtype="uint16"
        )
        data[...] = voxels
    group = zarr.open_group(folder / "ngff.zarr", mode="w", zarr_format=2)
    array = group.create_array(
        "0", shape=(1, *voxels.shape), dtype="uint16", chunks=(1, 64, 64, 64)
    )
    array[0] = voxels
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": "c", "type": "channel"}]
            + [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [1.0, 2.0, 0.5, 0.5]}
                    ],
                }
            ],
        }
    ]
    names = ("v2.zarr", "v3.zarr", "brain.n5", "ngff.zarr")
    return voxels, [tiff, *(folder / name for name in names)]


@pytest.mark.slow
def test_five_formats_give_one_result_that_of_one_pass(
    blockseg, formats, published, content_of
):
    voxels, sources = formats
    before = [_state(source) for source in sources]
    stores = []
    for number, source in enumerate(sources):
        blockseg(
            "run", source, f"{number}.zarr", "--weights", published,
            "--scheduler", "serial", "-q",
        )  # fmt: skip
        stores.append(content_of(blockseg.folder / f"{number}.zarr"))
    data = [{k: v for k, v in s.items() if "zarr.json" not in k} for s in stores]
    assert data[0]
    assert all(other == data[0] for other in data[1:])
    assert [_state(source) for source in sources] == before, "a source was written"

    probability = read(blockseg.folder / "0.zarr")
    mask = read(blockseg.folder / "0.zarr" / "labels" / "foreground")
    whole = one_pass(voxels, published, blockseg.folder / "0.zarr")
    levels = np.abs(probability.astype(int) - np.rint(255 * whole).astype(int))
    assert levels.max() <= 1
    assert np.count_nonzero(levels) < 1e-4 * levels.size
    decided = np.abs(whole - 0.5) > 1e-4
    np.testing.assert_array_equal(mask[decided], (whole >= 0.5)[decided])
    assert 0.001 < mask.mean() < 0.5, "nothing to compare"


def _written_in_each_format(folder, voxels):
    written.write_ome_zarr(folder / "local.zarr", voxels, chunks=(32, 32, 32))
    return {
        "local": folder / "local.zarr",
        "zip": written.write_zip(folder / "a.zip", voxels, chunks=(32, 32, 32)),
        "Imaris": written.write_imaris(folder / "a.ims", voxels, chunks=(8, 32, 32)),
        "BigDataViewer": written.write_bdv(folder / "a.xml", voxels),
        "precomputed": written.write_precomputed(folder / "p", voxels),
        "sharded": written.write_precomputed(
            folder / "s", voxels, sharding=written.SHARDING
        ),
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "convert"])
def test_a_run_from_any_container_gives_the_same_bytes(
    command, brain, tmp_path, blockseg, content_of
):
    volume = open_volume(find(str(brain)))
    voxels = volume.read(Roi((10, 20, 30), (74, 117, 158)))
    sources = _written_in_each_format(tmp_path, voxels)
    options = ("--backend", "fake") if command == "run" else ()
    found = {}
    for name, source in sources.items():
        out = f"{name}.out.zarr"
        blockseg(command, source, out, "--scheduler", "serial", "-q", *options)
        found[name] = content_of(tmp_path / out)
    assert len(found["local"]) > 2
    for name, content in found.items():
        assert content == found["local"], name


@pytest.mark.slow
@pytest.mark.dask
def test_workers_open_an_hdf5_file_each_for_itself(
    brain, tmp_path, blockseg, content_of
):
    voxels = open_volume(find(str(brain))).read(Roi((0, 0, 0), (64, 96, 128)))
    source = written.write_imaris(tmp_path / "a.ims", voxels)
    fake = ("--backend", "fake", "--block", "32,64,64", "-q")
    blockseg("run", source, "one.zarr", "--scheduler", "serial", *fake)
    blockseg("run", source, "two.zarr", "--workers", "2", *fake)
    assert content_of(tmp_path / "two.zarr") == content_of(tmp_path / "one.zarr")


def test_a_source_of_one_file_that_changed_is_noticed(brain, tmp_path, blockseg):
    voxels = open_volume(find(str(brain))).read(Roi((0, 0, 0), (64, 64, 64)))
    source = written.write_imaris(tmp_path / "a.ims", voxels)
    words = (
        "run",
        source,
        "out.zarr",
        "--backend",
        "fake",
        "-q",
        "--scheduler",
        "serial",
    )
    blockseg(*words)
    was = source.rename(tmp_path / "kept")
    written.write_imaris(source, voxels[::-1])
    said = blockseg(*words, code=1).output
    assert "a.ims" in said
    assert "put it back as it was" in said
    was.rename(source)
    blockseg(*words)


def one_pass(voxels, weights, out):
    """Run the padded network in float64 over the whole volume at once."""
    import json

    record = json.loads((out / ".blockseg" / "run.json").read_text())
    network, _ = load_weights(weights)
    network = network.double().eval()
    x = np.empty(voxels.shape)
    normalize(voxels, decisions_from(record["decisions"]).affine, x)
    shape = x.shape
    x = np.pad(x, [(0, -n % 4) for n in shape])
    with torch.inference_mode():
        p = torch.sigmoid(network(torch.from_numpy(x)[None, None]))[0, 0].numpy()
    return p[tuple(slice(n) for n in shape)]


def _state(source):
    files = [source] if source.is_file() else sorted(source.rglob("*"))
    return {
        file: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in files
        if file.is_file()
    }
