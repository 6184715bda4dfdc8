"""Runs whose background varies over the brain."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

QUICK = ("--scheduler", "serial", "--backend", "fake", "--normalization", "field")


@pytest.fixture
def uneven(blockseg):
    rng = np.random.default_rng(0)
    slope = np.linspace(1, 2, 192)
    image = 200 * slope + 8 * rng.normal(size=(8, 128, 192))
    image[:, 30:34] += 40
    path = blockseg.folder / "uneven.tif"
    tifffile.imwrite(path, np.rint(image).astype("u2"))
    return path


def record(out):
    return json.loads((out / ".blockseg" / "run.json").read_text())


def test_a_resumed_run_keeps_its_field_to_the_byte(blockseg, uneven, content_of):
    run = ("run", uneven, "out.zarr", *QUICK, "--block", "8,64,64")
    blockseg(*run)
    out = blockseg.folder / "out.zarr"
    before, field = content_of(out), record(out)["decisions"]["field"]
    assert field["nodes"] == [1, 4, 6]
    for shard in ("0/c/0/0/0", "0/c/0/1/2", "labels/foreground/0/c/0/0/1"):
        (out / shard).unlink()
    blockseg(*run)
    assert content_of(out) == before
    assert record(out)["decisions"]["field"] == field


def test_the_field_is_drawn_beside_the_metrics_and_by_preview(blockseg, uneven):
    import tensorstore as ts

    blockseg("run", uneven, "out.zarr", *QUICK)
    out = blockseg.folder / "out.zarr"
    drawn = {}
    for name in ("background_level", "background_sd"):
        store = f"file://{out}/blocks/{name}/0/"
        opened = ts.open({"driver": "zarr3", "kvstore": store}, open=True).result()
        drawn[name] = opened.read().result()
    level = drawn["background_level"][0, 0]
    assert level == pytest.approx(200 * (1 + (np.arange(3) + 0.5) / 3), rel=0.05)
    assert drawn["background_sd"] == pytest.approx(
        # Light also rises by 33 grey levels within a square.
        0.855 * np.hypot(8, 33 / np.sqrt(12)),
        rel=0.2,
    )
    blockseg("preview", "out.zarr", "-o", "plain.png")
    with Image.open(blockseg.folder / "plain.png") as picture:
        assert picture.width > 5 * 192, "image, probability, mask, level and noise"


def test_run_and_predict_agree_whatever_the_block(blockseg, uneven):
    import tensorstore as ts

    blockseg("run", uneven, "out.zarr", *QUICK, "--block", "8,64,64")
    (blockseg.folder / "field.yaml").write_text("normalization: field\n")
    blockseg(
        "predict", uneven, "-o", "stacks", "--backend", "fake", "--block", "8,128,192",
        "--config", "field.yaml",
    )  # fmt: skip
    store = f"file://{blockseg.folder}/out.zarr/0/"
    stored = ts.open({"driver": "zarr3", "kvstore": store}, open=True).result()
    stack = tifffile.imread(blockseg.folder / "stacks" / "uneven_prob.tif")
    assert stack.any()
    assert np.array_equal(stored.read().result(), stack)


def test_plan_takes_a_field_and_another_normalization_is_another_run(blockseg, uneven):
    plan = blockseg("plan", uneven, "out.zarr", *QUICK)
    assert "blocks" in plan.stdout
    blockseg("run", uneven, "out.zarr", *QUICK)
    refused = blockseg("run", uneven, "out.zarr", *QUICK[:-1], "robust", code=1)
    assert "--normalization was field, now robust" in refused.stderr


def test_where_the_field_was_extended_the_last_lines_say_so(blockseg, uneven):
    image = tifffile.imread(uneven)
    image[:, :, :160] = 0
    tifffile.imwrite(blockseg.folder / "half.tif", image)
    done = blockseg("run", "half.tif", "out.zarr", *QUICK)
    filled = record(blockseg.folder / "out.zarr")["decisions"]["background"]["field"]
    assert filled["filled"] > 0
    line = f"{filled['filled']} of {filled['nodes']} nodes of the background field have"
    assert line in done.output
    whole = blockseg("run", uneven, "whole.zarr", *QUICK)
    assert "nodes of the background field" not in whole.output


def test_a_volume_too_small_for_a_field_says_so(blockseg):
    noise = np.random.default_rng(0).integers(90, 120, (16, 40, 50)).astype("u2")
    tifffile.imwrite(blockseg.folder / "small.tif", noise)
    done = blockseg("run", "small.tif", "out.zarr", *QUICK)
    assert "too small for a background field" in done.output
