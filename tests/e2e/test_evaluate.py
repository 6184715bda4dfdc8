"""Segmentations scored through the command line."""

import csv
import json

import numpy as np
import pytest
import tifffile
import zarr

SHAPE = (24, 32, 40)


def neurites(shape=SHAPE):
    """Return two straight neurites of 3×3 voxels, apart."""
    mask = np.zeros(shape, np.uint8)
    mask[5:8, 5:8, 2:38] = 1
    mask[16:19, 3:29, 30:33] = 1
    return mask


@pytest.fixture
def masks(tmp_path):
    true = neurites()
    predicted = true.copy()
    predicted[:, :, 20:25] = 0
    tifffile.imwrite(tmp_path / "true.tif", true)
    tifffile.imwrite(tmp_path / "pred.tif", predicted)
    return true, predicted


def scored(blockseg, *arguments, code=0):
    done = blockseg("evaluate", *arguments, "--json", "scores.json", code=code)
    return done, json.loads((blockseg.folder / "scores.json").read_text())


def value(scores, name):
    return scores["measures"][name]["value"]


def test_a_mask_equal_to_the_truth_scores_1_everywhere(blockseg, masks):
    done, scores = scored(blockseg, "true.tif", "true.tif", "--block", "16")
    del masks
    names = {"voxel_dice", "near_f1", "centreline_f1", "cl_dice", "voxel_recall"}
    assert names <= set(scores["measures"])
    assert all(value(scores, name) == 1 for name in names)
    assert scores["betti0"] == {"predicted": 2, "true": 2, "error": 0}
    assert scores["snr_bins"] == []
    assert "centreline" in done.output
    assert "Betti-0 error 0" in done.output


def test_a_gap_is_seen_in_recall_and_components(blockseg, masks):
    true, predicted = masks
    done, scores = scored(blockseg, "pred.tif", "true.tif", "--block", "16")
    assert value(scores, "voxel_precision") == 1
    assert value(scores, "voxel_recall") == predicted.sum() / true.sum()
    assert value(scores, "centreline_recall") < 1
    assert scores["betti0"] == {"predicted": 3, "true": 2, "error": 1}
    interval = scores["measures"]["voxel_recall"]
    assert interval["low"] < interval["value"] < interval["high"]
    assert f"{interval['low']:.3f}–{interval['high']:.3f}" in done.output


def test_the_same_command_prints_the_same_numbers_and_another_seed_other_ends(
    blockseg, masks
):
    del masks
    words = ("pred.tif", "true.tif", "--block", "16")
    _, first = scored(blockseg, *words)
    _, again = scored(blockseg, *words, "--workers", "1")
    _, other = scored(blockseg, *words, "--seed", "1")
    assert first == again
    assert first["counts"] == other["counts"]
    assert first["measures"] != other["measures"]


def test_rows_of_the_csv_add_up_to_their_total(blockseg, masks):
    del masks
    blockseg(
        "evaluate", "pred.tif", "true.tif", "--block", "16", "--csv", "o.csv", "-q"
    )
    with (blockseg.folder / "o.csv").open() as file:
        *blocks, total = csv.DictReader(file)
    assert total["block_z"] == "total"
    assert len(blocks) > 2
    for name in ("voxels_true", "near_found", "centreline_predicted", "cl_dice_right"):
        assert sum(int(row[name]) for row in blocks) == int(total[name])
    assert int(total["components_predicted"]) == 3


def test_the_tolerance_may_be_in_micrometres_of_anisotropic_voxels(blockseg, masks):
    true, _ = masks
    tifffile.imwrite(blockseg.folder / "up.tif", np.roll(true, 2, axis=0))
    tifffile.imwrite(blockseg.folder / "aside.tif", np.roll(true, 2, axis=1))
    options = ("--tolerance", "2um", "--voxel-size", "2,1,1")
    _, up = scored(blockseg, "up.tif", "true.tif", *options)
    _, aside = scored(blockseg, "aside.tif", "true.tif", *options)
    assert value(up, "centreline_f1") < 0.1
    assert value(aside, "centreline_f1") > 0.9
    assert aside["tolerance"] == "2 µm"


