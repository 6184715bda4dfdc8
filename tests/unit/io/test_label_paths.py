"""The labels of an image are found wherever the image lies in its container."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from blockseg.io.find import find
from blockseg.io.zarr.layout import label_paths

SCALES = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
MULTISCALES: Any = [
    {
        "version": "0.4",
        "axes": [{"name": name, "type": "space"} for name in "zyx"],
        "datasets": [{"path": "0", "coordinateTransformations": SCALES}],
    }
]


@pytest.mark.parametrize("inner", ["", "7", "a/b"])
def test_labels_are_named_and_placed_relative_to_the_container(
    tmp_path: Path, inner: str
) -> None:
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    prefix = f"{inner}/" if inner else ""
    for place in (inner, f"{prefix}labels/axons", f"{prefix}labels/cells"):
        image = root.require_group(place) if place else root
        image.attrs["multiscales"] = MULTISCALES
        image.create_array("0", data=np.ones((2, 3, 4), "uint8"))
    expected = {name: f"{prefix}labels/{name}" for name in ("axons", "cells")}
    spec = find(tmp_path / "a.zarr")
    assert label_paths(spec) == expected
    level = find(tmp_path / "a.zarr" / prefix / "0")
    assert label_paths(level) == expected


def test_an_image_without_labels_has_none(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "bare.zarr", data=np.ones((2, 3, 4), "uint8"))
    assert label_paths(find(tmp_path / "bare.zarr")) == {}
    assert label_paths(find("constant://2,2,2/uint8/1")) == {}
