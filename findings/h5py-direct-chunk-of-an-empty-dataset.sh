#!/usr/bin/env bash
# h5py 3.16.0: a chunk that is not stored is a RuntimeError, or a MemoryError if none is
#
# read_direct_chunk of a chunk that was never written raises RuntimeError ("chunk storage is not
# allocated"), which a reader takes for the fill value. In a dataset of which no chunk was ever
# written, as in an empty channel or time point, the same call raises MemoryError, with no text
# and on a machine with gigabytes to spare: the chunk's length is then never set, and what stands
# there is asked for. Reading by slices gives the fill value in both.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import h5py

with h5py.File("volume.h5", "w") as file:
    for name in ("one chunk", "no chunk"):
        file.create_dataset(name, (32, 32, 32), "uint16", chunks=(16, 16, 16), fillvalue=7)
    file["one chunk"][16:, 16:, 16:] = 1


def asked(dataset):
    try:
        return f"{len(dataset.id.read_direct_chunk((0, 0, 0))[1])} bytes"
    except Exception as error:
        return type(error).__name__


with h5py.File("volume.h5", "r") as file:
    seen = {name: asked(file[name]) for name in ("one chunk", "no chunk")}
    filled = all((file[name][:16, :16, :16] == 7).all() for name in seen)
for name, what in seen.items():
    print(f"{name} is stored, another is asked for: {what}")
same = seen == {"one chunk": "RuntimeError", "no chunk": "MemoryError"} and filled
raise SystemExit(0 if same else "the behaviour has changed")
PYTHON
