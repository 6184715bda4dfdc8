#!/usr/bin/env bash
# Triton 3.9.0 on CPython: gc.freeze() before the end makes nanobind report leaks
#
# gc.freeze() is documented as a way to keep the collector away from objects that live on, and
# saves the last search when called before a process ends. nanobind, with which Triton is bound,
# counts at the end what is still alive: after gc.freeze() it writes to standard error that all of
# Triton's types and functions are leaked, some twenty lines, though nothing is. Without it, nothing.
# Seen: 0 lines without, 27 with gc.freeze().
#
# Needs Linux on x86-64, python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour
# has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check triton==3.9.0
cd "$folder"
"$folder/venv/bin/python" -c "import triton" 2> plain.txt
"$folder/venv/bin/python" -c "import gc, triton; gc.freeze()" 2> frozen.txt
plain=$(grep -c "leaked" plain.txt || true)
frozen=$(grep -c "leaked" frozen.txt || true)
echo "lines that say leaked: $plain without gc.freeze(), $frozen with it"
[ "$plain" = 0 ] && [ "$frozen" -gt 20 ] || { echo "the behaviour has changed"; exit 1; }
