#!/usr/bin/env bash
# ome-zarr 0.18.0 cannot add labels to what ngff-zarr 0.50.0 wrote, and leaves them half done
#
# ngff-zarr writes consolidated metadata: the root lists all members. zarr-python 3.1.6 goes by this
# list, and does not extend it when a member is made through the very group. So write_labels()
# writes all levels, then cannot find what it has just made, and raises KeyError; that "cells" is
# a label image is not written down. With zarr.open_group(…, use_consolidated=False) it ends well,
# but whoever opens the root as usual sees no labels until zarr.consolidate_metadata() was
# called. Seen: "'labels' not found in consolidated metadata.", 5 levels on the disk, no list of
# labels; written, a reader sees them only once the list was made again.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    ome-zarr==0.18.0 ngff-zarr==0.50.0 zarr==3.1.6 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from pathlib import Path

import ngff_zarr
import numpy as np
import zarr
from ome_zarr.writer import write_labels

labels = np.ones((16, 32, 32), np.uint8)
seen = {}
for how, consolidated in (("as usual", None), ("use_consolidated=False", False)):
    root = Path(how.replace(" ", "-"))
    image = ngff_zarr.to_ngff_image(np.zeros((16, 32, 32), np.uint16), dims=["z", "y", "x"])
    pyramid = ngff_zarr.to_multiscales(image, scale_factors=[2])
    ngff_zarr.to_ngff_zarr(str(root), pyramid, version="0.5")
    group = zarr.open_group(root, mode="r+", use_consolidated=consolidated)
    try:
        write_labels(labels, group, name="cells", axes="zyx")
        message = "written"
    except KeyError as error:
        message = error.args[0]
    levels = len(list(root.glob("labels/cells/s*/zarr.json")))
    listed = zarr.open_group(root / "labels", mode="r").attrs.get("ome", {}).get("labels", [])
    before = "labels" in zarr.open_group(root, mode="r")
    zarr.consolidate_metadata(root)
    after = "labels" in zarr.open_group(root, mode="r")
    seen[how] = (message, levels, listed, before, after)
    print(f"{how}: {message} Levels on the disk: {levels}; labels listed: {listed}; "
          f"a reader sees them: {before}, with the metadata consolidated again: {after}")
expected = {
    "as usual": ("'labels' not found in consolidated metadata.", 5, [], False, True),
    "use_consolidated=False": ("written", 5, ["cells"], False, True),
}
raise SystemExit(0 if seen == expected else "the behaviour has changed")
PYTHON
