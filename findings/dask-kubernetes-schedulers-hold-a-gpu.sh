#!/usr/bin/env bash
# dask-kubernetes 2026.3.0: resources= of a cluster are the scheduler's too, which so holds a GPU
#
# make_cluster_spec(resources={"limits": {"nvidia.com/gpu": 1}}), and KubeCluster(resources=…), which
# calls it, are documented for workers' needs, but put the same limits into the scheduler's pod: a
# cluster of N workers takes N + 1 cards, and its scheduler does not start where all are taken by
# workers. Seen: both containers have the limit; it is even the same dictionary, so that to change
# the scheduler's changes the worker's.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    dask-kubernetes==2026.3.0 distributed==2026.8.0 pyyaml
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from dask_kubernetes.operator import make_cluster_spec

made = make_cluster_spec(
    name="demo", n_workers=2, resources={"limits": {"nvidia.com/gpu": 1}}
)
scheduler, worker = (
    made["spec"][role]["spec"]["containers"][0]["resources"]
    for role in ("scheduler", "worker")
)
print(f"scheduler {scheduler}, worker {worker}, the same object: {scheduler is worker}")
same = scheduler == worker == {"limits": {"nvidia.com/gpu": 1}} and scheduler is worker
raise SystemExit(0 if same else "the behaviour has changed")
PYTHON