def test_only_labelled_slices_count_where_the_rest_is_ignored(blockseg, masks):
    true, predicted = masks
    sparse = np.zeros(SHAPE, np.uint8)
    sparse[6] = true[6] + 1
    sparse[6, 5] = 4
    tifffile.imwrite(blockseg.folder / "sparse.tif", sparse)
    _, scores = scored(
        blockseg, "pred.tif", "sparse.tif", "--label-map", "0:255,1:0,2:1,4:255"
    )
    counts = sparse[6] % 4 != 0
    assert scores["voxels_counted"] == counts.sum()
    assert scores["counts"]["voxels"]["true"] == (true[6].astype(bool) & counts).sum()
    found = (predicted[6].astype(bool) & counts).sum()
    assert scores["counts"]["voxels"]["found"] == found


def test_a_prediction_two_planes_off_is_missed_in_the_plane_and_found_in_3d(
    blockseg, masks
):
    true, _ = masks
    sparse = np.full(SHAPE, 255, np.uint8)
    sparse[6], sparse[17] = true[6], true[17]
    tifffile.imwrite(blockseg.folder / "sparse.tif", sparse)
    shifted = np.zeros_like(true)
    shifted[7:10], shifted[18:21] = true[5:8], true[16:19]
    tifffile.imwrite(blockseg.folder / "shifted.tif", shifted)
    done, scores = scored(blockseg, "shifted.tif", "sparse.tif", "--block", "16")
    assert scores["annotated_planes"] == 2
    assert value(scores, "recall_in_plane") == 0
    assert value(scores, "f1_in_plane") == 0
    assert value(scores, "recall_3d") == 1
    assert value(scores, "misses_painted_beside") == 1
    counts = scores["counts"]["in_plane"]
    assert counts["found_beside"] == counts["true"] > 40
    assert "in 2 annotated planes" in done.output
    assert "of these have in a plane beside (100 %)" in done.output
    assert "surface_mean" not in scores["measures"]
    _, whole = scored(blockseg, "shifted.tif", "sparse.tif", "--block", "24,32,40")
    assert whole["counts"] == scores["counts"]
    _, narrow = scored(
        blockseg, "shifted.tif", "sparse.tif", "--block", "16", "--tolerance", "0.5"
    )
    assert value(narrow, "recall_3d") == value(narrow, "misses_painted_beside") == 0
    _, right = scored(blockseg, "true.tif", "sparse.tif")
    assert value(right, "f1_in_plane") == value(right, "recall_3d") == 1
    assert right["measures"]["misses_painted_beside"]["value"] is None


def test_planes_that_are_scored_alone_are_single_ones_if_nothing_is_known_beside(
    blockseg, masks
):
    true, _ = masks
    sparse = np.full(SHAPE, 255, np.uint8)
    sparse[6] = true[6]
    tifffile.imwrite(blockseg.folder / "sparse.tif", sparse)
    there = ("--roi", "6:7,0:32,0:40")
    _, scores = scored(blockseg, "true.tif", "sparse.tif", *there)
    assert scores["annotated_planes"] == 1
    _, scores = scored(blockseg, "true.tif", "true.tif", *there)
    assert scores["annotated_planes"] == 0
    assert "recall_in_plane" not in scores["measures"]


def test_a_truth_known_in_3d_says_how_far_surfaces_are_apart(blockseg, masks):
    del masks
    ball = sum((g - n / 2) ** 2 for g, n in zip(np.indices(SHAPE), SHAPE, strict=True))
    tifffile.imwrite(blockseg.folder / "thick.tif", (ball <= 64).astype(np.uint8))
    tifffile.imwrite(blockseg.folder / "thin.tif", (ball <= 36).astype(np.uint8))
    done, scores = scored(blockseg, "thin.tif", "thick.tif", "--block", "16")
    assert 1.6 < value(scores, "surface_mean") < 2.2
    assert 2 <= value(scores, "surface_95") < 3
    assert "voxels apart in the mean" in done.output
    _, scores = scored(blockseg, "true.tif", "true.tif")
    assert value(scores, "surface_mean") == value(scores, "surface_95") == 0
    assert value(scores, "painted_share") == 0


