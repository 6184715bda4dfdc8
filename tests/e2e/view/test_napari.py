"""``blockseg view --napari``: the layers as napari has them, where it is installed."""

import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.viewing.napari_window import add_layers
from blockseg.viewing.of_run import run_of, view_of_run

napari = pytest.importorskip("napari", reason="needs napari, which is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # of napari's own dependencies


def test_layers_lie_in_napari_where_their_voxels_are(shared_blockseg, brain):
    from napari.components import ViewerModel

    shared_blockseg(
        "run", brain, "out.zarr", "--scheduler", "serial", "--backend", "fake",
        "--block", "64", "--roi", "10:70,20:148,0:128", "-q",
    )  # fmt: skip
    out = shared_blockseg.folder / "out.zarr"
    run = run_of(out)
    assert run is not None
    view, window = view_of_run(run), ViewerModel()
    add_layers(window, view)
    assert [layer.name for layer in window.layers] == ["image", "probability", "mask"]
    mask, image = window.layers["mask"], window.layers["image"]
    volume = open_volume(find(str(out / "labels/foreground"), mask=True))
    assert tuple(mask.scale) == volume.space.voxel_size
    assert tuple(mask.translate) == volume.space.translation
    assert isinstance(mask, napari.layers.Labels)
    assert {str(unit) for unit in mask.units} == {"micrometer"}
    place = [
        n * size + first
        for n, size, first in zip(
            view.place, view.space.voxel_size, view.space.translation, strict=True
        )
    ]
    assert window.dims.point == pytest.approx(place)
    finest = mask.data[0] if mask.multiscale else mask.data
    voxels = finest[...]
    assert voxels[view.place] == 1
    assert sum(1 for _ in finest) == len(voxels)
    np.testing.assert_array_equal(voxels, volume.read(Roi.whole(volume.shape)))
    low, high = image.contrast_limits
    assert low < np.median(image.data[0][30]) < high
    assert window.scale_bar.visible
