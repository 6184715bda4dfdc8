#!/usr/bin/env bash
# scikit-image 0.26.0: skeletonize() leaves nothing of many bars of even width
#
# A straight bar of 2x2x40 voxels, as a thin axon is, has an empty skeleton: neither an end nor a
# voxel is left. The same bar with 3x3 voxels keeps 38, with 4x4 again none. A bar of 2x2 that
# runs diagonally keeps its skeleton. Whoever measures lengths of thin neurites by skeletonize()
# loses those that run along an axis. Seen: {1: 40, 2: 0, 3: 38, 4: 0, 5: 36, 6: 0, 7: 34, 8: 0},
# by the width of the bar; diagonal bar of width 2: 44.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check scikit-image==0.26.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from skimage.morphology import skeletonize

seen = {}
for width in range(1, 9):
    volume = np.zeros((20, 20, 52), bool)
    volume[6 : 6 + width, 6 : 6 + width, 6:46] = True
    seen[width] = int(skeletonize(volume).sum())
diagonal = np.zeros((60, 60, 60), bool)
for i in range(5, 50):
    diagonal[i : i + 2, i : i + 2, i : i + 2] = True
along = int(skeletonize(diagonal).sum())
print(f"voxels of the skeleton by width of the bar: {seen}; diagonal: {along}")
expected = {1: 40, 2: 0, 3: 38, 4: 0, 5: 36, 6: 0, 7: 34, 8: 0}
raise SystemExit(0 if seen == expected and along == 44 else "the behaviour has changed")
PYTHON
