"""Stores that tensorstore has no driver for, as Azure's: the other way to the same voxels."""

import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.io.source_files.fingerprint import array_layout
from blockseg.io.zarr.volume import _zarr_python
from tests.e2e.stores.servers import BUCKET, uploaded


@pytest.mark.parametrize("kind", ["v2", "v3"])
def test_zarr_is_read_through_the_client_of_the_store(s3, stores, voxels, kind):
    uri = uploaded(stores / kind, f"s3+{s3.endpoint}/{BUCKET}/other-way/{kind}")
    read = _zarr_python(array_layout(find(uri)))
    assert read is not None
    part = (slice(3, 40), slice(5, 90), slice(0, 128))
    assert np.array_equal(read(part)(), voxels[part])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_coarse_levels_are_made_from_whole_objects(s3, monkeypatch, zarr_format):
    uri = f"s3+{s3.endpoint}/{BUCKET}/whole-objects/{zarr_format}"
    spec = PyramidSpec(uri, (150, 70, 90), (64, 64, 64), zarr_format=zarr_format)
    create_output(spec)
    writer = PyramidWriter(spec)
    voxels = np.random.default_rng(1).integers(0, 255, spec.shape).astype("uint8")
    voxels[:64, :64, :64] = 0
    for block in spec.grid:
        writer.write_block(block.write_roi, voxels[block.write_roi.slices()])
    whole = Roi.whole(spec.shape)
    by_driver = writer.read_level(0, whole)
    monkeypatch.setattr("blockseg.io.output.writer.has_driver", lambda _: False)
    assert np.array_equal(writer.read_level(0, whole), by_driver)
    assert np.array_equal(by_driver, voxels)
