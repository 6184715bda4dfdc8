#!/usr/bin/env bash
# ome-zarr 0.18.0 and ngff-zarr 0.50.0: coarse levels of uint64 labels hold ids that do not exist
#
# A coarse level holds the nearest or the commonest label below, so one expects no other ids than
# in level 0. Both pass them through float64, which holds whole numbers up to 2^53: ids of 18
# digits, as connectomes have, are rounded in all levels but the finest, and neighbours become
# one. Who clicks an object in a viewer that shows a coarse level gets an id that no table has. Of
# ngff-zarr's methods, ITKWASM_LABEL_IMAGE rounds, DASK_IMAGE_MODE does not. Seen, for labels
# 2^60 + 1 and 2^60 + 3: level 1 holds 2^60 alone, by ome-zarr's write_labels() and the former.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    ome-zarr==0.18.0 ngff-zarr==0.50.0 zarr==3.1.6 dask-image==2026.5.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import ngff_zarr
import numpy as np
import zarr
from ome_zarr.writer import write_labels

labels = np.zeros((16, 64, 64), np.uint64)
labels[:, :, 16:32] = 2**60 + 1
labels[:, :, 32:48] = 2**60 + 3


def ids(array):
    return [int(i) - 2**60 for i in np.unique(array) if i]


group = zarr.open_group("labels.zarr", mode="w")
write_labels(labels, group, name="cells", axes="zyx")
seen = {f"ome-zarr, {level}": ids(group[f"labels/cells/{level}"][:]) for level in ("s0", "s1")}
image = ngff_zarr.to_ngff_image(labels, dims=["z", "y", "x"])
for method in (ngff_zarr.Methods.ITKWASM_LABEL_IMAGE, ngff_zarr.Methods.DASK_IMAGE_MODE):
    coarse = ngff_zarr.to_multiscales(image, scale_factors=[2], method=method).images[1]
    seen[f"ngff-zarr, {method.name}"] = ids(np.asarray(coarse.data))
for how, found in seen.items():
    print(f"{how}: 2^60 + {found}")
expected = [[1, 3], [0], [0], [1, 3]]
raise SystemExit(0 if list(seen.values()) == expected else "the behaviour has changed")
PYTHON