def test_of_a_volume_without_neurites_the_painted_share_is_the_score(blockseg, masks):
    _, predicted = masks
    tifffile.imwrite(blockseg.folder / "nothing.tif", np.zeros(SHAPE, np.uint8))
    done, scores = scored(blockseg, "pred.tif", "nothing.tif", "--block", "16")
    assert scores["truth_is_negative"]
    assert list(scores["measures"]) == ["painted_share"]
    share = predicted.mean()
    assert value(scores, "painted_share") == pytest.approx(share, rel=1e-12)
    assert f"painted: {100 * share:.3g} % of the known background" in done.output
    assert "F1" not in done.output
    done, scores = scored(blockseg, "nothing.tif", "nothing.tif", "--csv", "o.csv")
    assert value(scores, "painted_share") == 0
    assert "0 % of the known background" in done.output
    ignored = np.zeros(SHAPE, np.uint8)
    ignored[3:9] = 255
    tifffile.imwrite(blockseg.folder / "partly.tif", ignored)
    _, scores = scored(blockseg, "pred.tif", "partly.tif", "--ignore", "255")
    known = ignored == 0
    assert value(scores, "painted_share") == pytest.approx(predicted[known].mean())


def test_labels_in_a_byte_that_nobody_explained_are_reported(blockseg, masks):
    true, _ = masks
    tifffile.imwrite(blockseg.folder / "codes.tif", true + 1)
    done, _ = scored(blockseg, "true.tif", "codes.tif")
    assert "give --label-map" in done.output
    done, _ = scored(blockseg, "true.tif", "codes.tif", "--label-map", "1:0,2:1")
    assert "Note" not in done.output.replace("Note: a single block", "")


def test_a_probability_is_cut_at_the_threshold_as_run_does(blockseg, masks):
    true, _ = masks
    probability = np.where(true, 128, 127).astype(np.uint8)
    tifffile.imwrite(blockseg.folder / "p.tif", probability)
    _, scores = scored(blockseg, "p.tif", "true.tif", "--threshold", "0.5")
    assert value(scores, "voxel_dice") == 1
    done, scores = scored(blockseg, "p.tif", "true.tif")
    assert value(scores, "voxel_precision") < 0.1
    assert "give --threshold" in done.output


def test_nan_in_a_probability_counts_as_empty_and_is_reported_once(blockseg, masks):
    true, _ = masks
    probability = true.astype(np.float32)
    probability[0, 0, :7] = np.nan
    tifffile.imwrite(blockseg.folder / "p.tif", probability)
    done, scores = scored(
        blockseg, "p.tif", "true.tif", "--threshold", "0.5", "--block", "16"
    )
    assert value(scores, "voxel_dice") == 1
    assert "7 NaN or infinite voxels" in done.output


def test_labels_wider_than_a_byte_are_neurons_and_255_is_one_of_them(blockseg, masks):
    true, _ = masks
    tifffile.imwrite(blockseg.folder / "ids.tif", true.astype(np.uint16) * 255)
    done, scores = scored(blockseg, "true.tif", "ids.tif")
    assert value(scores, "voxel_dice") == 1
    assert "largest label of TRUTH is 255, taken for a neurite" in done.output
    for said in (("--label-map", "255:1"), ("--ignore", "none")):
        done, scores = scored(blockseg, "true.tif", "ids.tif", *said)
        assert value(scores, "voxel_dice") == 1
        assert "taken for a neurite" not in done.output
    ids = true.astype(np.uint16) * 255
    ids[16:19] *= 2
    tifffile.imwrite(blockseg.folder / "more.tif", ids)
    done, _ = scored(blockseg, "true.tif", "more.tif")
    assert "taken for a neurite" not in done.output


