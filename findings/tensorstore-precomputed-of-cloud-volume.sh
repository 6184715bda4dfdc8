#!/usr/bin/env bash
# tensorstore 0.1.86: a precomputed volume that cloud-volume 12.15.2 wrote to a disk reads as 0
#
# cloud-volume compresses chunks of encoding raw with gzip, which over HTTP is a header. On a disk
# there are no headers, so it puts `.gz` behind the names of the files. tensorstore's driver
# neuroglancer_precomputed looks for the names of the specification, finds none, and gives 0 for
# every voxel without an error: both read and write the format, and share the same `info`. With
# compress=False tensorstore reads every voxel.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorstore==0.1.86 cloud-volume==12.15.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from pathlib import Path

import numpy as np
import tensorstore as ts
from cloudvolume import CloudVolume

image = np.random.default_rng(0).integers(1, 1000, (40, 30, 20)).astype("uint16")
seen = {}
for compress in (None, False):
    folder = Path(f"volume-{compress}").absolute()
    info = CloudVolume.create_new_info(
        1, "image", "uint16", "raw", [500, 500, 2000], [0, 0, 0], list(image.shape),
        chunk_size=[16, 16, 16],
    )
    volume = CloudVolume(f"file://{folder}", info=info, compress=compress, progress=False)
    volume.commit_info()
    volume[:, :, :] = image[..., None]
    store = {"driver": "file", "path": f"{folder}/"}
    array = ts.open({"driver": "neuroglancer_precomputed", "kvstore": store}, open=True).result()
    read = array.read().result()[..., 0]
    name = sorted(path.name for path in folder.glob("500*/*"))[0]
    seen[compress] = "all" if (read == image).all() else "none" if not read.any() else "some"
    own = (volume[:, :, :][..., 0] == image).all()
    print(f"compress={compress}: files such as {name}; cloud-volume reads all: {own}; "
          f"tensorstore reads {seen[compress]} of the voxels")
raise SystemExit(0 if seen == {None: "none", False: "all"} else "the behaviour has changed")
PYTHON
