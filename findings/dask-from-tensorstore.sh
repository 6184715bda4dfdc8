#!/usr/bin/env bash
# dask 2026.8.0 and tensorstore 0.1.86: from_array() of a tensorstore cannot be computed
#
# dask.array.from_array() takes anything with shape, dtype and slicing; of a tensorstore it
# fails, since tensorstore's dtype is a class of its own, which NumPy takes for no type. Wrapping
# the array in an object whose dtype is NumPy's helps. Seen: TypeError: Cannot interpret
# 'dtype("uint16")' as a data type.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check dask[array]==2026.8.0 tensorstore==0.1.86 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import dask.array as da
import numpy as np
import tensorstore as ts

store = ts.array(np.ones((8, 8, 8), "uint16"))
try:
    message = str(da.from_array(store, chunks=4).sum().compute())
except TypeError as error:
    message = str(error)
print(message)


class Wrapped:
    shape, ndim, dtype = store.shape, store.ndim, store.dtype.numpy_dtype

    def __getitem__(self, key):
        return store[key].read().result()


total = int(da.from_array(Wrapped(), chunks=4, asarray=False).sum().compute())
refused = message == "Cannot interpret 'dtype(\"uint16\")' as a data type"
raise SystemExit(0 if refused and total == 512 else "the behaviour has changed")
PYTHON
