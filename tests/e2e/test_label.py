"""Objects of a run, whole across its blocks, through the command."""

import csv
import json
import os
import shutil
import signal

import cc3d
import numpy as np
import pytest
from ome_zarr_models.v05.image import Image
from PIL import Image as PILImage
from pyarrow import parquet

from blockseg.blockwise.derived.finished import FinishedRun
from blockseg.config.settings import RunSettings
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.picture import panels
from blockseg.labelling import components, scratch, work
from blockseg.labelling.run import label
from blockseg.runtime.events import BlockDone

RUN = ("--scheduler", "serial", "--backend", "fake", "--block", "64", "-q")
SERIAL = ("--scheduler", "serial")


def opened(path, level=0):
    return open_volume(find(str(path), mask=True, level=level))


def voxels(path, level=0):
    volume = opened(path, level)
    return volume.read(Roi.whole(volume.shape))


def rows(out):
    with (out / "tables/objects.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def same_partition(found, expected):
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs)


@pytest.fixture(scope="module")
def finished(shared_blockseg, brain):
    """A run that no test changes."""
    shared_blockseg("run", brain, "out.zarr", *RUN, "--threshold", "0.8")
    return shared_blockseg.folder / "out.zarr"


@pytest.fixture
def out(blockseg, finished):
    shutil.copytree(finished, blockseg.folder / "out.zarr")
    return blockseg.folder / "out.zarr"


@pytest.fixture(scope="module")
def undisturbed(shared_blockseg, finished, content_of):
    """The content of an output that was labelled in one go."""
    shutil.copytree(finished, shared_blockseg.folder / "whole.zarr")
    shared_blockseg("label", "whole.zarr", *SERIAL, "-q")
    return content_of(shared_blockseg.folder / "whole.zarr")


def test_labels_clean_mask_and_table_are_those_of_the_whole(blockseg, out):
    said = blockseg("label", "out.zarr", *SERIAL, "--min-size", "40")
    mask = voxels(out / "labels/foreground") > 0
    labels = voxels(out / "labels/components")
    assert labels.dtype == np.uint64
    assert same_partition(labels, cc3d.connected_components(mask, connectivity=26))
    values, first, count = np.unique(labels, return_index=True, return_counts=True)
    assert values.tolist() == list(range(len(values)))
    assert (np.diff(first[1:]) > 0).all()
    big = values[(count >= 40) & (values > 0)]
    clean = voxels(out / "labels/foreground_clean")
    assert (clean == np.isin(labels, big)).all()
    assert f"{len(values) - 1} objects, {len(big)} of them clean" in said.stdout
    table = rows(out)
    assert [int(row["voxels"]) for row in table] == count[1:].tolist()
    assert {int(row["id"]) for row in table if row["clean"] == "1"} == set(big.tolist())
    read = parquet.read_table(out / "tables/objects.parquet")
    assert read.column_names == list(table[0])
    for name in ("voxels", "z_um", "length_um", "snr", "touches_border"):
        in_csv = [float(row[name]) for row in table]
        assert read[name].to_pylist() == pytest.approx(in_csv, rel=1e-6, abs=1e-6)
    made, filtered = (
        json.loads((out / "labels" / name / "zarr.json").read_text())["attributes"]
        for name in ("components", "foreground_clean")
    )
    assert made["blockseg"]["threshold"] == 204
    assert "min-size" not in made["blockseg"]["parameters"]
    assert filtered["blockseg"]["parameters"]["min-size"] == 40
    assert b"min-size" in read.schema.metadata[b"blockseg"]
    assert not list((out / ".blockseg/label-pieces").rglob("*.pieces"))


def test_coarse_labels_are_labels_of_the_finer_level(blockseg, out):
    blockseg("label", "out.zarr", *SERIAL, "-q")
    fine = voxels(out / "labels/components")
    coarse = voxels(out / "labels/components", 1)
    cells = fine.reshape(64, 2, 96, 2, 128, 2)
    assert (coarse == cells.max(axis=(1, 3, 5))).all()
    assert ((coarse > 0) == (cells > 0).any(axis=(1, 3, 5))).all()


