"""Questions to workers, of which some may never answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blockseg.runtime.dask.watch import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from distributed import Client

_MORE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of workers to one question."""

    found: dict[str, Any] = field(default_factory=dict)
    """Return values of the function, by worker; without those where it raised, and those
    that left meanwhile."""

    silent: frozenset[str] = frozenset()
    """Workers that are there and did not answer in time: stopped, or held up by code that
    lets no other run."""


def ask_each(
    client: Client,
    workers: Iterable[str],
    function: Callable[..., Any],
    *args: object,
    seconds: float = 5.0,
    **kwargs: Any,
) -> Answers:
    """Call a function in the event loop of each worker.

    Parameters
    ----------
    client
        Of the cluster.
    workers
        Addresses.
    function
        Importable in the workers.
    *args, **kwargs
        Of the function.
    seconds
        To wait for all of them; each is asked by itself, so that one that is stopped
        hides no other's answer.

    Raises
    ------
    TimeoutError
        If the scheduler does not answer either.
    """
    found: dict[str, Any] = {}
    silent: set[str] = set()

    async def one(worker: str) -> None:
        asked: Any = client.run(function, *args, workers=[worker], **kwargs)
        try:
            found.update(await asyncio.wait_for(asked, seconds))
        except TimeoutError:
            silent.add(worker)
        except Exception:  # noqa: BLE001 - it left, or does not know the function
            return

    async def every() -> None:
        await asyncio.gather(*map(one, workers))

    bounded(client, every, seconds=seconds + _MORE_SECONDS)
    return Answers(found, frozenset(silent))
