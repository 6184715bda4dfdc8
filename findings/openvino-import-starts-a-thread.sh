#!/usr/bin/env bash
# OpenVINO 2026.4.1: importing it starts a thread
#
# "import openvino" alone, before anything is asked of it, starts a thread of its telemetry
# package and leaves it running. A process that forks after it (a forkserver that loads modules
# ahead for its workers, a fork context of multiprocessing) forks with threads, which from Python 3.12
# on is a DeprecationWarning. Where the telemetry package cannot be imported, there is no thread.
# Seen: 1 thread before the import and 2 after it; 1 and 1 without the package.
#
# Needs Linux, python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has
# changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cd "$folder"
cat > count.py <<'PYTHON'
import os
import sys

import numpy  # noqa: F401  one thread, by the variable below


def threads():
    return len(os.listdir("/proc/self/task"))


before = threads()
if sys.argv[1] == "without":
    sys.modules["openvino_telemetry"] = None
import openvino  # noqa: E402, F401

print(before, threads())
PYTHON
export OPENBLAS_NUM_THREADS=1
with=$("$folder/venv/bin/python" count.py with)
without=$("$folder/venv/bin/python" count.py without)
echo "threads before and after: $with; without the telemetry package: $without"
[ "$with" = "1 2" ] && [ "$without" = "1 1" ] || { echo "the behaviour has changed"; exit 1; }