def test_places_are_in_micrometres_from_the_origin_of_the_source(blockseg, brain):
    cut = ("--roi", "8:56,10:90,12:124", "--downsample", "2,2,2")
    blockseg("run", brain, "out.zarr", *RUN, *cut, "--threshold", "0.7")
    blockseg("label", "out.zarr", *SERIAL, "-q")
    out = blockseg.folder / "out.zarr"
    size = np.array(opened(brain).space.voxel_size)
    table = rows(out)
    assert len(table) > 1
    labels = voxels(out / "labels/components")
    for row in table[:20]:
        place = np.argwhere(labels == int(row["id"])).mean(axis=0)
        # A voxel is the mean of two each way, and lies between their centres.
        expected = (np.add(place, [8, 10, 12]) * 2 + 0.5) * size
        found = [float(row[name]) for name in ("z_um", "y_um", "x_um")]
        assert found == pytest.approx(expected, rel=1e-5)


def test_contrast_and_snr_are_those_of_the_image(blockseg, brain):
    normal = ("--normalization", "150,20", "--roi", "16:128,0:192,32:256")
    blockseg("run", brain, "out.zarr", *RUN, *normal, "--threshold", "0.8")
    blockseg("label", "out.zarr", *SERIAL, "-q")
    out = blockseg.folder / "out.zarr"
    labels = voxels(out / "labels/components")
    image = voxels(brain)[16:128, :, 32:256].astype(float)
    chance = voxels(out)
    for row in rows(out)[:20]:
        inside = labels == int(row["id"])
        contrast = image[inside].mean() - 150
        assert float(row["contrast"]) == pytest.approx(contrast, rel=1e-3, abs=0.01)
        assert float(row["snr"]) == pytest.approx(contrast / 20, rel=1e-3, abs=0.01)
        likely = chance[inside].mean() / 255
        assert float(row["probability"]) == pytest.approx(likely, rel=1e-5)


def test_hysteresis_finds_what_is_dim_where_it_hangs_on_what_is_bright(blockseg, out):
    blockseg("label", "out.zarr", *SERIAL, "-q", "--hysteresis", "0.6,0.9")
    probability = voxels(out)
    labels = cc3d.connected_components(probability >= 153, connectivity=26)
    strong = np.unique(labels[probability >= 230])
    kept = np.where(np.isin(labels, strong[strong > 0]), labels, 0)
    assert same_partition(voxels(out / "labels/components"), kept)


def test_thresholds_that_differ_in_the_last_digits_are_not_the_same(blockseg, out):
    del out
    dim = ("--hysteresis", "0.4999999,0.9")  # 127 of 255, and 0.5 is 128
    blockseg("label", "out.zarr", *SERIAL, "-q", *dim)
    other = ("--hysteresis", "0.5,0.9")
    refused = blockseg("label", "out.zarr", *SERIAL, "-q", *other, code=1).stderr
    assert "--hysteresis" in refused


def test_filters_of_length_and_probability_act_on_whole_objects(blockseg, out):
    filters = ("--min-length", "30", "--min-probability", "0.85")
    blockseg("label", "out.zarr", *SERIAL, "-q", *filters)
    table = rows(out)
    passing = [
        int(row["id"])
        for row in table
        if int(row["voxels"]) >= 32
        and float(row["length_um"]) >= 30
        and float(row["probability"]) >= 0.85
    ]
    assert 0 < len(passing) < len(table)
    assert [int(row["id"]) for row in table if row["clean"] == "1"] == passing
    labels = voxels(out / "labels/components")
    clean = voxels(out / "labels/foreground_clean")
    assert (clean == np.isin(labels, passing)).all()


def test_labels_given_again_do_nothing_and_other_filters_are_refused(
    blockseg, out, content_of, undisturbed
):
    blockseg("label", "out.zarr", *SERIAL, "-q")
    assert content_of(out) == undisturbed
    said = blockseg("label", "out.zarr", *SERIAL).stdout
    assert "24 of them done before" in said
    refused = blockseg("label", "out.zarr", *SERIAL, "--min-size", "9", code=1)
    assert "--min-size was 32, now 9" in refused.stderr
    blockseg("label", "out.zarr", *SERIAL, "-q", "--min-size", "9", "--overwrite")
    blockseg("label", "out.zarr", *SERIAL, "-q", "--overwrite")
    assert content_of(out) == undisturbed


