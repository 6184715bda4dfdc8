"""Keywords of the Python interface are the options' one declaration."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import blockseg
from blockseg.config.declare import declared
from blockseg.config.settings import RunSettings
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.interface import options
from blockseg.interface.arguments import array_of, path_of
from blockseg.interface.keywords import KINDS, keywords

FUNCTIONS = {
    "run": "RunOptions",
    "plan": "RunOptions",
    "predict": "RunOptions",
    "info": "RunOptions",
    "convert": "RunOptions",
    "train": "TrainOptions",
    "propose": "ProposeOptions",
    "evaluate": "EvaluateOptions",
    "label": "LabelOptions",
    "skeletonize": "SkeletonizeOptions",
    "threshold": "ThresholdOptions",
    "preview": "PreviewOptions",
}


def test_the_types_are_those_of_the_declaration():
    assert Path(options.__file__).read_text(encoding="utf-8") == keywords()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_shows_its_options_to_tab_completion(name):
    function = getattr(blockseg, name)
    shown = inspect.signature(function).parameters
    kind = KINDS[FUNCTIONS[name]]
    for option in declared(kind):
        assert option in shown
        # What the function has as its own has the default that the function says.
        if shown[option].kind is inspect.Parameter.KEYWORD_ONLY:
            assert shown[option].default in (
                inspect.Parameter.empty,
                None,
                False,
                kind.__dataclass_fields__[option].default,
            )
    assert set(KINDS[FUNCTIONS[name]].__dataclass_fields__) >= set(declared(kind))
    assert set(getattr(options, FUNCTIONS[name]).__annotations__) == set(declared(kind))
    assert function.__doc__


def test_every_public_name_is_there_and_listed():
    assert set(blockseg.__all__) <= set(dir(blockseg))
    for name in blockseg.__all__:
        assert getattr(blockseg, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = blockseg.nothing


def test_an_unknown_keyword_names_the_nearest_one():
    with pytest.raises(ConfigError, match="did you mean 'threshold'"):
        blockseg.predict(np.zeros((8, 8, 8), np.uint16), treshold=0.3)  # type: ignore[call-arg]


def test_paths_of_any_kind_and_zarr_arrays_are_sources(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(4, 4, 4), dtype="u2")
    group = zarr.create_group(tmp_path / "g.zarr")
    inner = group.create_array("0", shape=(4, 4, 4), dtype="u2")
    assert path_of("a") == "a"
    assert path_of(tmp_path) == str(tmp_path)
    assert path_of(array) == str(tmp_path / "a.zarr")
    assert path_of(group) == str(tmp_path / "g.zarr")
    assert path_of(inner) == str(tmp_path / "g.zarr" / "0")
    for wrong in (np.zeros((4, 4, 4)), zarr.zeros((4, 4, 4))):
        with pytest.raises(VolumeError, match=r"in memory .*blockseg.predict"):
            path_of(wrong)
    with pytest.raises(ConfigError, match="source is a int"):
        path_of(3)


def test_arrays_of_numpy_zarr_and_dask_are_segmented_alike(tmp_path):
    da = pytest.importorskip("dask.array")
    voxels = np.random.default_rng(0).integers(100, 300, (24, 32, 32), np.uint16)
    stored = zarr.create_array(tmp_path / "a.zarr", data=voxels, chunks=(8, 16, 16))
    for array in (voxels, stored, da.from_array(voxels, chunks=(8, 16, 16))):
        np.testing.assert_array_equal(array_of(array), voxels)
    how: Any = {"backend": "fake", "normalization": "200,10"}
    expected = blockseg.predict(voxels, **how)
    np.testing.assert_array_equal(blockseg.predict(stored, **how), expected)
    with pytest.raises(VolumeError, match=r"not a str.*blockseg.run"):
        blockseg.predict("brain.zarr")


def test_importing_blockseg_imports_no_capability():
    import subprocess
    import sys

    code = (
        "import sys, blockseg; assert 'numpy' not in sys.modules; "
        "assert not [m for m in sys.modules if m.startswith('blockseg.interface')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_options_of_a_run_are_read_as_on_the_command_line(tmp_path):
    from blockseg.interface.arguments import options_for

    (settings,) = options_for(
        RunSettings, weights=tmp_path / "w.safetensors", roi="0:4,0:4,0:4"
    )
    assert settings.weights == str(tmp_path / "w.safetensors")
