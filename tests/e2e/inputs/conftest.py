"""Sources that mislead, given to every command that reads one.

What is said of a source counts for all of them: ``refused`` and ``doubted`` give it to
each; ``annotated`` makes data to learn from of it, for ``refused_data`` and
``doubted_data``, which train on it and pick from it.
"""

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.errors import SourceWarning

CHEAP = ("--backend", "fake", "--scheduler", "serial")
TINY = ("--width", "2", "--patch", "16", "--batch", "1", "--threads", "1", "--steps", "1",
        "--workers", "0", "--no-tensorboard", "--validation-share", "0", "--overwrite")  # fmt: skip


@pytest.fixture(autouse=True)
def _doubts_are_said_and_not_raised():
    with warnings.catch_warnings():
        warnings.simplefilter("always", SourceWarning)
        yield


@pytest.fixture
def reading(tmp_path):
    """Return the words of each command that reads a source, by its name."""

    def words(source, *options):
        out = tmp_path / "written"
        return {
            "plan": ["plan", source, out / "run.zarr", *CHEAP[:2], *options],
            "run": ["run", source, out / "run.zarr", *CHEAP, *options],
            "convert": ["convert", source, out / "copy.zarr", *CHEAP[2:], *options],
            "metrics": ["metrics", source, out / "metrics.zarr", *CHEAP[2:], *options],
            "predict": ["predict", source, "-o", out / "single", *CHEAP[:2], *options],
        }

    return words


@pytest.fixture
def refused(blockseg, reading, tmp_path):
    """Check that every command refuses a source in one line and writes nothing."""

    def check(source, *parts, options=()):
        for name, words in reading(source, *options).items():
            done = blockseg(*words, code=1)
            lines = [line for line in done.output.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("Error: ")]
            assert len(errors) == 1, (name, done.output)
            for part in parts:
                assert part in errors[0], (name, part, errors[0])
            assert not (tmp_path / "written").exists(), name
        picks = ("-o", tmp_path / "written", *CHEAP[2:], *options)
        done = blockseg("propose-annotations", source, *picks, code=1)
        assert not (tmp_path / "written").exists(), done.output
        for part in parts:
            assert part in done.output, ("propose-annotations", part, done.output)
        shown = blockseg("info", source, *options, code=None)
        for part in parts:
            assert part in shown.output, shown.output

    return check


@pytest.fixture
def doubted(blockseg, reading):
    """Check that every command says a line about a source and goes on."""

    def check(source, *parts, options=(), silent=()):
        for name, words in reading(source, *options).items():
            lines = blockseg(*words).output.splitlines()
            texts = [line for line in lines if line.startswith("Warning: ")]
            for part in parts:
                assert any(part in text for text in texts), (name, part, texts)
            for part in silent:
                assert not any(part in text for text in texts), (name, part, texts)
        shown = blockseg("info", source, *options)
        assert all(part in shown.output for part in parts), shown.output
        assert not any(part in shown.output for part in silent), shown.output

    return check


@pytest.fixture
def annotated(tmp_path):
    """Make data to learn from: of an image and labels, or of a source that is there."""

    def folder(image, labels, name="a"):
        data = tmp_path / "data"
        for kind, content in (("image", image), ("label", labels)):
            (data / kind).mkdir(parents=True, exist_ok=True)
            file = data / kind / f"{name}.tif"
            if isinstance(content, Path):
                shutil.copy(content, file)
            else:
                tifffile.imwrite(file, content, photometric="minisblack")
        return data

    def make(image, labels, name="a"):
        """Put a TIFF stack, or an array, into a folder; add labels to an OME-Zarr."""
        if not (isinstance(image, Path) and image.is_dir()):
            return folder(image, labels, name)
        group = zarr.open_group(image, mode="a")
        kept: dict[str, Any] = dict(group.attrs)
        part = group.require_group("labels").require_group(name)
        part.attrs.update(kept)
        ome = kept.get("ome", kept)
        path = ome["multiscales"][0]["datasets"][0]["path"]
        stored = np.asarray(labels)
        part.create_array(
            path, data=stored, chunks=tuple(min(n, 64) for n in stored.shape)
        )
        return image

    return make


@pytest.fixture
def learning(tmp_path):
    """Return the words of each command that reads annotated data, by its name."""

    def words(data, *options, only=None):
        out = tmp_path / "written"
        every = {"train": ["train", data, "-o", out / "run", *TINY, *options]}
        if (Path(data) / "label").is_dir():
            picks = ["-o", out / "picks", "--rule", "published", "--count", "1"]
            every["propose"] = ["propose-annotations", data, *picks, *options]
        return {name: words for name, words in every.items() if only in (None, name)}

    return words


@pytest.fixture
def refused_data(blockseg, learning, tmp_path):
    """Check that annotated data are refused in one line and nothing is written."""

    def check(data, *parts, options=(), only=None):
        for name, words in learning(data, *options, only=only).items():
            done = blockseg(*words, code=1)
            lines = [line for line in done.output.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("Error: ")]
            assert len(errors) == 1, (name, done.output)
            for part in parts:
                assert part in errors[0], (name, part, errors[0])
            assert not (tmp_path / "written").exists(), name

    return check


@pytest.fixture
def doubted_data(blockseg, learning):
    """Check that a line is said about annotated data, once, and work goes on."""

    def check(data, *parts, options=(), silent=(), only=None, code=0):
        for name, words in learning(data, *options, only=only).items():
            lines = blockseg(*words, code=code).output.splitlines()
            texts = [line for line in lines if line.startswith("Warning: ")]
            for part in parts:
                said = [text for text in texts if part in text]
                assert len(said) == 1, (name, part, texts)
            for part in silent:
                assert not any(part in text for text in texts), (name, part, texts)

    return check
