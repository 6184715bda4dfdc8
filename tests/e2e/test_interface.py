"""The Python interface on a real store: results, progress, a notebook."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import blockseg as bs
from blockseg.blockwise.events import JobStarted
from blockseg.interface.progress import Bar
from blockseg.interface.results import LazyArray
from blockseg.io.protocol import MemoryVolume
from blockseg.runtime.events import PhaseStarted

NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/first_brain.ipynb"
HOW: Any = {"scheduler": "serial", "backend": "fake", "block": (64, 64, 64)}


@pytest.fixture(scope="module")
def done(brain, tmp_path_factory):
    """Run on a Zarr array, told of every event."""
    told: list[Any] = []
    out = tmp_path_factory.mktemp("interface") / "out.zarr"
    source = zarr.open_array(brain / "0")
    how: Any = HOW | {"roi": "16:128,0:128,0:192", "voxel_size": (1.0, 0.5, 0.5)}
    return bs.run(source, out, progress=told.append, **how), told


def test_a_result_has_images_that_are_read_where_they_are_indexed(done, brain):
    result, told = done
    assert result.complete
    assert any(isinstance(event, JobStarted) for event in told)
    raw = np.asarray(zarr.open_array(brain / "0")[16:128, :128, :192])
    assert result.image.shape == result.mask.shape == (112, 128, 192)
    np.testing.assert_array_equal(result.image[3:9, ..., 5], raw[3:9, :, 5])
    probability = np.asarray(zarr.open_array(result.out / "0")[:])
    np.testing.assert_array_equal(np.asarray(result.probability), probability)
    np.testing.assert_array_equal(result.mask[...] > 0, probability >= 128)
    assert result.mask.scale == (1.0, 0.5, 0.5)
    assert result.probability.unit == "micrometer"
    assert "LazyArray" in repr(result.image)


def test_a_result_is_a_picture_in_a_notebook(done):
    result, _ = done
    picture = result.show(gamma=0.5)
    assert picture._repr_png_().startswith(b"\x89PNG")
    page = result._repr_html_()
    assert "complete" in page
    assert "data:image/png;base64," in page


@pytest.mark.parametrize(
    "key",
    [
        np.s_[2],
        np.s_[-1, 3],
        np.s_[1:5, ::2, 7:2:-1],
        np.s_[..., 4],
        np.s_[:, -2, ...],
        np.s_[3:3],
        np.s_[::-1, :, 0],
        np.s_[1, 2, 3],
    ],
)
def test_lazy_arrays_are_indexed_as_arrays_are(key):
    voxels = np.arange(6 * 7 * 8, dtype=np.uint16).reshape(6, 7, 8)
    np.testing.assert_array_equal(LazyArray(MemoryVolume(voxels))[key], voxels[key])


def test_lazy_arrays_refuse_what_lies_outside():
    lazy = LazyArray(MemoryVolume(np.zeros((2, 3, 4), np.uint8)))
    for key in (2, (0, 3), (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            _ = lazy[key]
    assert len(lazy) == 2


def test_a_bar_has_a_link_to_the_dashboard(done):
    _, told = done
    shown = []

    def display(text):
        shown.append(text)
        return shown.append

    bar = Bar(display)
    for event in told:
        bar(event)
    assert "<progress" in shown[-1]
    started = next(event for event in told if isinstance(event, JobStarted))
    bar = Bar(display)
    bar(type(started)(**{f: getattr(started, f) for f in started.__slots__}
                      | {"dashboard": "http://127.0.0.1/<x>"}))  # fmt: skip
    bar(PhaseStarted("segment", 3))
    assert 'href="http://127.0.0.1/&lt;x&gt;"' in shown[-1]


def test_a_finished_run_is_opened_without_workers_unless_files_are_damaged(
    done, brain, tmp_path, monkeypatch
):
    class Started(Exception):
        pass

    def started(*_):
        raise Started

    result, _ = done
    out = tmp_path / "out.zarr"
    shutil.copytree(result.out, out)
    own = HOW | {"roi": "16:128,0:128,0:192", "voxel_size": (1.0, 0.5, 0.5)}
    del own["scheduler"]
    source = zarr.open_array(brain / "0")
    monkeypatch.setattr("blockseg.runtime.dask.kept.own_workers", started)
    again = bs.run(source, out, **own)
    assert again.complete
    np.testing.assert_array_equal(again.mask[:], result.mask[:])
    next(path for path in (out / "0/c").rglob("*") if path.is_file()).unlink()
    with pytest.raises(Started):
        bs.run(source, out, **own)


def test_a_threshold_and_labels_take_named_options(done):
    result, _ = done
    found = bs.threshold(result.out, 0.4, min_size=100, scheduler="serial")
    assert found.complete
    assert found.labelled is not None
    assert found.labelled.clean <= found.labelled.objects
    again = bs.label(
        result.out, min_size=10, image=False, scheduler="serial", overwrite=True
    )
    assert again.complete


def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    (tmp_path / "notebook.py").write_text(code, encoding="utf-8")
    subprocess.run(
        [sys.executable, "notebook.py"], cwd=tmp_path, check=True, timeout=900
    )
    assert (tmp_path / "brain.blockseg.zarr/.blockseg/preview.png").exists()
