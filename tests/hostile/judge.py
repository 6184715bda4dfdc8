"""Sentence on what a command answered to a hostile input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.case import Case

Verdict: TypeAlias = Literal[
    "told", "handled", "traceback", "abort", "hang", "slow", "memory", "chatter",
    "accepted", "late", "vague",
]  # fmt: skip
GOOD: frozenset[Verdict] = frozenset({"told", "handled"})

MEANINGS: dict[Verdict, str] = {
    "told": "refused in one clear line, before any work",
    "handled": "taken for what it is",
    "traceback": "a traceback, or an exit code that the manual does not know",
    "abort": "the process was ended by a signal of its own making",
    "hang": "no end within the hard limit",
    "slow": "an answer later than the strict limit allows",
    "memory": "more memory than the limit allows",
    "chatter": "more lines before the one that counts than anybody reads",
    "accepted": "a wrong input that was taken for a right one",
    "late": "an error after something was written",
    "vague": "an exit without one line that says what is wrong",
}

_LINES = 12  # of warnings before the error
_LONGEST = 2100  # characters of the line


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did."""

    code: int
    """Exit code; negative for a signal."""

    out: str
    """What it printed."""

    err: str
    """What it printed as errors and warnings."""

    seconds: float = 0.0
    """CPU time that it took, its own and that of what it started and waited for."""

    peak: int = 0
    """Bytes that it had resident at most."""

    written: tuple[str, ...] = ()
    """What it left in its folder that was not there before."""

    ended: Literal["", "time", "memory"] = ""
    """Why it was ended by the runner."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of an answer."""

    seconds: float
    """CPU time that it may take."""

    peak: float
    """Bytes that it may have resident."""


def judged(case: Case, answer: Answer, limits: Limits | None) -> tuple[Verdict, str]:
    """Return the verdict on an answer, and the line that it rests on.

    Parameters
    ----------
    case
        The input.
    answer
        What came of it.
    limits
        What it may take; None where it is not measured.
    """
    whole = f"{answer.out}\n{answer.err}"
    lines = [line for line in whole.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if answer.ended:
        return ("hang" if answer.ended == "time" else "memory"), last
    if answer.code < 0:
        return "abort", f"signal {-answer.code}: {last}"
    if "Traceback (most recent call last)" in whole or answer.code not in (0, 1, 3):
        return "traceback", last
    if limits is not None and answer.peak > limits.peak:
        return "memory", f"{answer.peak / 1e6:.0f} MB: {last}"
    if limits is not None and answer.seconds > limits.seconds:
        return "slow", f"{answer.seconds:.1f} s of CPU time: {last}"
    if len(lines) > _LINES and answer.code == 1:
        return "chatter", f"{len(lines)} lines"
    if case.right == "handled" and answer.code == 0:
        return "handled", last
    if answer.code == 0:
        refusals = [line for line in lines if "run would refuse" in line]
        return ("told", refusals[0]) if refusals else ("accepted", last)
    if answer.code != case.code and case.right == "told":
        return "vague", f"exit code {answer.code}: {last}"
    if answer.code == 3:
        return "told", last
    errors = [line for line in lines if line.startswith("Error: ")]
    if len(errors) != 1 or errors[0] != lines[-1] or len(errors[0]) > _LONGEST:
        return "vague", last
    if answer.written:
        return "late", f"{answer.written[0]} is there: {last}"
    if case.contains not in errors[0]:
        return "vague", errors[0]
    return "told", errors[0]


def listing(folder: Path) -> frozenset[str]:
    """Return what lies in a folder."""
    return frozenset(str(path.relative_to(folder)) for path in folder.rglob("*"))
