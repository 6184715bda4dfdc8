#!/usr/bin/env bash
# dask-jobqueue 0.9.0: importing it replaces what Ctrl-C does, and cannot be done in a thread
#
# `import dask_jobqueue` sets a handler for SIGINT, as its module of runners does at its top:
# a program that only wants SLURMCluster, and handles KeyboardInterrupt to save its work, is ended
# by SystemExit instead; `except KeyboardInterrupt` is passed by, and the exit code is 0, as if all
# had gone well. Seen: exit code 0 and no "saved". In a thread the import itself raises
# ValueError: signal only works in main thread.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    dask-jobqueue==0.9.0 distributed==2026.8.0
cd "$folder"
cat > long.py <<'PYTHON'
import os
import signal
import sys

signal.signal(signal.SIGINT, signal.default_int_handler)
if "imported" in sys.argv:
    from dask_jobqueue import SLURMCluster  # noqa: F401
try:
    os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C
except KeyboardInterrupt:
    print("saved")
    sys.exit(130)
PYTHON
cat > thread.py <<'PYTHON'
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

with ThreadPoolExecutor(1) as pool:
    print(repr(pool.submit(import_module, "dask_jobqueue").exception()))
PYTHON
code=0; said=$("$folder/venv/bin/python" long.py) || code=$?
echo "without it: exit code $code, said '$said'"
[ "$code $said" = "130 saved" ] || { echo "the behaviour has changed"; exit 1; }
code=0; said=$("$folder/venv/bin/python" long.py imported) || code=$?
echo "imported:   exit code $code, said '$said'"
[ "$code $said" = "0 " ] || { echo "the behaviour has changed"; exit 1; }
said=$("$folder/venv/bin/python" thread.py)
echo "in a thread: $said"
[[ "$said" == *"signal only works in main thread"* ]] || { echo "the behaviour has changed"; exit 1; }
