#!/usr/bin/env bash
# brainglobe-space 1.0.3: map_points_to() and map_stack_to() differ by a voxel on flipped axes
#
# From "psl" to "asl" the first axis is turned round. In the turned stack, voxel 0 of 10 planes
# is at index 9; as a point it comes to 10, as it does where a point is a distance from the
# corner. Whoever gives indices of voxels (as cellfinder gives its cells, which it then looks up
# in brainreg's deformation field by rounding) is a voxel off along flipped axes, and beyond the
# array for voxel 0. A place must be given from the corner: index + 0.5, and 0.5 less afterwards.
# Seen: point [10, 0, 0], voxel [9, 0, 0].
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check brainglobe-space==1.0.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import brainglobe_space as bg
import numpy as np

source = bg.AnatomicalSpace("psl", shape=(10, 8, 6), resolution=(25, 25, 25))
target = bg.AnatomicalSpace("asl", shape=(10, 8, 6), resolution=(25, 25, 25))
stack = np.zeros((10, 8, 6))
stack[0, 0, 0] = 1
(voxel,) = np.argwhere(source.map_stack_to(target, stack, copy=True))
(point,) = source.map_points_to(target, [[0, 0, 0]])
(centre,) = source.map_points_to(target, [[0.5, 0.5, 0.5]]) - 0.5
print(f"voxel {voxel.tolist()}, point {point.tolist()}, by centres {centre.tolist()}")
differ = point.tolist() == [10, 0, 0] and voxel.tolist() == [9, 0, 0]
raise SystemExit(0 if differ and centre.tolist() == [9, 0, 0] else "the behaviour has changed")
PYTHON
