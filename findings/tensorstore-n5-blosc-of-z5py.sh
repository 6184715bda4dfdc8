#!/usr/bin/env bash
# tensorstore 0.1.86: N5 with Blosc as z5py 3.0.2 writes it cannot be opened
#
# z5py writes the key nthreads into the Blosc settings of attributes.json. tensorstore's n5
# driver refuses the array for this one key, which says nothing about the stored bytes; with gzip
# it reads what z5py writes. Given the same metadata without the key (assume_metadata) it reads
# every voxel. Seen: 'Object includes extra members: "nthreads"'.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorstore==0.1.86 z5py==3.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json
from pathlib import Path

import numpy as np
import tensorstore as ts
import z5py

image = np.random.default_rng(0).integers(0, 1000, (40, 50, 60)).astype("uint16")
folder = Path("brain.n5").absolute()
file = z5py.File(str(folder), mode="a", use_zarr_format=False)
for codec in ("gzip", "blosc"):
    file.create_dataset(codec, data=image, chunks=(32, 32, 32), compression=codec)


def opened(codec, **more):
    store = {"driver": "file", "path": f"{folder / codec}/"}
    array = ts.open({"driver": "n5", "kvstore": store, **more}, open=True).result()
    return array.read().result().T


assert (opened("gzip") == image).all()
try:
    opened("blosc")
    message = ""
except ValueError as error:
    message = str(error)
print(message.split(" [")[0])
metadata = json.loads((folder / "blosc" / "attributes.json").read_text())
del metadata["compression"]["nthreads"]
whole = ts.open(
    {
        "driver": "n5",
        "kvstore": {"driver": "file", "path": f"{folder}/blosc/"},
        "metadata": metadata,
    },
    open=True,
    assume_metadata=True,
).result()
same = (whole.read().result().T == image).all()
refused = 'extra members: "nthreads"' in message
raise SystemExit(0 if refused and same else "the behaviour has changed")
PYTHON
