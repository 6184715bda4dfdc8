"""The machine that a benchmark ran on, and how fast it multiplies."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil
import torch

_SIDE = 2048  # matrices that fill the caches and no more
_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "avx_vnni")


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge the numbers by."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    said = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    said = {key.strip(): value.strip() for key, value in said.items()}
    flags = set(said.get("flags", "").split())
    return {
        "processor": said.get("model name", platform.processor()),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "features": [name for name in _FEATURES if name in flags],
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def sgemm(threads: int, seconds: float = 2.0) -> dict[str, float]:
    """Return the multiply-adds a second of float32 matrix products.

    By the clock, and by the CPU time of this process: on a machine that others use,
    only the second says something.
    """
    torch.set_num_threads(threads)
    a, b = torch.rand(_SIDE, _SIDE), torch.rand(_SIDE, _SIDE)
    torch.mm(a, b)
    wall: list[float] = []
    cpu: list[float] = []
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds or len(wall) < 3:
        start, used = time.perf_counter(), time.process_time()
        torch.mm(a, b)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return {"wall": _SIDE**3 / min(wall), "cpu": _SIDE**3 / min(cpu) * threads}


def peak_memory() -> int:
    """Return the most bytes that this process ever had resident, since the last reset."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
