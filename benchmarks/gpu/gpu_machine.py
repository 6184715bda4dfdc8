"""The card that a benchmark ran on: what it is, how fast it copies and multiplies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.infer.infer_machine import machine as host

if TYPE_CHECKING:
    from collections.abc import Callable


def machine(device: str) -> dict[str, Any]:
    """Return what a reader needs to judge the numbers by."""
    found = dict(host())
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        found |= {
            "card": card.name,
            "card_memory_gib": round(card.total_memory / 2**30, 1),
            "capability": f"{card.major}.{card.minor}",
            "multiprocessors": card.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        }
    else:
        found["card"] = "no card: the CPU in its place"
    return found


def wait(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def best(work: Callable[[], Any], device: str, repeats: int, least: float) -> float:
    """Return the shortest time of a piece of work, in seconds, after two warm runs."""
    for _ in range(2):
        work()
    wait(device)
    found: list[float] = []
    begun = time.perf_counter()
    while len(found) < repeats or time.perf_counter() - begun < least:
        start = time.perf_counter()
        work()
        wait(device)
        found.append(time.perf_counter() - start)
    return min(found)


def limits(device: str, *, quick: bool = False) -> dict[str, float]:
    """Measure the card's rates.

    Returns
    -------
    Bytes/s of a copy within the device's memory (read and written), and between pinned
    main memory and the device each way; multiply-adds/s of square matrix products by
    precision, float32 without TF32.
    """
    size, side = (2**20, 64) if quick else (2**30, 8192)
    repeats, least = (1, 0.0) if quick else (5, 0.5)
    a = torch.empty(size, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    pinned = torch.empty(size, dtype=torch.uint8, pin_memory=device == "cuda")

    def rate(work: Callable[[], Any]) -> float:
        return size / best(work, device, repeats, least)

    found = {
        "copy": 2 * rate(lambda: b.copy_(a)),
        "to_device": rate(lambda: a.copy_(pinned, non_blocking=True)),
        "from_device": rate(lambda: pinned.copy_(a, non_blocking=True)),
    }
    torch.backends.cuda.matmul.allow_tf32 = False
    for name in ("float16", "float32"):
        x = torch.randn(side, side, device=device).to(getattr(torch, name))
        seconds = best(lambda x=x: torch.mm(x, x), device, repeats, least)  # type: ignore[misc]
        found[name] = side**3 / seconds
    return found
