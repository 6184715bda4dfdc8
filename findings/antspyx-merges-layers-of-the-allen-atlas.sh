#!/usr/bin/env bash
# antspyx 0.6.1: image_read() and resample_image() merge regions of the Allen mouse atlas
#
# image_read() makes float32 of every file, unless told otherwise. Ids of the Allen atlas go up to
# 614454277, and float32 holds whole numbers up to 16777216: the layers of an area, which often have
# neighbouring ids, become one region, under an id that no table of names has. Written and cast
# to integers, the annotation looks sound, and the layers cannot be told apart again.
# pixeltype="unsigned int" reads all ids, and apply_transforms() keeps them, but resample_image()
# rounds even then. Seen, of the six layers of the anterior area and of SU3: 2 ids are read; with
# the pixel type 7, warped 7, resampled 2.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    antspyx==0.6.1 nibabel==5.4.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import ants
import nibabel
import numpy as np

layers = [312782550, 312782554, 312782558, 312782562, 312782566, 312782570]
regions = [*layers, 614454277]  # VISa1 to VISa6b, SU3
annotation = np.empty((7, 8, 8), np.uint32)
annotation[...] = np.array(regions)[:, None, None]
nibabel.save(nibabel.Nifti1Image(annotation, np.eye(4)), "annotation.nii.gz")


def ids(image):
    return np.unique(image.numpy()).astype(np.int64).tolist()


whole = ants.image_read("annotation.nii.gz", pixeltype="unsigned int")
seen = {
    "image_read": ids(ants.image_read("annotation.nii.gz")),
    "with the pixel type": ids(whole),
    "warped": ids(ants.apply_transforms(whole, whole, [], interpolator="genericLabel")),
    "resampled": ids(ants.resample_image(whole, (1, 2, 2), interp_type=1)),
}
for how, found in seen.items():
    print(f"{how}: {len(found)} ids, {found}")
merged = [312782560, 614454272]
expected = [merged, regions, regions, merged]
raise SystemExit(0 if list(seen.values()) == expected else "the behaviour has changed")
PYTHON
