"""What belongs together is found, and what is missing is said in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.errors import BlocksegError, ConfigError, VolumeError
from blockseg.training.data.annotated_volumes import find_annotated


def put(file: Path, shape: tuple[int, ...] = (4, 5, 6), dtype: str = "uint16") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(file, np.ones(shape, dtype), photometric="minisblack")


def folder(root: Path, *names: str) -> Path:
    for name in names:
        put(root / "image" / f"{name}.tif")
        put(root / "label" / f"{name}.tif", dtype="uint8")
    return root


def zarr_image(root: Path, *labels: str) -> Path:
    group = zarr.open_group(root, mode="w", zarr_format=2)
    axes = [{"name": n, "type": "space"} for n in "zyx"]
    scales = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    levels = [{"path": "0", "coordinateTransformations": scales}]
    multiscales: Any = [{"version": "0.4", "axes": axes, "datasets": levels}]
    for inner in ("", *(f"labels/{name}" for name in labels)):
        image = group.require_group(inner) if inner else group
        image.attrs["multiscales"] = multiscales
        image.create_array("0", data=np.ones((4, 5, 6), "uint8" if inner else "uint16"))
    return root


def refused(source: Path, kind: type[BlocksegError] = VolumeError) -> str:
    with pytest.raises(kind) as caught:
        find_annotated(str(source))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_images_and_labels_are_matched_by_stem(tmp_path: Path) -> None:
    folder(tmp_path, "b", "a")
    put(tmp_path / "image" / "c.TIFF")
    put(tmp_path / "label" / "c.tif")
    (tmp_path / "image" / "notes.txt").write_text("no image")
    found = find_annotated(str(tmp_path))
    assert [labelled.name for labelled in found.images] == [
        f"{tmp_path.name}/{n}" for n in "abc"
    ]
    assert found.kind == "folder"
    assert found.images[2].image.uri.endswith("c.TIFF")
    assert found.images[2].labels.uri.endswith("label/c.tif")
    assert found.images[0].shape == (4, 5, 6)


@pytest.mark.parametrize(("alone", "missing"), [("image", "label"), ("label", "image")])
def test_a_missing_partner_is_named(tmp_path: Path, alone: str, missing: str) -> None:
    put(folder(tmp_path, "a") / alone / "b.tif")
    message = refused(tmp_path)
    assert f"{alone}/b.tif has no partner {missing}/b.tif" in message


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    put(folder(tmp_path, "a") / "image" / "a.tiff")
    assert "one name" in refused(tmp_path)


def test_another_shape_is_refused_with_both(tmp_path: Path) -> None:
    put(folder(tmp_path, "a") / "label" / "a.tif", (4, 5, 7), "uint8")
    message = refused(tmp_path)
    assert "4×5×6" in message
    assert "4×5×7" in message


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    assert "no folder label/" in refused(tmp_path)
    (tmp_path / "label").mkdir()
    assert "no annotated volume" in refused(tmp_path)


def test_a_truncated_stack_is_refused(tmp_path: Path) -> None:
    file = folder(tmp_path, "a") / "image" / "a.tif"
    file.write_bytes(file.read_bytes()[:-40])
    assert str(file) in refused(tmp_path)


def test_a_folder_of_stacks_without_the_layout_is_told_it(tmp_path: Path) -> None:
    put(tmp_path / "a.tif")
    assert "image/NAME.tif" in refused(tmp_path)
    assert "image/NAME.tif" in refused(tmp_path / "a.tif")


def test_the_only_label_image_of_a_zarr_needs_no_choice(tmp_path: Path) -> None:
    (labelled,) = find_annotated(str(zarr_image(tmp_path / "a.zarr", "axons"))).images
    assert labelled.labels.path == "labels/axons/0"
    assert labelled.image.path == "0"


def test_several_label_images_need_a_choice_that_exists(tmp_path: Path) -> None:
    image = zarr_image(tmp_path / "a.zarr", "axons", "cells")
    assert "axons, cells; choose one with --label-name" in refused(image, ConfigError)
    (labelled,) = find_annotated(str(image), "cells").images
    assert labelled.labels.path == "labels/cells/0"
    with pytest.raises(ConfigError, match="no labels 'axon'"):
        find_annotated(str(image), "axon")


def test_a_zarr_without_labels_is_refused(tmp_path: Path) -> None:
    assert "no labels/" in refused(zarr_image(tmp_path / "a.zarr"))


@pytest.mark.parametrize("array", ["0", "labels/axons/0"])
def test_chunks_that_are_not_where_they_are_looked_for_are_refused(
    tmp_path: Path, array: str
) -> None:
    folder = zarr_image(tmp_path / "a.zarr", "axons") / array
    (chunk,) = (p for p in folder.rglob("*") if p.is_file() and p.name[0] != ".")
    chunk.rename(tmp_path / "chunk")
    nested = folder / ("0/0/0" if chunk.name == "0.0.0" else "0.0.0")
    nested.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "chunk").rename(nested)
    assert "not where its metadata look for them" in refused(tmp_path / "a.zarr")


@pytest.mark.parametrize("form", ["json", "list", "csv"])
def test_picks_without_an_annotation_are_counted_and_not_used(
    tmp_path: Path, form: str
) -> None:
    put(folder(tmp_path, "a") / "image" / "b.tif")
    rows = [{"name": "a", "background_level": 150.5, "background_sd": 4}, {"name": "b"}]
    if form == "csv":
        text = "name,z,background_level,background_sd\na,7,150.5,4\nb,9,,\n"
        (tmp_path / "manifest.csv").write_text(text)
    else:
        content = rows if form == "list" else {"picks": rows, "licence": "CC0"}
        (tmp_path / "manifest.json").write_text(json.dumps(content))
    found = find_annotated(str(tmp_path))
    assert [labelled.name for labelled in found.images] == [f"{tmp_path.name}/a"]
    assert found.unlabelled == 1
    assert found.images[0].background == (150.5, 4.0)
    assert found.images[0].licence == ("CC0" if form == "json" else "")


def test_a_manifest_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    text = "name,background_level,background_sd\na,150.5,4\n"
    (folder(tmp_path, "a") / "manifest.csv").write_text(text, encoding="utf-8-sig")
    (labelled,) = find_annotated(str(tmp_path)).images
    assert labelled.background == (150.5, 4.0)


BAD_BACKGROUND = '[{"name": "a", "background_level": 1, "background_sd": 0}]'


@pytest.mark.parametrize("text", ["{", '{"picks": [{}]}', BAD_BACKGROUND, '"a"'])
def test_a_manifest_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    (folder(tmp_path, "a") / "manifest.json").write_text(text)
    assert "manifest.json" in refused(tmp_path)


def test_a_pick_without_an_image_is_refused(tmp_path: Path) -> None:
    (folder(tmp_path, "a") / "manifest.json").write_text('[{"name": "gone"}]')
    assert "'gone'" in refused(tmp_path)
