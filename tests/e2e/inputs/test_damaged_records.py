"""A run.json of which any part is missing or of another kind: one line, no traceback."""

import copy
import itertools
import json
import shutil
from typing import Any

import numpy as np
import pytest
import tifffile

RUN = (
    "run", "tiny.tif", "out.zarr", "--backend", "fake", "--scheduler", "serial",
    "--block", "16", "--voxel-size", "1,1,1", "--mask", "mask.tif",
)  # fmt: skip
MEASURE = (
    "metrics", "tiny.tif", "measured.zarr", "--scheduler", "serial", "--block", "16",
    "--voxel-size", "1,1,1",
)  # fmt: skip
COMMANDS = {
    "out.zarr": (
        ("status", "out.zarr"),
        RUN,
        ("plan", *RUN[1:5], *RUN[7:]),
        ("preview", "out.zarr"),
        ("evaluate", "out.zarr", "mask.tif"),
        ("propose-annotations", "out.zarr", "-o", "picks", "--rule", "random"),
    ),
    "measured.zarr": (
        ("status", "measured.zarr"),
        MEASURE,
        ("propose-annotations", "measured.zarr", "-o", "picks", "--rule", "random"),
    ),
}
GONE = object()
KINDS: tuple[Any, ...] = (
    None,
    7,
    -1.5,
    "text",
    True,
    [],
    [[]],
    {},
    {"a": 1},
    float("nan"),
    10**400,
)
UNREAD = ("machine", "params", "totals")
NEEDED = (
    "request", "decisions", "execution", "facts", "sessions", "version",
    "request.source", "request.mask", "request.weights", "request.settings",
    "request.source.spec", "request.source.spec.uri", "request.source.spec.format",
    "request.source.fingerprint", "facts.phases", "facts.phases.0.name",
    "facts.phases.0.blocks", "facts.phases.0.grid", "facts.roi", "facts.volume_shape",
    "facts.cells.scale", "facts.cells.predicted", "decisions.block",
    "decisions.threshold", "sessions.0.command",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    noise = np.random.default_rng(0).integers(0, 4000, (16, 32, 32)).astype(np.uint16)
    tifffile.imwrite(folder / "tiny.tif", noise)
    tifffile.imwrite(folder / "mask.tif", (noise > 3000).astype(np.uint8))
    return folder


@pytest.fixture
def blockseg_there(blockseg, made):
    blockseg.folder = made
    for command in (RUN, MEASURE):
        blockseg(*command, "-q")
    return blockseg


def places(value, before=()):
    """Yield the way to every value of a document; of a list to its first."""
    if before and before[-1] in UNREAD:
        return
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))[:1]
    for key, one in inside:
        yield (*before, key)
        yield from places(one, (*before, key))


def changed(record, place, value):
    record = copy.deepcopy(record)
    *way, last = place
    inner = record
    for key in way:
        inner = inner[key]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return record


def said(blockseg, command):
    """Return what a command says of a bad record: one line, whatever it is."""
    shutil.rmtree(blockseg.folder / "picks", ignore_errors=True)
    done = blockseg(*command, code=None)
    crash = done.exception
    assert crash is None or isinstance(crash, SystemExit), repr(crash)
    assert done.exit_code in (0, 1, 3)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == (done.exit_code == 1)
    return errors[0] if errors else ""


@pytest.mark.parametrize("out", COMMANDS)
def test_nothing_that_may_be_wrong_with_a_record_gives_a_traceback(
    blockseg_there, made, out
):
    path = made / out / ".blockseg" / "run.json"
    whole = path.read_text()
    commands = itertools.cycle(COMMANDS[out])
    kinds = itertools.cycle(KINDS)
    for place in places(json.loads(whole)):
        for value in (GONE, next(kinds)):
            path.write_text(json.dumps(changed(json.loads(whole), place, value)))
            said(blockseg_there, next(commands))
    path.write_text(whole)
    for command in COMMANDS[out][:2]:
        assert not said(blockseg_there, command)


def test_a_threshold_that_no_run_has_is_another_run(blockseg_there, made):
    path = made / "out.zarr" / ".blockseg" / "run.json"
    whole = path.read_text()
    place = ("request", "settings", "threshold")
    for value in KINDS:
        path.write_text(json.dumps(changed(json.loads(whole), place, value)))
        assert "threshold" in said(blockseg_there, RUN), value
    path.write_text(whole)


def test_a_data_type_that_there_is_not_is_told(blockseg_there, made):
    path = made / "out.zarr" / ".blockseg" / "run.json"
    whole = path.read_text()
    place = ("facts", "cells", "scale", "dtype")
    path.write_text(json.dumps(changed(json.loads(whole), place, "text")))
    assert "run.json" in said(blockseg_there, RUN)
    path.write_text(whole)


@pytest.mark.parametrize("name", ["status", "run", "plan"])
def test_a_record_without_what_it_needs_is_refused(blockseg_there, made, name):
    path = made / "out.zarr" / ".blockseg" / "run.json"
    whole = path.read_text()
    command = next(words for words in COMMANDS["out.zarr"] if words[0] == name)
    for text in NEEDED:
        place = [int(key) if key.isdigit() else key for key in text.split(".")]
        for value in (GONE, [[]]):
            path.write_text(json.dumps(changed(json.loads(whole), place, value)))
            assert "run.json" in said(blockseg_there, command), (text, value)
    path.write_text(whole)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '{"format": 1}', "[" * 9999]
)
def test_a_file_that_is_no_record_is_refused_by_every_reader(
    blockseg_there, made, text
):
    path = made / "out.zarr" / ".blockseg" / "run.json"
    whole = path.read_text()
    path.write_text(text)
    for command in COMMANDS["out.zarr"]:
        assert "run.json" in said(blockseg_there, command)
    path.write_bytes(b"\xff\xfe" + whole.encode())
    assert "run.json" in said(blockseg_there, RUN)
    path.write_text(whole)
