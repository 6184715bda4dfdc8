#!/usr/bin/env bash
# h5py 3.16.0 (HDF5): get_chunk_info_by_coord looks at every chunk before the one it is asked for
#
# HDF5 finds a chunk through a B-tree, so that reading one of many costs no more than one of few.
# The function that tells where a chunk lies, which zarr's and others' tools for virtual copies of
# HDF5 are built on, walks through all chunks until it meets the one: of 64,000 chunks the last
# takes thousands of times as long as the first, and as reading its bytes by
# read_direct_chunk, which goes by the tree. Seen: 2 µs and 15 ms, against 3 µs and 3 µs.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import time

import h5py
import numpy as np

with h5py.File("volume.h5", "w") as file:
    file.create_dataset("x", data=np.ones((40, 160, 160), "uint8"), chunks=(1, 4, 4))
data = h5py.File("volume.h5", "r")["x"].id


def microseconds(call, place):
    call(place)
    best = float("inf")
    for _ in range(30):
        start = time.perf_counter()
        call(place)
        best = min(best, time.perf_counter() - start)
    return 1e6 * best


first, last = (0, 0, 0), (39, 156, 156)
asked = [microseconds(data.get_chunk_info_by_coord, place) for place in (first, last)]
read = [microseconds(data.read_direct_chunk, place) for place in (first, last)]
print(f"HDF5 {h5py.version.hdf5_version}, {data.get_num_chunks()} chunks")
print(f"where it lies: the first {asked[0]:.0f} µs, the last {asked[1]:.0f} µs")
print(f"its bytes:     the first {read[0]:.0f} µs, the last {read[1]:.0f} µs")
walks = asked[1] > 30 * asked[0] and read[1] < 5 * read[0]
raise SystemExit(0 if walks else "the behaviour has changed")
PYTHON
