"""Every command that works block by block, by every harm that means something to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.commands import (
    JOBS,
    disk_full,
    disturbed,
    failing,
    hangs,
    killed,
    poison,
    read_only,
    slow,
)
from tests.faults.table import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.commands import Job
    from tests.faults.lab import Lab

HARMS = {
    "killed": killed,
    "interrupted, or a worker killed": disturbed,
    "block that hangs": hangs,
    "block that kills every worker": poison,
    "store that is slow": slow,
    "store that fails one read in ten": failing,
    "disk full": disk_full,
    "store read-only midway": read_only,
}
NO_STORE = ("synth", "density")
"""What reads no image: the first makes one, the second reads traces."""

ELSEWHERE = {
    **{f"{job}: killed": f"{job} killed" for job in list(JOBS)[:5]},
    **{
        f"{job}: interrupted, or a worker killed": "metrics, convert or synth "
        "interrupted, or a worker killed"
        for job in ("metrics", "convert", "synth")
    },
    **{
        f"{job}: interrupted, or a worker killed": "label or skeletonize interrupted, "
        "or its worker killed"
        for job in ("label", "skeletonize")
    },
    "training: killed": "training killed",
    "training: interrupted, or a worker killed": "training interrupted",
    "propose-annotations: interrupted, or a worker killed": "propose-annotations: "
    "interrupted",
}
"""Cases that have another name, by the one that they would have here."""

CI = {
    "label: block that kills every worker",
    "metrics: store that fails one read in ten",
}


def _enter(job: Job, harm: str, make: Callable[[Lab, Job], None]) -> None:
    name = f"{job.name}: {harm}"
    needs = "mount" if make is disk_full else ""

    @fault(name, needs=needs, ci=name in CI)
    def made(lab: Lab) -> None:
        make(lab, job)


for _job in JOBS.values():
    for _harm, _make in HARMS.items():
        if _make in (slow, failing) and _job.name in NO_STORE:
            continue
        if f"{_job.name}: {_harm}" in ELSEWHERE:
            continue
        _enter(_job, _harm, _make)