def test_recall_is_binned_by_the_snr_of_labels(blockseg, masks):
    true, predicted = masks
    ids = true.astype(np.uint16)
    ids[16:19] *= 7
    tifffile.imwrite(blockseg.folder / "ids.tif", ids)
    (blockseg.folder / "snr.csv").write_text("label,snr\n1,1.5\n7,3\n8,100\n")
    done, scores = scored(
        blockseg, "pred.tif", "ids.tif", "--snr", "snr.csv", "--block", "16"
    )
    del predicted
    below, dim, bright, far = scores["snr_bins"]
    assert (below["true"], far["true"]) == (0, 0)
    assert below["recall"] is None
    assert (dim["low"], dim["high"]) == (1, 2)
    assert dim["recall"] < 1
    assert bright["recall"] == 1
    assert "SNR 1 to 2" in done.output
    assert "SNR below 1" not in done.output


def test_traced_neurons_score_centrelines_only(blockseg, masks):
    del masks
    folder = blockseg.folder / "traced"
    folder.mkdir()
    (folder / "a.swc").write_text("1 2 3 6 6 1 -1\n2 2 36 6 6 1 1\n")
    (folder / "b.swc").write_text("1 2 31 4 17 1 -1\n2 2 31 27 17 1 1\n")
    _, scores = scored(blockseg, "true.tif", "traced", "--swc-unit", "voxels")
    assert value(scores, "centreline_f1") == 1
    assert scores["betti0"]["error"] == 0
    assert scores["truth_is_traced"]
    assert "voxel_dice" not in scores["measures"]
    _, scores = scored(
        blockseg, "pred.tif", "traced/a.swc", "traced/b.swc", "--voxel-size", "1,1,1"
    )
    assert 0.8 < value(scores, "centreline_recall") < 1


def test_a_region_is_scored_alone_but_sees_what_lies_around_it(blockseg, masks):
    true, _ = masks
    shifted = np.zeros_like(true)
    shifted[:, :, 2:] = true[:, :, :-2]
    tifffile.imwrite(blockseg.folder / "shifted.tif", shifted)
    _, scores = scored(
        blockseg, "shifted.tif", "true.tif", "--roi", "0:12,0:32,0:38", "--block", "9"
    )
    assert value(scores, "near_f1") == 1
    assert scores["counts"]["voxels"]["true"] == 9 * 36


@pytest.fixture
def segmented(blockseg, masks):
    """A run with the fake engine on a region of a small brain."""
    true, _ = masks
    image = np.random.default_rng(0).normal(100, 3, SHAPE) + 400.0 * true
    tifffile.imwrite(blockseg.folder / "brain.tif", image.astype(np.uint16))
    blockseg(
        "run", "brain.tif", "out.zarr", "--backend", "fake", "--scheduler", "serial",
        "--roi", "4:24,0:32,0:40", "-q",
    )  # fmt: skip
    return blockseg.folder / "out.zarr"


def test_an_output_of_a_region_is_scored_at_its_place(blockseg, segmented):
    mask = zarr.open_array(segmented / "labels" / "foreground" / "0", mode="r")
    done, scores = scored(blockseg, "out.zarr", "true.tif")
    true = neurites()[4:]
    assert scores["counts"]["voxels"]["true"] == true.sum()
    assert scores["counts"]["voxels"]["predicted"] == np.count_nonzero(mask[...])
    assert "PRED is the region 4:24,0:32,0:40" in done.output


def test_an_output_without_its_ledger_is_scored_at_its_place(blockseg, segmented):
    for file in (segmented / ".blockseg").glob("ledger*"):
        file.unlink()
    done, _ = scored(blockseg, "out.zarr", "true.tif")
    assert "PRED is the region 4:24,0:32,0:40" in done.output


def test_an_output_that_misses_blocks_is_reported(blockseg, masks):
    true, _ = masks
    array = zarr.create_array(
        blockseg.folder / "brain.zarr", shape=SHAPE, dtype="uint16", chunks=(24, 32, 20)
    )
    array[...] = 100 + 400 * true.astype(np.uint16)
    (blockseg.folder / "brain.zarr" / "c" / "0" / "0" / "1").write_bytes(b"broken")
    blockseg(
        "run", "brain.zarr", "out.zarr", "--backend", "fake", "--scheduler", "serial",
        "--normalization", "100,10", "-q", code=3,
    )  # fmt: skip
    done, _ = scored(blockseg, "out.zarr", "true.tif")
    assert "is incomplete: what it did not write counts as empty" in done.output


