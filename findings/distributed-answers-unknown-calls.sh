#!/usr/bin/env bash
# distributed 2026.8.0: a call that a server does not know returns None
#
# rpc(address).anything() asks a scheduler or worker for the handler "anything". Where there is
# none, the caller gets no exception: the call returns None, as one does that has done its work,
# and only the server's log says that there was no handler. Whoever asks whether an extension is
# there by calling its handler and catching what is raised takes every server for one that has
# it; a handler must answer with something.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check distributed==2026.8.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import logging

import distributed
from distributed import Scheduler, rpc

logging.getLogger("distributed").setLevel(logging.CRITICAL)


async def ask():
    async with Scheduler(port=0, host="127.0.0.1", dashboard_address=":0") as scheduler:
        async with rpc(scheduler.address) as called:
            return await called.anything()


answer = asyncio.run(ask())
print(f"distributed {distributed.__version__}: the call returned {answer!r}")
raise SystemExit(0 if answer is None else "the behaviour has changed")
PYTHON
