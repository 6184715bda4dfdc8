#!/usr/bin/env bash
# tifffile 2026.3.3: all pages of a SubIFD level have one index and one hash
#
# The pages of the coarse level of an OME-TIFF pyramid (SubIFDs) cannot be told apart by
# TiffPage.index or TiffPage.hash, though each is another plane; only TiffPage.offset differs. A
# cache of decoded tiles that is keyed by the page's index returns one plane's tile for all.
# Seen: indices of level 0 [0, 1, 2, 3], of level 1 [1, 1, 1, 1], hashes of level 1 all equal,
# four offsets.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import tifffile

image = np.arange(4 * 64 * 64, dtype="uint16").reshape(4, 64, 64)
with tifffile.TiffWriter("pyramid.ome.tif") as writer:
    how = {"tile": (32, 32), "compression": "zlib"}
    writer.write(image, subifds=1, metadata={"axes": "ZYX"}, **how)
    writer.write(image[:, ::2, ::2], subfiletype=1, **how)
with tifffile.TiffFile("pyramid.ome.tif") as tif:
    fine, coarse = (level.pages for level in tif.series[0].levels)
    seen = [page.index for page in fine], [page.index for page in coarse]
    hashes = {page.hash for page in coarse}
    offsets = {page.offset for page in coarse}
print(f"indices {seen}, {len(hashes)} hash and {len(offsets)} offsets of the coarse level")
same = len(set(seen[1])) == 1 and len(hashes) == 1 and len(offsets) == 4
raise SystemExit(0 if seen[0] == [0, 1, 2, 3] and same else "the behaviour has changed")
PYTHON
