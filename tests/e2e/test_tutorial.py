"""The tutorial, run word for word."""

import contextlib
import json
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import tifffile

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"


def steps():
    """Return what the page says to run: the language and the text of each block."""
    fenced = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return fenced.findall(PAGE.read_text(encoding="utf-8"))


def test_after_annotating_what_was_picked_the_tutorial_finds_more(blockseg):
    scores = {}
    labels = {}
    for language, text in steps():
        if language == "python":
            (blockseg.folder / "step.py").write_text(text)
            with contextlib.chdir(blockseg.folder):
                runpy.run_path("step.py")
            labels = read(blockseg.folder / "PICKS" / "label")
            continue
        for line in text.splitlines():
            program, *words = shlex.split(line)
            assert program == "blockseg"
            blockseg(*words)
            if words[0] == "evaluate":
                measures = json.loads((blockseg.folder / words[-1]).read_text())
                scores[words[-1]] = measures["measures"]["centreline_f1"]["value"]
    assert len(scores) == 2
    assert scores["after.json"] > scores["before.json"] + 0.05
    assert len(labels) == 2
    # What was annotated is what the brain holds, and a second round leaves it alone.
    assert all(set(np.unique(label)) <= {0, 1} for label in labels.values())
    later = read(blockseg.folder / "PICKS" / "label")
    assert len(later) == 3
    for name, label in labels.items():
        np.testing.assert_array_equal(later[name], label)


def read(folder):
    return {path.name: tifffile.imread(path) for path in sorted(folder.iterdir())}
