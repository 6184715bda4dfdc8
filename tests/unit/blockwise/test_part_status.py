from dataclasses import replace

import pytest

from blockseg.blockwise.part_status import PartStatus, PhaseStatus, together
from blockseg.blockwise.record.record import RunRecord

EMPTY = RunRecord({}, {}, {}, {})


def job(
    name, state="complete", started="2026-01-01", command="blockseg label o", **more
):
    session = {"started": started, "command": command}
    phases = (PhaseStatus(f"of {name}", 2, 2, 0),)
    part = PartStatus(name, state, command, phases, (), **more)
    return replace(EMPTY, sessions=(session,)), part


def test_passes_of_a_command_are_told_in_the_order_in_which_they_run():
    jobs = [job("label"), job("label-pieces")]
    part = together("label", jobs, "o", running=False)
    assert (part.name, part.state) == ("label", "complete")
    assert [phase.name for phase in part.phases] == ["of label-pieces", "of label"]


def test_a_command_that_was_stopped_between_two_of_its_jobs_is_not_complete():
    pieces = [job("label-pieces")]
    assert together("label", pieces, "o", running=False).state == "stopped"
    assert together("label", pieces, "o", running=True).state == "running"


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (("complete", "damaged"), "damaged"),
        (("stopped", "stale"), "stopped"),
        (("stale", "complete"), "stale"),
        (("incomplete", "complete"), "incomplete"),
    ],
)
def test_the_worst_state_is_that_of_the_whole(states, whole):
    names = ("skeletonize", "skeletonize-traces")
    jobs = [job(name, state) for name, state in zip(names, states, strict=True)]
    assert together("skeletonize", jobs, "o", running=False).state == whole


def test_what_is_stale_is_said_once_with_the_command_that_makes_it_anew():
    first = "blockseg label 'my out' --min-size 9"
    jobs = [
        job("label-pieces", "stale", command=first, stale="was made otherwise"),
        job("label", "stale", "2026-02-02", first, stale="was made otherwise"),
    ]
    part = together("label", jobs, "my out", running=False)
    assert part.stale == "was made otherwise"
    assert part.anew == f"{first} --overwrite"
    for command in ("", "blockseg threshold 'my out' 0.3 --min-size 9"):
        jobs[1] = job("label", "stale", "2026-03-03", command, stale="other")
        part = together("label", jobs, "my out", running=False)
        assert part.anew == "blockseg label 'my out' --overwrite"
    jobs[1] = job("label", "stale", "2026-03-03", f"{first} --overwrite", stale="other")
    assert together("label", jobs, "o", running=False).anew == f"{first} --overwrite"
    fresh = together("label", [job("label")], "o", running=False)
    assert fresh.anew == ""
