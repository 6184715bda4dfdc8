"""The command that says which errors no test has met."""

import os
import subprocess
import sys

import pytest

from tests.error_paths.__main__ import HERE
from tests.error_paths.places import KINDS, ROOT, met, of_other_code, places, table

RAISES = """
from blockseg.core.errors import BlocksegError
from blockseg.core.geometry import Roi
try:
    Roi((1, 1, 1), (0, 2, 2))
except BlocksegError:
    pass
"""


@pytest.fixture(scope="module")
def found():
    return places()


def test_the_places_are_calls_of_the_classes_of_the_tree(found):
    assert len(found) > 300
    for place in found:
        assert place.kind in KINDS
        lines = (ROOT / place.file).read_text().splitlines()[place.line - 1 : place.end]
        assert f"{place.kind}(" in "\n".join(lines)


def test_a_place_that_a_process_came_by_is_noted_and_no_other(found, tmp_path):
    environment = {
        **os.environ,
        "BLOCKSEG_ERROR_PATHS": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
    }
    subprocess.run([sys.executable, "-c", RAISES], env=environment, check=True)
    (seen,) = met(tmp_path, found)
    assert seen.file == "blockseg/core/geometry.py"
    assert f"- `{seen}`" not in table(found, {seen})
    assert table(found, {seen}).count("- `") == len(found) - 1


def test_what_nobody_noted_was_met_by_nobody(found, tmp_path):
    assert met(tmp_path, found) == set()


def test_notes_of_pieces_are_joined_only_where_the_code_is_the_same(found, tmp_path):
    notes = tmp_path / "notes"
    assert of_other_code(notes, found) == ""
    first, second = found[:2]
    for number, place in enumerate((first, second)):
        (notes / f"{number}.txt").write_text(f"{ROOT / place.file}:{place.line}\n")
    assert of_other_code(notes, found) == ""
    assert met(notes, found) == {first, second}
    assert "other code" in of_other_code(notes, found[1:])
