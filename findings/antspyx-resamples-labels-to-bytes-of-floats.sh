#!/usr/bin/env bash
# antspyx 0.6.1: resample_image_to_target() of labels returns the bytes of floats
#
# It is meant to bring one image, such as an atlas, to the grid of another. It computes in float32
# and, if the image is of integers, returns the memory of the result as such, unconverted. Even
# where nothing should change, an image onto its own grid by genericLabel, region 1 of uint32
# becomes 1065353216, the bits of 1.0, and regions 1 and 3 of uint8 become 0, 63, 64 and 128, with
# no warning. Images of floats are right; so is apply_transforms(fixed, moving, [],
# interpolator="genericLabel"), which does the same. Seen: as above.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    antspyx==0.6.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import ants
import numpy as np

regions = np.ones((8, 8, 8), np.uint8)
regions[4:] = 3
seen = {}
for dtype in ("uint8", "uint32", "float32"):
    image = ants.from_numpy(regions.astype(dtype))
    resampled = ants.resample_image_to_target(image, image, interp_type="genericLabel")
    warped = ants.apply_transforms(image, image, [], interpolator="genericLabel")
    seen[dtype] = [np.unique(i.numpy()).tolist() for i in (resampled, warped)]
    print(f"{dtype}: resampled {seen[dtype][0]}, by apply_transforms {seen[dtype][1]}")
bits = np.float32([1, 3]).view(np.uint32).tolist()
expected = {
    "uint8": [[0, 63, 64, 128], [1, 3]],
    "uint32": [bits, [1, 3]],
    "float32": [[1, 3], [1, 3]],
}
raise SystemExit(0 if seen == expected else "the behaviour has changed")
PYTHON
