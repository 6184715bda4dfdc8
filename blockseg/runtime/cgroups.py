"""The limits of the control groups that this process is in (Linux, versions 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")

_UNLIMITED = 2**63


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that containers and batch systems set for a process."""

    memory: int
    """Bytes."""

    free: int
    """Bytes of it that nobody in the group uses; the page cache counts as free."""

    cores: int
    """CPUs, a quota of less than one counting as one."""


def control_groups(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> Limits:
    """Return the narrowest limits of the groups of this process and their parents.

    Parameters
    ----------
    root
        Where the control groups are mounted.
    own
        ``/proc/self/cgroup``: ``number:controllers:path`` a line.
    """
    memory, free, cores = _UNLIMITED, _UNLIMITED, _UNLIMITED
    for group in _groups(root, own):
        for limit, used, cache in (
            ("memory.max", "memory.current", "file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"),
        ):
            bound = _number(group / limit)
            if bound is not None:
                taken = (_number(group / used) or 0) - _cache(group, cache)
                memory = min(memory, bound)
                free = min(free, bound - max(0, taken))
        words = _words(group / "cpu.max") or [
            *_words(group / "cpu.cfs_quota_us")[:1],
            *_words(group / "cpu.cfs_period_us")[:1],
        ]
        if len(words) == 2 and all(word.isdigit() for word in words):
            quota, period = map(int, words)
            cores = min(cores, max(1, quota // max(1, period)))
    return Limits(memory, free, cores)


def _groups(root: Path, own: Path) -> list[Path]:
    """Return the folders of all groups that bind this process."""
    found = [root, root / "memory", root / "cpu"]  # as a container sees its own
    for line in _text(own).splitlines():
        _, controllers, path, *_ = [*line.split(":", 2), "", "", ""]
        for name in controllers.split(",") if controllers else [""]:
            folder = root / name / path.lstrip("/")
            while folder not in found and folder.is_relative_to(root):
                found.append(folder)
                folder = folder.parent
    return found


def _cache(group: Path, name: str) -> int:
    for line in _text(group / "memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if words and words[0].isdigit() else None


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
