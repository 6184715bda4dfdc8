#!/usr/bin/env bash
# distributed 2026.8.0: messages stall for as long as the system's clock was put back
#
# Batched messages of workers, scheduler and clients are held back until a deadline in wall-clock
# time (distributed/batched.py: time() < self.next_deadline). If the clock is put back after
# one was sent, the next waits until the clock has caught up, and a run stands still meanwhile.
# Here by 5 s: a task that takes no time comes back after that.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check distributed==2026.8.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import time

true, back = time.time, [0.0]
time.time = lambda: true() - back[0]  # before distributed and tornado are imported

from distributed import Client

with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client:
    client.submit(lambda: 1, pure=False).result()
    began = time.monotonic()
    futures = [client.submit(abs, -n, pure=False) for n in range(3)]
    back[0] = 5.0
    more = [client.submit(abs, -n, pure=False) for n in range(3)]
    client.gather(futures + more)
    seconds = time.monotonic() - began
print(f"after {seconds:.1f} s")
raise SystemExit(0 if seconds > 3 else "the behaviour has changed")
PYTHON
