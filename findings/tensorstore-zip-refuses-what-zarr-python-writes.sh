#!/usr/bin/env bash
# tensorstore 0.1.86: no array can be opened in a ZIP archive in which any name stands twice
#
# zarr-python 3.1.6 writes such archives in everyday use: attributes that are set after a group
# was made, or a chunk that is written twice, append a second member of the same name (Python's
# zipfile warns of it), and the last one counts. zarr-python, zipfile and unzip read them.
# tensorstore refuses the whole archive, even for another array in it, whose names are unique.
# Seen: 'Duplicate filename in ZIP: zarr.json'.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorstore==0.1.86 zarr==3.1.6 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings
from pathlib import Path

import numpy as np
import tensorstore as ts
import zarr
from zarr.storage import ZipStore

warnings.simplefilter("ignore")
image = np.arange(1000, dtype="uint16").reshape(10, 10, 10)


def written(name, attributes):
    path = Path(name).absolute()
    with ZipStore(path, mode="w") as store:
        group = zarr.create_group(store)
        group.create_array("image", shape=image.shape, chunks=(5, 5, 5), dtype="uint16")[:] = image
        group.attrs.update(attributes)
    return path


def theirs(path):
    store = {"driver": "zip", "base": {"driver": "file", "path": str(path)}, "path": "image/"}
    try:
        array = ts.open({"driver": "zarr3", "kvstore": store}, open=True).result()
        return "read" if (array.read().result() == image).all() else "other voxels"
    except ValueError as error:
        return str(error).split(" [")[0]


plain, described = written("plain.zip", {}), written("described.zip", {"stain": "GFP"})
python = zarr.open_array(ZipStore(described, mode="r"), path="image", mode="r")[:]
print(f"without attributes: {theirs(plain)}")
print(f"with an attribute of the group: {theirs(described)}")
refused = "Duplicate filename in ZIP" in theirs(described)
same = (python == image).all()
raise SystemExit(0 if theirs(plain) == "read" and refused and same else "the behaviour has changed")
PYTHON
