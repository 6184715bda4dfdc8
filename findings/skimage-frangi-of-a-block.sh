#!/usr/bin/env bash
# scikit-image 0.26.0: frangi() and meijering() of a block depend on what else is in the block
#
# Their kernels have a finite reach, so one expects that blocks with an overlap of that reach, as
# by Dask's map_overlap, give what the whole volume gives. But both are scaled by the largest
# response in the array at hand (frangi unless gamma is given): with a bright soma in the block an
# axon nearly vanishes, and a block of mere noise looks like one of axons. sato() depends on what
# is near only, as does frangi() with one gamma for all blocks. Seen, largest response to an axon
# alone, beside a soma ten times as bright, and to noise of a thousandth of the axon: frangi 0.68,
# 0.0057, 0.62; meijering 1, 0.058, 1; sato 0.12, 0.12, 0.0002; frangi(gamma=0.02) 0.72, 0.72, 0.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    scikit-image==0.26.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from skimage.filters import frangi, meijering, sato

shape = (48, 48, 32)
axon = np.zeros(shape, np.float32)
axon[35:37, 35:37] = 1
beside = axon.copy()
z, y, x = np.ogrid[:48, :48, :32]
beside[(z - 10) ** 2 + (y - 10) ** 2 + (x - 16) ** 2 < 36] = 10
noise = np.random.default_rng(0).normal(0, 0.001, shape).astype(np.float32)
near = (slice(30, 42), slice(30, 42), slice(8, 24))
seen = {}
for name, function, more in (
    ("frangi", frangi, {}),
    ("meijering", meijering, {}),
    ("sato", sato, {}),
    ("frangi(gamma=0.02)", frangi, {"gamma": 0.02}),
):
    filtered = [
        function(volume, sigmas=[2], black_ridges=False, **more) for volume in (axon, beside, noise)
    ]
    seen[name] = [float(filtered[0][near].max()), float(filtered[1][near].max())]
    seen[name].append(float(filtered[2].max()))
    alone, soma, empty = seen[name]
    print(f"{name}: axon {alone:.2g}, beside a soma {soma:.2g}, noise alone {empty:.2g}")
scaled = all(
    seen[name][1] < 0.1 * seen[name][0] and seen[name][2] > 0.5 * seen[name][0]
    for name in ("frangi", "meijering")
)
local = all(
    abs(seen[name][1] / seen[name][0] - 1) < 1e-3 and seen[name][2] < 0.01 * seen[name][0]
    for name in ("sato", "frangi(gamma=0.02)")
)
raise SystemExit(0 if scaled and local else "the behaviour has changed")
PYTHON
