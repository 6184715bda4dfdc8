#!/usr/bin/env bash
# SimpleITK 2.5.7 (ITK): a tiled TIFF is read as 8-bit colours, and float16 as integers
#
# ITK decodes TIFFs in strips itself; tiles, as in OME-TIFFs and pyramids, it leaves to libtiff's
# reader for display. A stack of uint16 so becomes red, green, blue and alpha of 8 bits, in which
# 300 and 511 are both 1; asked for floats, as for registration, it is 255 everywhere. A line on
# standard error says so, but nothing is raised. For float16, as probabilities are kept to save
# space, there is no such line: its bits are read as uint16, 1.0 as 15360. For tools that are built
# on ITK, write strips (tifffile without tile=) and float32. Seen: tiles "vector of 8-bit unsigned
# integer", as floats 255, strips 300 and 511, 1.0 as 15360.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    SimpleITK==2.5.7 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import SimpleITK as sitk
import tifffile

sitk.ProcessObject.SetGlobalWarningDisplay(False)
stack = np.full((4, 64, 64), 300, np.uint16)
stack[2] = 511
half = np.ones((4, 64, 64), np.float16)


def read(name, voxels, **how):
    tifffile.imwrite(name, voxels, photometric="minisblack", **how)
    image = sitk.ReadImage(name)
    return image.GetPixelIDTypeAsString(), sitk.GetArrayFromImage(image)


kind, tiles = read("tiles.tif", stack, tile=(32, 32))
grey, strips = read("strips.tif", stack)
halves, ones = read("half.tif", half)
floats = np.unique(sitk.GetArrayFromImage(sitk.ReadImage("tiles.tif", sitk.sitkFloat32)))
print(f"tiles: {kind}, values {np.unique(tiles).tolist()}; as floats {floats.tolist()}")
print(f"strips: {grey}, values {np.unique(strips).tolist()}")
print(f"1.0 as float16: {halves}, value {np.unique(ones).tolist()}")
same = (strips == stack).all() and np.unique(ones).tolist() == [15360]
colours = kind == "vector of 8-bit unsigned integer" and set(np.unique(tiles)) == {1, 255}
colours = colours and floats.tolist() == [255]
typed = halves == "16-bit unsigned integer"
raise SystemExit(0 if same and colours and typed else "the behaviour has changed")
PYTHON
