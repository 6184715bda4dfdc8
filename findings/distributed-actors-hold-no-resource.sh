#!/usr/bin/env bash
# distributed 2026.8.0: an actor does not hold the resource that it was created with
#
# Two actors that each ask for the one GPU of a worker are both created there, at once, and both
# live: the resource is only held while the constructor runs. So resources={'GPU': 1} keeps tasks
# apart, but not actors, and two engines share a card. Seen: both actors answer; the worker's
# used resources are {'GPU': 0}.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check distributed==2026.8.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from distributed import Client, LocalCluster


class Engine:
    def ping(self):
        return "here"


how = {"actor": True, "resources": {"GPU": 1}, "pure": False}
cluster = LocalCluster(
    n_workers=1,
    threads_per_worker=2,
    processes=False,
    resources={"GPU": 1},
    dashboard_address=":0",
)
with cluster, Client(cluster) as client:
    engines = [client.submit(Engine, **how) for _ in range(2)]
    answers = [e.result(timeout=30).ping().result(timeout=30) for e in engines]
    (worker,) = cluster.scheduler.workers.values()
    used = dict(worker.used_resources)
print(f"answers {answers}, used resources {used}")
both = answers == ["here", "here"] and used == {"GPU": 0}
raise SystemExit(0 if both else "the behaviour has changed")
PYTHON
