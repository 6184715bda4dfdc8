"""The last lines of a run tell of what it made, and of nothing else."""

from importlib import import_module
from typing import Any

import pytest

from blockseg.blockwise.job import JobResult

print_result = import_module("blockseg_cli.outcome").print_result


@pytest.mark.parametrize(
    ("mask", "foreground", "said"),
    [(False, 0, "voxels/s)."), (True, 0, "; 0 % fore"), (True, 25, "; 2.5 % fore")],
)
def test_only_what_has_a_mask_is_said_to_have_foreground(
    tmp_path, capsys, mask, foreground, said
):
    if mask:
        (tmp_path / "labels/foreground").mkdir(parents=True)
    totals: Any = {"written": 1000, "foreground": foreground}
    print_result(JobResult(tmp_path, 1, 1, (), "", 2.0, 1000, totals))
    first = capsys.readouterr().out.splitlines()[0]
    assert said in first
    assert ("foreground" in first) == mask
