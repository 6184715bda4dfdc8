#!/usr/bin/env bash
# tensorstore 0.1.86: a ZIP member that deflate made more than 1024 times smaller reads as missing
#
# A Zarr whose chunks are not compressed, in a ZIP archive that compresses them itself (zipfile's
# ZIP_DEFLATED, `zip -r`), as is usual for masks. A chunk of 1 MiB of ones packs 1015 times and is
# read; one of 5 MiB of ones packs 1026 times, deflate's own limit being 1032, and every voxel of
# it is read as the array's fill value, without any error. zarr-python and unzip read the ones.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorstore==0.1.86 zarr==3.1.6 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import zipfile
from pathlib import Path

import numpy as np
import tensorstore as ts
import zarr
from zarr.storage import ZipStore

seen = {}
for mebibytes in (1, 5):
    length = mebibytes * 2**20
    array = zarr.create_array(
        f"{mebibytes}.zarr", shape=(length,), chunks=(length,), dtype="uint8", compressors=None
    )
    array[:] = 1
    path = Path(f"{mebibytes}.zip").absolute()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in Path(f"{mebibytes}.zarr").rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(f"{mebibytes}.zarr"))
        ratio = max(i.file_size / i.compress_size for i in archive.infolist())
    store = {"driver": "zip", "base": {"driver": "file", "path": str(path)}}
    theirs = ts.open({"driver": "zarr3", "kvstore": store}, open=True).result().read().result()
    python = zarr.open_array(ZipStore(path, mode="r"), mode="r")[:]
    seen[mebibytes] = (set(np.unique(theirs).tolist()), set(np.unique(python).tolist()))
    print(f"{mebibytes} MiB of ones, packed {ratio:.0f} times: tensorstore reads "
          f"{seen[mebibytes][0]}, zarr-python {seen[mebibytes][1]}")
expected = {1: ({1}, {1}), 5: ({0}, {1})}
raise SystemExit(0 if seen == expected else "the behaviour has changed")
PYTHON
