#!/usr/bin/env bash
# tifffile 2026.3.3: a stack of planes that is saved without axes becomes channels, or colours
#
# imwrite(imagej=True) of a stack of 20 planes writes an ImageJ hyperstack of 20 channels, not of
# 20 slices, and imwrite() of three planes writes one picture of three colours, planar. Read again,
# neither has a z axis; only metadata={"axes": "ZYX"} makes planes of them. A stack of 20 planes
# without imagej=True comes back as unknown (Q). Seen: SYX, CYX with channels=20, ZYX with
# slices=20, QYX.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import tifffile

warnings.simplefilter("ignore")
named = {"imagej": True, "metadata": {"axes": "ZYX"}}
seen = []
for planes, how in ((3, {}), (20, {"imagej": True}), (20, named), (20, {})):
    tifffile.imwrite("stack.tif", np.zeros((planes, 64, 48), "uint16"), **how)
    with tifffile.TiffFile("stack.tif") as tif:
        stated = tif.imagej_metadata or {}
        seen.append((tif.series[0].axes, stated.get("channels"), stated.get("slices")))
print(*seen)
expected = [
    ("SYX", None, None),
    ("CYX", 20, None),
    ("ZYX", None, 20),
    ("QYX", None, None),
]
raise SystemExit(0 if seen == expected else "the behaviour has changed")
PYTHON
