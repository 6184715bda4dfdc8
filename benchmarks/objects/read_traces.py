"""Traces read by other software: navis, MorphIO, NeuroM and CloudVolume.

    pip install navis morphio neurom cloud-volume
    python benchmarks/objects/read_traces.py TRACES

Needs no blockseg. Fails where one of them warns, where a length is another than in
objects.csv, or where Neuroglancer's layer differs from the SWC files. Prints JSON, and
keeps it in results/read_traces.json.
"""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import tempfile
import warnings
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "read_traces.json"
READERS = ("navis", "morphio", "neurom", "cloud-volume")


def by_navis(path: Path) -> float:
    import navis

    neuron: Any = navis.read_swc(path)
    assert str(neuron.units) == "1 micrometer", neuron.units
    return float(neuron.cable_length)


def by_morphio(path: Path) -> float:
    import morphio
    import numpy as np

    neuron = morphio.Morphology(path)
    steps = (np.diff(section.points, axis=0) for section in neuron.iter())
    return float(sum(np.linalg.norm(step, axis=1).sum() for step in steps))


def by_neurom(path: Path) -> float:
    import neurom

    return float(neurom.get("total_length", neurom.load_morphology(path)))


@lru_cache
def layer_of(traces: Path) -> Any:
    """Open the layer by CloudVolume, which wants a volume that it belongs to."""
    from cloudvolume import CloudVolume

    place = Path(tempfile.mkdtemp())
    (place / "skeletons").symlink_to((traces / "neuroglancer").absolute())
    scale = {
        "key": "1",
        "size": [1, 1, 1],
        "resolution": [1, 1, 1],
        "voxel_offset": [0, 0, 0],
        "chunk_sizes": [[1, 1, 1]],
        "encoding": "raw",
    }
    info = {
        "@type": "neuroglancer_multiscale_volume",
        "type": "segmentation",
        "data_type": "uint64",
        "num_channels": 1,
        "skeletons": "skeletons",
        "scales": [scale],
    }
    (place / "info").write_text(json.dumps(info))
    return CloudVolume(f"precomputed://file://{place}").skeleton


def by_cloudvolume(path: Path) -> float:
    lines = layer_of(path.parent.parent).get(int(path.stem))
    assert (lines.radius > 0).all()
    return float(lines.cable_length()) / 1000


def main() -> None:
    import morphio

    morphio.set_maximum_warnings(-1)
    with contextlib.suppress(AttributeError):
        morphio.set_raise_warnings(True)  # it prints them else
    traces = Path(sys.argv[1])
    with (traces / "objects.csv").open(newline="") as file:
        table = [row for row in csv.DictReader(file) if row["swc"]]
    furthest = {}
    for read in (by_navis, by_morphio, by_neurom, by_cloudvolume):
        read(traces / table[0]["swc"])  # imports may warn of themselves
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            away = [
                abs(read(traces / row["swc"]) - float(row["length_um"]))
                / (1 + float(row["length_um"]))
                for row in table
            ]
        furthest[read.__name__.removeprefix("by_")] = max(away)
    assert max(furthest.values()) < 0.002, furthest
    result = {
        "versions": {name: version(name) for name in READERS},
        "files": len(table),
        "furthest_length": furthest,
        "warnings": 0,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
