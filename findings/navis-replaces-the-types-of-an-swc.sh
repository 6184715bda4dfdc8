#!/usr/bin/env bash
# navis 1.12.0: an SWC that is read and written again has lost its axon and dendrites
#
# read_swc() keeps the type of each node (1 soma, 2 axon, 3 dendrite) in nodes.label. write_swc()
# writes others by default: 5 where the tree forks, 6 at ends, 0 in between. With labels="label",
# which should keep them, all are 0; with a dictionary {node id: type} each node has the type of
# the one before in the table, and the first has "nan". Only a column of integers keeps them:
# nodes["t"] = nodes.label.astype(int) and labels="t". MorphIO 3.5.0, and NeuroM with it, refuse
# what the default wrote: a branch of two nodes is of two types. Seen, from end of dendrite to end
# of axon, of "3 3 1 2 2": "6 0 1 0 6", "0 0 0 0 0", "3.0 2.0 nan 1.0 2.0"; by the column the same.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    navis==1.12.0 morphio==3.5.0 pandas==3.1.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from pathlib import Path

import morphio
import navis

Path("neuron.swc").write_text(
    "1 1 0 0 0 5 -1\n"
    "2 2 10 0 0 1 1\n"
    "3 2 20 0 0 1 2\n"
    "4 3 -10 0 0 1 1\n"
    "5 3 -20 0 0 1 4\n"
)
neuron = navis.read_swc("neuron.swc")
neuron.nodes["t"] = neuron.nodes.label.astype(int)
by_node = dict(zip(neuron.nodes.node_id.tolist(), neuron.nodes.t.tolist(), strict=True))


def written(**how):
    navis.write_swc(neuron, "again.swc", **how)
    lines = Path("again.swc").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return " ".join(row[1] for row in sorted(rows, key=lambda row: float(row[2])))


def refusal():
    try:
        morphio.Morphology("again.swc")
    except morphio.RawDataError as error:
        return str(error).strip()
    return ""


seen = {"by default": written()}
refused = refusal()
seen['labels="label"'] = written(labels="label")
seen["labels={id: type}"] = written(labels=by_node)
seen["a column of integers"] = written(labels="t")
for how, types in seen.items():
    print(f"{how}: {types}")
print(f"MorphIO of the first: {refused}")
expected = ["6 0 1 0 6", "0 0 0 0 0", "3.0 2.0 nan 1.0 2.0", "3 3 1 2 2"]
refuses = "Section type changed" in refused and not refusal()
same = list(seen.values()) == expected and refuses
raise SystemExit(0 if same else "the behaviour has changed")
PYTHON
