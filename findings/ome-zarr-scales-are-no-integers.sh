#!/usr/bin/env bash
# ome-zarr 0.18.0: write_image() halves y and x alone, and writes factors such as 2.015625
#
# By default a volume of 65x129x131 gets levels of full depth, and the scale of a level is the
# ratio of the shapes, not 2: level 1 of 64x65 pixels has the scale [1, 2.015625, 2.015385], and
# translations that centre it. Readers that map levels or masks by powers of two, or by the scale
# along z, miss by whole voxels at the far end. Seen: shapes [(65, 129, 131), (65, 64, 65), (65,
# 32, 32), (65, 16, 16), (65, 8, 8)], scale of level 1 as above.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check ome-zarr==0.18.0 zarr==3.1.6 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import zarr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ome_zarr.writer import write_image

    group = zarr.open_group("image.zarr", mode="w")
    write_image(np.zeros((65, 129, 131), "uint16"), group, axes="zyx")
attributes = dict(group.attrs)
(multiscale,) = attributes.get("ome", attributes)["multiscales"]
datasets = multiscale["datasets"]
shapes = [group[dataset["path"]].shape for dataset in datasets]
(scale,) = [
    step["scale"]
    for step in datasets[1]["coordinateTransformations"]
    if step["type"] == "scale"
]
print(f"shapes {shapes}, scale of level 1: {scale}")
flat = all(shape[0] == 65 for shape in shapes) and scale[0] == 1
ratio = np.allclose(scale[1:], [129 / 64, 131 / 65])
raise SystemExit(0 if flat and ratio else "the behaviour has changed")
PYTHON
