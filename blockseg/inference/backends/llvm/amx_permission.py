"""Permission to use AMX, which Linux gives a process that asks for it."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import cache

from blockseg.core.errors import BackendError
from blockseg.inference.backends.llvm.compiler import library

_ARCH_PRCTL = 158
"""Number of the system call on x86-64."""

_ASK, _TILE_DATA = 0x1023, 18
"""``ARCH_REQ_XCOMP_PERM``, and the part of a CPU's state that holds tiles."""


@cache
def ask_for_tiles() -> None:
    """Ask the system to keep tiles of this process.

    Raises
    ------
    BackendError
        If the CPU has no AMX for bfloat16, or the system does not keep its state.
    """
    features = library().get_host_cpu_features()
    if not (features.get("amx-bf16") and features.get("avx512bf16")):
        message = "the CPU has no AMX for bfloat16; compute in float32"
        raise BackendError(message)
    if sys.platform != "linux" or platform.machine() != "x86_64":
        message = f"AMX can be used on Linux only, not on {sys.platform}"
        raise BackendError(message)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_ARCH_PRCTL, _ASK, _TILE_DATA):
        error = os.strerror(ctypes.get_errno())
        message = f"the system does not lend AMX to this process: {error}"
        raise BackendError(message)
