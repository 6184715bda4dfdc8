"""Settings of a cluster: which launcher starts workers, where, and how many."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

from blockseg.config.declare import option
from blockseg.config.values import (
    MOST_PROCESSES,
    parse_bytes,
    parse_choice,
    parse_int,
    parse_switch,
    parse_text,
    parse_texts,
)
from blockseg.core.errors import ConfigError

Launcher: TypeAlias = Literal[
    "local", "local-gpu", "slurm", "lsf", "sge", "pbs", "kubernetes", "ssh"
]
"""Ways to start workers, each a launcher of Dask's."""

BATCH = ("slurm", "lsf", "sge", "pbs")
"""Launchers that ask a batch system for jobs."""

_REGISTERING = 300
_LEAST_LIFE = 120


def _parse_clock(name: str, value: Any) -> int:
    """Return seconds of ``HH:MM:SS``, ``HH:MM`` or ``D-HH:MM:SS``, as batch systems do."""
    text = str(value).strip()
    days, dash, clock = text.rpartition("-")
    parts = clock.split(":")
    good = 2 <= len(parts) <= 3 and all(p.isdecimal() and len(p) < 6 for p in parts)
    if not good or (dash and not days.isdecimal()):
        message = f"--{name} {value!r}: expected HH:MM:SS or D-HH:MM:SS"
        raise ConfigError(message)
    hours, minutes, seconds = (*map(int, parts), 0)[:3]
    found = ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
    if not found:
        message = f"--{name} {value!r}: a job needs some time"
        raise ConfigError(message)
    return found


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Content of a preset or file that ``--cluster`` names."""

    launcher: Launcher = option(
        "local",
        parse_choice(*get_args(Launcher)),
        "local, local-gpu, slurm, lsf, sge, pbs, kubernetes or ssh.",
        metavar="NAME",
    )
    """Launcher of the workers."""

    jobs: int = option(
        1, parse_int(1, MOST_PROCESSES), "Jobs, pods or machines at most.", metavar="N"
    )
    """Jobs (pods, machines) at most."""

    least_jobs: int | None = option(
        None,
        parse_int(0, MOST_PROCESSES),
        "Jobs at least; as many as at most if not given.",
        metavar="N",
    )
    """Jobs at least: between these bounds as many as there are blocks for."""

    workers: int = option(
        1, parse_int(1, MOST_PROCESSES), "Workers of a job.", metavar="N"
    )
    """Worker processes of a job."""

    gpus: int = option(0, parse_int(0, 1), "GPUs of a job: 0 or 1.", metavar="N")
    """GPUs of a job: one, which its one worker has to itself, or none."""

    cores: int = option(1, parse_int(1, 4096), "Cores of a job.", metavar="N")
    """Cores of a job."""

    threads: int = option(
        2, parse_int(1, 64), "Blocks a worker has at once.", metavar="N"
    )
    """Blocks that a worker has at once: one is inferred while another is read."""

    memory: int = option(
        16 * 10**9, parse_bytes, "Memory of a job.", metavar="SIZE", unit="bytes"
    )
    """Memory of a job, in bytes."""

    walltime: int | None = option(
        None, _parse_clock, "Time of a job.", metavar="HH:MM:SS", unit="s"
    )
    """Seconds that the batch system gives a job."""

    stagger: int = option(
        120, parse_int(0, 86400), "Seconds within which workers leave.", "N", unit="s"
    )
    """Seconds by which workers' lives differ, so that not all leave at once."""

    queue: str | None = option(None, parse_text, "Queue or partition.", metavar="NAME")
    """Queue or partition."""

    account: str | None = option(
        None, parse_text, "Account or project.", metavar="NAME"
    )
    """Account or project that is charged."""

    directives: tuple[str, ...] = option(
        (), parse_texts, "More lines for the batch system.", metavar="TEXT"
    )
    """More directives of a worker's job, without the leading ``#SBATCH`` or like."""

    driver_directives: tuple[str, ...] = option(
        (), parse_texts, "The same of the driver's job.", metavar="TEXT"
    )
    """The same of the driver's job, which ``blockseg submit`` makes."""

    driver_walltime: int | None = option(
        None, _parse_clock, "Time of the driver's job.", metavar="HH:MM:SS", unit="s"
    )
    """Seconds that the driver's job gets; as a worker's if not given."""

    prologue: tuple[str, ...] = option(
        (), parse_texts, "Shell lines before a worker starts.", metavar="TEXT"
    )
    """Shell lines of a job before its worker: modules, an environment."""

    scratch: str | None = option(
        None, parse_text, "Fast folder of the node.", metavar="PATH"
    )
    """Folder on the node for what Dask keeps there; the system's own if not given."""

    logs: str | None = option(None, parse_text, "Folder of job logs.", metavar="PATH")
    """Folder of the jobs' logs, which every node sees."""

    interface: str | None = option(
        None, parse_text, "Network interface of nodes.", metavar="NAME"
    )
    """Network interface by which nodes reach each other, as ``ib0``."""

    python: str | None = option(
        None, parse_text, "Python of the nodes; this one if not given.", metavar="PATH"
    )
    """Python on the nodes; this one if not given."""

    certificates: str | None = option(
        None, parse_text, "Folder of blockseg cluster certs.", metavar="PATH"
    )
    """Folder of certificates that every node sees; made for the run if not given."""

    insecure: bool = option(False, parse_switch, "No certificates.")
    """Leave out certificates: anybody who reaches the scheduler can run code as you."""

    hosts: tuple[str, ...] = option(
        (), parse_texts, "Machines for ssh.", metavar="NAME"
    )
    """Machines of ``ssh``: one worker job each; the driver's own holds the scheduler."""

    image: str | None = option(None, parse_text, "Container image.", metavar="NAME")
    """Container image of pods, with blockseg in it."""

    namespace: str = option(
        "default", parse_text, "Kubernetes namespace.", metavar="NAME"
    )
    """Namespace of the pods."""

    claim: str | None = option(
        None, parse_text, "Persistent volume claim.", metavar="NAME"
    )
    """Persistent volume claim that holds SOURCE and OUT."""

    mount: str = option(
        "/data", parse_text, "Where pods see the claim.", metavar="PATH"
    )
    """Path at which pods, and the driver, see it."""

    @property
    def least(self) -> int:
        """Jobs at least."""
        return self.jobs if self.least_jobs is None else min(self.least_jobs, self.jobs)

    @property
    def adaptive(self) -> bool:
        """Whether the number of jobs follows that of the blocks."""
        return self.least < self.jobs

    @property
    def all_workers(self) -> int:
        """Workers of all jobs."""
        return self.jobs * self.workers

    @property
    def lifetime(self) -> int | None:
        """Seconds after which a worker leaves in good order; None for as long as it can.

        So long before the end of its job that a block it has comes to its end.
        """
        if self.walltime is None:
            return None
        return max(_LEAST_LIFE, self.walltime - self.stagger - _REGISTERING)

    def checked(self) -> ClusterSettings:
        """Return these, if they can be.

        Raises
        ------
        ConfigError
            If two of them do not go together.
        """
        problem = ""
        own = {
            item.name
            for item in fields(self)
            if getattr(self, item.name) != item.default and item.name != "launcher"
        }
        if self.launcher in ("local", "local-gpu") and own - {"gpus"}:
            problem = (
                f"{self.launcher} takes --workers, --threads and --memory of the command "
                f"line, not {min(own).replace('_', '-')}"
            )
        elif self.gpus and self.workers > 1:
            problem = (
                "a job with a GPU has one worker, or several would share the card: ask "
                "for more jobs (jobs: N) with workers: 1"
            )
        elif self.launcher in BATCH and self.walltime is None:
            problem = f"{self.launcher} needs walltime: HH:MM:SS"
        elif self.launcher == "ssh" and not self.hosts:
            problem = "ssh needs hosts: [NAME, …]"
        elif self.launcher == "kubernetes" and self.image is None:
            problem = "kubernetes needs image: NAME, with blockseg in it"
        elif self.walltime is not None and self.walltime < 2 * _LEAST_LIFE:
            problem = "a walltime below 4 minutes leaves no time for blocks"
        if problem:
            message = f"--cluster: {problem}"
            raise ConfigError(message)
        return self
