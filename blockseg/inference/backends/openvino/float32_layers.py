"""Layers of a graph that stay in float32 while the others compute in bfloat16."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAYER = re.compile(r'<layer id="\d+" name="([^"]*)"')
_MARK = '<rt_info><attribute name="precise" version="0" /></rt_info>'


def in_float32(openvino: Any, core: Any, model: Any, layers: Sequence[str]) -> Any:
    """Return a graph some of whose layers keep float32, whatever the hint says.

    OpenVINO's Python interface has no way to say so of a node, its files have: the graph
    is written, marked and read again, in some milliseconds.

    Parameters
    ----------
    openvino
        The module.
    core
        Its entry point.
    model
        Left as it is.
    layers
        Beginnings of the names of their nodes.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder) / "graph.xml"
        openvino.serialize(model, place)
        lines, name = [], ""
        for line in place.read_text(encoding="utf-8").splitlines():
            found = _LAYER.search(line)
            name = found[1] if found else name
            if "<output>" in line and name.startswith(tuple(layers)):
                lines.append(_MARK)
            lines.append(line)
        weights = place.with_suffix(".bin").read_bytes()
    return core.read_model("\n".join(lines).encode(), weights)
