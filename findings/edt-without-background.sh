#!/usr/bin/env bash
# edt 3.1.2 and SciPy 1.17.1: distances where nothing is background
#
# edt.edt() of a volume in which every voxel is foreground is infinite. SciPy's
# distance_transform_edt() gives finite distances there, to a background voxel that does not
# exist, one step outside of the first corner. A radius from either is wrong in a block that lies
# wholly inside a soma, and neither says a word. Seen: edt inf, with black_border=True 3.0; SciPy
# 7.549834 for a cube of 5 voxels.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check edt==3.1.2 scipy==1.17.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import edt
import numpy as np
from scipy.ndimage import distance_transform_edt

cube = np.ones((5, 5, 5), bool)
seen = (
    float(edt.edt(cube).max()),
    float(edt.edt(cube, black_border=True).max()),
    round(float(distance_transform_edt(cube).max()), 6),
)
print(f"edt {seen[0]}, edt with black_border {seen[1]}, SciPy {seen[2]}")
raise SystemExit(
    0 if seen == (np.inf, 3.0, 7.549834) else "the behaviour has changed"
)
PYTHON