def test_labels_and_their_clean_mask_are_ome_zarr(blockseg, out):
    blockseg("label", "out.zarr", *SERIAL, "-q")
    import zarr

    for name in ("components", "foreground_clean"):
        group = zarr.open_group(out / "labels" / name, mode="r")
        image = Image.from_zarr(group)
        assert len(image.datasets[0]) == 2
    listed = json.loads((out / "labels/zarr.json").read_text())["attributes"]["ome"]
    assert listed["labels"] == ["foreground", "components", "foreground_clean"]


@pytest.mark.parametrize(
    ("phase", "blocks"), [("pieces", 9), ("seams", 5), ("label", 11), ("merge", 0)]
)
def test_after_a_kill_in_any_phase_the_result_is_the_same_to_the_byte(
    blockseg, out, content_of, events_of, undisturbed, phase, blocks
):
    first = blockseg.start("label", "out.zarr", *SERIAL, "--json")
    seen = 0
    for event in events_of(first.stdout):
        merging = event["event"] == "Message" and "merging" in event["text"]
        seen += event["event"] == "BlockDone" and event["phase"] == phase
        if (phase == "merge" and merging) or (blocks and seen == blocks):
            break
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    state = blockseg("status", "out.zarr").stdout
    assert "out.zarr: complete" in state
    blockseg("label", "out.zarr", *SERIAL, "-q")
    assert content_of(out) == undisturbed


def test_a_merge_that_ended_in_its_middle_is_done_again(
    blockseg, out, content_of, undisturbed, monkeypatch
):
    def fail(*_):
        message = "killed"
        raise KeyboardInterrupt(message)

    with monkeypatch.context() as patch:
        patch.setattr(components, "replace_file", fail)
        with pytest.raises(KeyboardInterrupt):
            label(str(out))
    assert (out / ".blockseg/label-pieces/merged/ids.npy").exists()
    blockseg("label", "out.zarr", *SERIAL, "-q")
    assert content_of(out) == undisturbed