def test_an_output_is_scored_at_another_threshold_by_its_probability(
    blockseg, segmented
):
    probability = np.asarray(zarr.open_array(segmented / "0", mode="r")[...])
    _, scores = scored(blockseg, "out.zarr", "true.tif", "--threshold", "0.8")
    assert scores["counts"]["voxels"]["predicted"] == (probability >= 204).sum()


def test_a_truth_that_does_not_hold_the_region_of_an_output_is_refused(
    blockseg, segmented
):
    del segmented
    tifffile.imwrite(blockseg.folder / "other.tif", neurites()[:22])
    done = blockseg("evaluate", "out.zarr", "other.tif", code=1)
    assert "20×32×40" in done.output
    assert "22×32×40" in done.output
    assert "PRED is the region 4:24,0:32,0:40 of its source" in done.output


def test_a_synthetic_brain_knows_its_truth_and_its_snr(blockseg):
    blockseg(
        "synth", "brain.zarr", "--shape", "40,64,64", "--preset", "clean",
        "--scheduler", "serial", "-q",
    )  # fmt: skip
    _, scores = scored(blockseg, "brain.zarr/labels/truth", "brain.zarr")
    assert value(scores, "voxel_dice") == 1
    known = sum(part["true"] for part in scores["snr_bins"])
    assert known == scores["counts"]["centreline"]["true"] > 0
    traced = "brain.zarr/.blockseg/truth/swc"
    _, scores = scored(blockseg, "brain.zarr/labels/truth", traced)
    assert value(scores, "centreline_f1") > 0.9
    assert sum(part["true"] for part in scores["snr_bins"]) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pred.tif", "small.tif"), "has 24×32×40 voxels, TRUTH small.tif has 8×8×8"),
        (("pred.tif", "white.tif"), "is ignored everywhere; if 255 is its foreground"),
        (("pred.tif", "mask.tif"), "beside what is ignored; if 255 is its foreground"),
        (("pred.tif", "gone.tif"), "does not exist"),
        (("pred.tif", "true.tif", "true.tif"), "one volume, or SWC files"),
        (("float.tif", "true.tif"), "give --threshold"),
        (("wide.tif", "true.tif", "--threshold", "0.5"), "leave --threshold out"),
        (("pred.tif", "true.tif", "--tolerance", "2um"), "states no voxel size"),
        (("pred.tif", "true.tif", "--tolerance", "near"), "as in 1.5um"),
        (("pred.tif", "true.tif", "--tolerance", "99"), "at most 64"),
        (("pred.tif", "true.tif", "--roi", "0:99,0:9,0:9"), "--roi 0:99"),
        (("pred.tif", "true.tif", "--snr", "bad.csv"), "needs label and snr"),
        (("pred.tif", "true.tif", "--snr-bins", "4,2"), "rising"),
        (("pred.tif", "true.tif", "--ignore", "most"), "auto or none"),
        (("pred.tif", "a.swc"), "--swc-unit voxels"),
        (("pred.tif", "a.swc", "--swc-unit", "voxels"), "passes through"),
        (("pred.tif", "a.swc", "--snr", "bad.csv"), "leave it out"),
        (("pred.tif", "true.tif", "--csv", "."), "is a folder"),
    ],
)
def test_bad_input_is_one_line_before_any_work(blockseg, masks, arguments, message):
    folder = blockseg.folder
    true, _ = masks
    tifffile.imwrite(folder / "small.tif", true[:8, :8, :8])
    tifffile.imwrite(folder / "white.tif", np.full_like(true, 255))
    tifffile.imwrite(folder / "mask.tif", true * np.uint8(255))
    tifffile.imwrite(folder / "float.tif", true.astype(np.float32))
    tifffile.imwrite(folder / "wide.tif", true.astype(np.uint16))
    (folder / "bad.csv").write_text("a,b\n1,2\n")
    (folder / "a.swc").write_text("1 2 900 900 900 1 -1\n")
    done = blockseg("evaluate", *arguments, "--json", "no.json", code=1)
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (folder / "no.json").exists()
