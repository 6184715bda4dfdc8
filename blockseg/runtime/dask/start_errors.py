"""Reasons why workers do not start on a machine, as a user can mend them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from blockseg.core.text import one_line
from blockseg.runtime.memory_errors import REMEDY, lacks_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WITHOUT = "--scheduler serial needs no workers"


def why_no_workers(error: BaseException, shared_memory: Path) -> str:
    """Return one line on workers that could not be started, and what to do.

    Parameters
    ----------
    error
        Error of the start.
    shared_memory
        Folder of the system's shared memory, ``/dev/shm``.
    """
    causes = list(_causes(error))
    if any(map(lacks_memory, causes)):
        remedy = f"{REMEDY}; {_WITHOUT}"
    elif _lacks_semaphores(causes, shared_memory):
        remedy = (
            f"{shared_memory} is missing, full or cannot be written to, and processes "
            "need it to speak with each other: mount it (in a container: --shm-size); "
            f"{_WITHOUT}"
        )
    elif _is_of_a_script():
        remedy = (
            "a script of yours must do its work under if __name__ == '__main__'; "
            f"{_WITHOUT}"
        )
    else:
        remedy = _WITHOUT
    told = one_line(causes[-1])
    return f"cannot start workers on this machine ({told}): {remedy}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it, the first of all last."""
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        now = now.__cause__ or now.__context__


def _lacks_semaphores(causes: list[BaseException], folder: Path) -> bool:
    """Say whether an error of the system is that of a folder which is not as it should be."""
    by_system = any(isinstance(cause, OSError) and cause.errno for cause in causes)
    if not by_system:
        return False
    probe = folder / ".blockseg-probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return True
    return False


def _is_of_a_script() -> bool:
    """Say whether a script of somebody else runs, which workers that start run again."""
    main = sys.modules.get("__main__")
    name = getattr(getattr(main, "__spec__", None), "name", "") or ""
    if name.startswith("blockseg_cli"):
        return False
    file = str(getattr(main, "__file__", "") or "")
    return bool(file) and not file.endswith(
        ("bin/blockseg", "blockseg_cli/__main__.py")
    )
