"""Use of the workers' GPUs, from what Dask's own workers report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blockseg.runtime.events import DevicesUsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["devices_used"]


def devices_used(workers: Iterable[Mapping[str, Any]]) -> DevicesUsed | None:
    """Add up the GPUs of all workers; None if no worker tells of one.

    Dask's workers tell where ``pynvml`` is installed with them.

    Parameters
    ----------
    workers
        Each as the scheduler describes it.
    """
    told = [
        (found["metrics"]["gpu"], found.get("gpu") or {})
        for found in workers
        if (found.get("metrics") or {}).get("gpu")
    ]
    if not told:
        return None
    return DevicesUsed(
        devices=len(told),
        utilization=sum(_number(now, "utilization") for now, _ in told)
        / (100 * len(told)),
        memory=int(sum(_number(now, "memory-used") for now, _ in told)),
        memory_total=int(sum(_number(card, "memory-total") for _, card in told)),
    )


def _number(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
