#!/usr/bin/env bash
# napari 0.9.2: labels of a pyramid with a single level lose an axis
#
# Labels([volume], multiscale=True) is a pyramid that has no coarse level, as small images have.
# Image takes it for three axes; Labels unwraps the list and then takes the planes of the volume
# for the levels of a pyramid: it has two axes, and a shape (z, y, x) of scale or translate is
# refused. Whoever opens pyramids of any depth must leave multiscale out for those of one level.
# Seen: image 3 axes, labels 2.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check napari==0.9.2
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import napari
import numpy as np
from napari.layers import Image, Labels

levels = [np.zeros((8, 16, 16), np.uint8)]
image = Image(levels, multiscale=True)
labels = Labels(levels, multiscale=True)
print(f"napari {napari.__version__}: image {image.ndim} axes, labels {labels.ndim}")
raise SystemExit(0 if (image.ndim, labels.ndim) == (3, 2) else "the behaviour has changed")
PYTHON
