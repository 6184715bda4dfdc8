"""The capability of docs/block-task.md, whose file and test are run as they stand."""

import re
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import zarr

from blockseg.blockwise.planning.light_tasks import plain_grid, reading_layout
from blockseg.blockwise.record.request import READING, Request, deciding
from blockseg.blockwise.run import open_job
from blockseg.blockwise.sources.inputs import open_source
from blockseg.config.settings import RunSettings
from blockseg.conversion import Copy, convert
from blockseg.core.errors import LedgerError
from blockseg.io.output.pyramid import PyramidSpec

PAGE = Path(__file__).parents[2] / "docs" / "block-task.md"


def test_the_capability_of_the_documentation_passes_its_test(tmp_path, monkeypatch):
    files = dict(
        re.findall(
            r"^```python\n# (\S+)\n(.*?)^```",
            PAGE.read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        )
    )
    assert list(files) == ["block_maxima.py", "test_block_maxima.py"]
    for name, code in files.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in files:
        monkeypatch.delitem(sys.modules, Path(name).stem, raising=False)
    its = import_module("test_block_maxima")
    tests = [value for name, value in vars(its).items() if name.startswith("test_")]
    assert len(tests) == 1
    (tmp_path / "work").mkdir()
    tests[0](tmp_path / "work")


@dataclass(frozen=True, slots=True)
class Emptied:
    """A task that would write zeros over what another task of the same request wrote."""

    copy: Copy
    name: ClassVar[str] = "emptied"

    @property
    def grid(self):
        return self.copy.grid

    def stores(self):
        return self.copy.stores()

    def reads(self):
        return self.copy.reads()

    def open(self, cache_bytes):
        raise AssertionError(cache_bytes)


def test_the_output_of_another_task_is_refused_though_its_request_is_the_same(tmp_path):
    brain = np.arange(32**3, dtype=np.uint16).reshape(32, 32, 32)
    zarr.create_array(tmp_path / "brain.zarr", data=brain, chunks=(16, 16, 16))
    source, out = str(tmp_path / "brain.zarr"), tmp_path / "out.zarr"
    settings = RunSettings(scheduler="serial", block=(16,) * 3, voxel_size=(1,) * 3)
    assert convert(source, str(out), settings).complete
    opened = open_source(source, settings)
    request = Request(deciding(settings, READING), opened)
    begun = open_job(out, request, settings, overwrite=False)
    grid = plain_grid(opened.volume, settings)
    image = PyramidSpec(str(out), grid.region.shape, grid.block_shape, "uint16")
    task = Emptied(Copy(opened.spec, grid, image))
    layout = reading_layout(settings, grid, opened.volume, copies=1)
    with pytest.raises(LedgerError, match="holds the result of another task, copy"):
        begun.job(task, *layout)
    np.testing.assert_array_equal(zarr.open_array(out / "0", mode="r")[:], brain)