def test_what_is_lost_or_damaged_is_made_again(blockseg, out, content_of, undisturbed):
    blockseg("label", "out.zarr", *SERIAL, "-q")
    shard = next(p for p in (out / "labels/components/0").rglob("c/*/*/*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    (out / "tables/objects.csv").unlink()
    assert "label of" in blockseg("status", "out.zarr").stdout
    blockseg("label", "out.zarr", *SERIAL, "-q")
    assert content_of(out) == undisturbed


def test_without_what_was_merged_labels_start_anew(
    blockseg, out, content_of, undisturbed
):
    blockseg("label", "out.zarr", *SERIAL, "-q")
    shutil.rmtree(out / ".blockseg/label-pieces/merged")
    blockseg("label", "out.zarr", *SERIAL, "-q")
    assert content_of(out) == undisturbed


def test_a_source_that_is_gone_costs_contrast_and_snr_alone(blockseg, brain):
    shutil.copytree(brain, blockseg.folder / "brain.zarr")
    blockseg("run", "brain.zarr", "out.zarr", *RUN, "--threshold", "0.8")
    shutil.rmtree(blockseg.folder / "brain.zarr")
    refused = blockseg("label", "out.zarr", *SERIAL, code=1)
    assert "--no-image labels without contrast and SNR" in refused.stderr
    out = blockseg.folder / "out.zarr"
    assert not (out / "labels/components").exists()
    blockseg("label", "out.zarr", *SERIAL, "-q", "--no-image")
    assert {row["snr"] for row in rows(out)} == {""}


def test_blocks_that_are_not_written_are_refused_or_background(blockseg, brain):
    shutil.copytree(brain, blockseg.folder / "torn.zarr")
    shard = blockseg.folder / "torn.zarr/0/c/0/1/1"
    shard.write_bytes(shard.read_bytes()[:-9])
    given = ("--normalization", "200,10")
    blockseg("run", "torn.zarr", "out.zarr", *RUN, *given, code=3)
    assert "--allow-partial" in blockseg("label", "out.zarr", *SERIAL, code=1).stderr
    said = blockseg("label", "out.zarr", *SERIAL, "--allow-partial").stdout
    assert "blocks of the run are not written and count as background" in said
    out = blockseg.folder / "out.zarr"
    made = json.loads((out / "labels/components/zarr.json").read_text())["attributes"]
    assert made["blockseg"]["missing"] > 0
    shard.write_bytes((brain / "0/c/0/1/1").read_bytes())
    blockseg("run", "torn.zarr", "out.zarr", *RUN, *given)
    stale = blockseg("label", "out.zarr", *SERIAL, code=1).stderr
    assert "stale" in stale
    assert "--overwrite" in stale


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--hysteresis", "0.5"), "expected LOW,HIGH"),
        (("--hysteresis", "0.6,0.5"), "LOW lies above HIGH"),
        (("--connectivity", "8"), "--connectivity"),
        (("--min-size", "-1"), "must be at least 0"),
        (("--min-probability", "2"), "must lie between 0 and 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(blockseg, out, option, said):
    refused = blockseg("label", "out.zarr", *option, code=1)
    assert said in refused.stderr
    assert not (out / ".blockseg/label").exists()


@pytest.mark.dask
def test_workers_label_as_one_process_does(blockseg, out, content_of, undisturbed):
    blockseg("label", "out.zarr", "--workers", "2", "-q")
    assert content_of(out) == undisturbed


def test_a_run_labels_at_its_end_as_the_command_does(blockseg, brain, content_of):
    blockseg("run", brain, "one.zarr", *RUN)
    blockseg("label", "one.zarr", *SERIAL, "-q")
    said = blockseg("run", brain, "two.zarr", *RUN[:-1], "--label")
    assert "objects," in said.stdout
    one, two = (content_of(blockseg.folder / name) for name in ("one.zarr", "two.zarr"))
    assert one == two


def test_objects_are_labelled_from_python(out):
    import blockseg as library

    found = library.label(str(out), scheduler="serial", min_size=100)
    table = rows(out)
    clean = [row for row in table if row["clean"] == "1"]
    assert found.complete
    assert (found.objects, found.clean) == (len(table), len(clean))
    lengths = sum(float(row["length_um"]) for row in clean)
    assert found.length_um == pytest.approx(lengths, rel=1e-5)


@pytest.mark.usefixtures("out")
def test_clean_objects_are_drawn_in_colours(blockseg):
    blockseg("preview", "out.zarr", "-o", "before.png")
    blockseg("label", "out.zarr", *SERIAL, "-q")
    blockseg("preview", "out.zarr", "-o", "after.png")
    with (
        PILImage.open(blockseg.folder / "before.png") as before,
        PILImage.open(blockseg.folder / "after.png") as after,
    ):
        # The upper row is a panel wider, and that is in colours.
        coloured = [
            (upper.max(axis=2) != upper.min(axis=2)).any()
            for upper in (np.asarray(before)[:100], np.asarray(after)[:100])
        ]
        assert coloured == [False, True]
        assert after.size != before.size


def test_a_preview_lays_the_clean_mask_over_the_image_and_says_so(
    blockseg, brain, monkeypatch
):
    titles: list[str] = []

    def noted(planes, *, across):
        titles.extend(name for name, _ in planes)
        return panels(planes, across=across)

    def orange(name):
        blockseg("preview", "out.zarr", "-o", name)
        with PILImage.open(blockseg.folder / name) as picture:
            red, _, blue = np.moveaxis(np.asarray(picture).astype(int), 2, 0)
        return int((red - blue > 100).sum())

    monkeypatch.setattr("blockseg.previews.panels", noted)
    blockseg("run", brain, "out.zarr", *RUN, "-q")
    assert orange("before.png") > 1000
    assert "along z: y, x (mask)" in titles
    titles.clear()
    blockseg("label", "out.zarr", *SERIAL, "-q", "--min-size", "100000000")
    assert orange("after.png") == 0
    assert "along z: y, x (clean mask)" in titles


def test_a_brain_without_foreground_has_no_objects(blockseg, brain):
    blockseg("run", brain, "out.zarr", *RUN, "--normalization", "60000,10")
    said = blockseg("label", "out.zarr", *SERIAL)
    assert "0 objects" in said.stdout
    out = blockseg.folder / "out.zarr"
    assert rows(out) == []
    assert not voxels(out / "labels/components").any()
    assert parquet.read_table(out / "tables/objects.parquet").num_rows == 0


def test_labels_of_a_run_in_zarr_2_are_the_same(blockseg, brain, finished):
    blockseg("run", brain, "out.zarr", *RUN, "--threshold", "0.8", "--zarr-format", "2")
    blockseg("label", "out.zarr", *SERIAL, "-q")
    out = blockseg.folder / "out.zarr"
    mask = voxels(finished / "labels/foreground") > 0
    labels = voxels(out / "labels/components")
    assert same_partition(labels, cc3d.connected_components(mask, connectivity=26))
    made = json.loads((out / "labels/components/.zattrs").read_text())["blockseg"]
    assert made["threshold"] == 204
    listed = json.loads((out / "labels/.zattrs").read_text())["labels"]
    assert listed == ["foreground", "components", "foreground_clean"]


def test_while_labels_are_made_nothing_else_may_write_and_status_says_so(
    blockseg, brain, out
):
    # It lives, and does not end before we ask.
    first = blockseg.start_and_stop(1, "label", "out.zarr", *SERIAL)
    said = blockseg("status", "out.zarr").stdout
    assert "out.zarr: complete" in said
    assert f"label of {out}: running" in said
    again = blockseg("label", "out.zarr", *SERIAL, code=1)
    assert f"another label (process {first.pid}" in again.stderr
    run = ("run", brain, "out.zarr", *RUN, "--threshold", "0.8")
    assert "another label (process" in blockseg(*run, code=1).stderr


def test_other_filters_leave_components_as_they_are(blockseg, out, content_of):
    shutil.copytree(out, blockseg.folder / "two.zarr")
    blockseg("label", "out.zarr", *SERIAL, "-q")
    components = out / "labels/components"
    before = {p: p.stat().st_mtime_ns for p in components.rglob("*") if p.is_file()}
    anew = ("--min-size", "100", "--overwrite")
    said = blockseg("label", "out.zarr", *SERIAL, "--json", *anew).stdout
    assert '"phase": "clean"' in said
    assert '"phase": "pieces"' not in said
    assert before == {
        p: p.stat().st_mtime_ns for p in components.rglob("*") if p.is_file()
    }
    blockseg("label", "two.zarr", *SERIAL, "-q", "--min-size", "100")
    one, two = (content_of(blockseg.folder / name) for name in ("out.zarr", "two.zarr"))
    assert one == two
    blockseg("label", "out.zarr", *SERIAL, "-q", "--min-size", "100")  # nothing is left
    shard = next(p for p in (components / "0").rglob("c/*/*/*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert f"label of {out}: damaged" in blockseg("status", "out.zarr").stdout
    blockseg("label", "out.zarr", *SERIAL, "-q", "--min-size", "100")
    assert content_of(out) == two


def test_after_a_kill_while_filters_change_the_result_is_the_same_to_the_byte(
    blockseg, out, content_of, events_of
):
    blockseg("label", "out.zarr", *SERIAL, "-q", "--min-size", "100")
    expected = content_of(out)
    blockseg("label", "out.zarr", *SERIAL, "-q", "--overwrite")
    anew = ("--min-size", "100", "--overwrite", "--json")
    first = blockseg.start("label", "out.zarr", *SERIAL, *anew)
    seen = 0
    for event in events_of(first.stdout):
        seen += event["event"] == "BlockDone" and event["phase"] == "clean"
        if seen == 3:
            break
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    blockseg("label", "out.zarr", *SERIAL, "-q", "--min-size", "100")
    assert content_of(out) == expected


def test_blocks_of_which_no_runs_are_kept_are_labelled_again(
    out, content_of, undisturbed, monkeypatch
):
    monkeypatch.setattr(scratch, "_packed", lambda _: b"")
    label(str(out), execution=RunSettings(scheduler="serial"))
    assert content_of(out) == undisturbed


def test_an_image_that_an_earlier_version_began_goes_on_as_it_was(blockseg, out):
    shutil.copytree(out, blockseg.folder / "two.zarr")

    def stop(event):
        if isinstance(event, BlockDone) and event.phase == "label":
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work._Facts, "to_plain", lambda _: {})
        image = FinishedRun.label_image
        patch.setattr(
            FinishedRun,
            "label_image",
            lambda *of, **more: image(*of, **more | {"whole_chunks": False}),
        )
        with pytest.raises(KeyboardInterrupt):
            label(str(out), execution=RunSettings(scheduler="serial"), on_event=stop)
    array = out / "labels/components/0/zarr.json"
    before = array.read_text()
    assert '"blocksize": 0' in before
    blockseg("label", "out.zarr", *SERIAL, "-q")
    assert array.read_text() == before
    blockseg("label", "two.zarr", *SERIAL, "-q")
    two = voxels(blockseg.folder / "two.zarr/labels/components")
    assert (voxels(out / "labels/components") == two).all()
