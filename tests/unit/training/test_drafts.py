import json

import numpy as np
import pytest
import tifffile

from blockseg.core.errors import VolumeError
from blockseg.training.annotations.drafts import label_hash, standing
from blockseg.training.data.annotated_volumes import find_annotated

SHAPE = (4, 5, 6)


def write(path, voxels):
    tifffile.imwrite(path, voxels, photometric="minisblack")


def folder(root, *, states, edited=()):
    """Make a folder of picks whose labels are drafts, but for those that are edited."""
    rows = []
    for kind in ("image", "label"):
        (root / kind).mkdir()
    for number, state in enumerate(states):
        draft = np.full(SHAPE, number, np.uint8)
        name = f"p{number}"
        write(root / "image" / f"{name}.tif", np.zeros(SHAPE, np.uint16))
        label = draft.copy()
        if number in edited:
            label[0, 0, 0] = 255
        write(root / "label" / f"{name}.tif", label)
        rows.append({"name": name, "draft_sha256": label_hash(draft), "state": state})
    (root / "manifest.json").write_text(json.dumps({"picks": rows}))


def names(found):
    return [image.name.rpartition("/")[2] for image in found.images]


def test_untouched_drafts_and_skipped_picks_are_left_out_and_counted(tmp_path):
    folder(tmp_path, states=["", "", "done", "skipped"], edited=[1, 3])
    found = find_annotated(str(tmp_path), accept_drafts=False)
    assert names(found) == ["p1", "p2"]
    assert (found.drafts, found.skipped, found.picks) == (1, 1, 4)
    everything = find_annotated(str(tmp_path))
    assert names(everything) == ["p0", "p1", "p2", "p3"]


def test_nothing_but_drafts_is_refused_with_what_to_do(tmp_path):
    folder(tmp_path, states=["", "skipped"])
    with pytest.raises(VolumeError, match=r"1 unedited drafts.*--accept-drafts"):
        find_annotated(str(tmp_path), accept_drafts=False)


def test_a_manifest_that_tells_nothing_of_drafts_has_annotations(tmp_path):
    folder(tmp_path, states=["", ""])
    rows = [{"name": "p0"}, {"name": "p1"}]
    (tmp_path / "manifest.json").write_text(json.dumps({"picks": rows}))
    assert len(find_annotated(str(tmp_path), accept_drafts=False).images) == 2


def test_a_label_has_one_hash_whatever_its_type_and_another_when_it_changes():
    label = np.random.default_rng(0).choice([0, 1, 255], SHAPE)
    hashes = {label_hash(label.astype(kind)) for kind in ("u1", "u2", "i8", "f4")}
    assert len(hashes) == 1
    changed = label.copy()
    changed[1, 2, 3] = 7
    assert label_hash(changed) not in hashes
    assert label_hash(label.reshape(5, 4, 6)) not in hashes


def test_a_state_that_there_is_not_is_refused():
    with pytest.raises(VolumeError, match="perhaps"):
        standing("p", "perhaps", "", np.zeros(SHAPE))
