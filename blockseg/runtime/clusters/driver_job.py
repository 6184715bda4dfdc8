"""The driver as a job of a batch system, which is queued again when its time is over."""

from __future__ import annotations

import math
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from blockseg.config.cluster_settings import BATCH
from blockseg.core.errors import ClusterError, ConfigError
from blockseg.runtime.clusters.jobqueue import submit_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from blockseg.config.cluster_settings import ClusterSettings

_CORES, _GIB = 2, 8
_ENDING = 300  # seconds in which blocks in flight come to their end
_SUBMIT_SECONDS = 60
_TIMED_OUT = 124  # how timeout(1) says that it did its work


def driver_script(settings: ClusterSettings, words: Sequence[str], path: Path) -> str:
    """Return the script of a job that runs one of our commands.

    A little before its time is over the command is asked to end, which keeps all that is
    done, and the job is queued again. One that is cancelled is not.

    Parameters
    ----------
    settings
        Of the cluster.
    words
        The command with its arguments, without ``blockseg``.
    path
        Where the script will lie.

    Raises
    ------
    ConfigError
        If the launcher is no batch system.
    """
    if settings.launcher not in BATCH:
        message = (
            f"blockseg submit needs a batch system, not {settings.launcher}: "
            f"launcher: {', '.join(BATCH)}"
        )
        raise ConfigError(message)
    seconds = settings.driver_walltime or settings.walltime or 0
    if seconds <= 2 * _ENDING:
        message = f"driver-walltime: the driver needs more than {2 * _ENDING} s"
        raise ConfigError(message)
    python = settings.python or sys.executable
    command = shlex.join([python, "-m", "blockseg_cli", *words])
    lines = [
        "#!/usr/bin/env bash",
        *_HEADERS[settings.launcher](settings, seconds),
        "",
        *settings.prologue,
        f"timeout --signal=TERM {seconds - _ENDING} {command}",
        "code=$?",
        f"if [ $code -eq {_TIMED_OUT} ]; then",
        f"    {_again(settings.launcher, path)}",
        "fi",
        "exit $code",
    ]
    return "\n".join(lines) + "\n"


def submitted(settings: ClusterSettings, path: Path) -> str:
    """Submit a script; return what the batch system says of it, which names the job.

    Raises
    ------
    ClusterError
        If it refuses, does not answer, or is not there.
    """
    command = submit_command(settings.launcher)
    if shutil.which(command) is None:
        message = (
            f"there is no {command} here: submit {path} where the batch system's "
            "commands are"
        )
        raise ClusterError(message)
    try:
        with path.open("rb") as script:
            done = subprocess.run(
                [command] if command == "bsub" else [command, str(path)],
                stdin=script if command == "bsub" else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SUBMIT_SECONDS,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"{command} does not answer: {error}"
        raise ClusterError(message) from error
    said = " ".join((done.stdout + " " + done.stderr).split())
    if done.returncode:
        message = f"{command} refuses {path}: {said or done.returncode}"
        raise ClusterError(message)
    return said


def _again(launcher: str, path: Path) -> str:
    if launcher == "slurm":
        return 'scontrol requeue "$SLURM_JOB_ID"'
    if launcher == "lsf":
        return f"bsub < {shlex.quote(str(path))}"
    if launcher == "sge":
        return "exit 99  # which SGE takes for: again"
    return f"qsub {shlex.quote(str(path))}"


def _log(settings: ClusterSettings, number: str) -> str:
    return f"{settings.logs or '.'}/blockseg-driver-{number}.log"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _slurm(settings: ClusterSettings, seconds: int) -> list[str]:
    return [
        f"#SBATCH {text}"
        for text in (
            "-J blockseg-driver",
            *_named("-p", settings.queue),
            *_named("-A", settings.account),
            "-n 1",
            f"--cpus-per-task={_CORES}",
            f"--mem={_GIB}G",
            f"-t {_clock(seconds)}",
            "--requeue",
            "--open-mode=append",
            f"-o {_log(settings, '%j')}",
            *settings.driver_directives,
        )
    ]


def _lsf(settings: ClusterSettings, seconds: int) -> list[str]:
    minutes = math.ceil(seconds / 60)
    return [
        f"#BSUB {text}"
        for text in (
            "-J blockseg-driver",
            *_named("-q", settings.queue),
            *_named("-P", settings.account),
            f"-n {_CORES}",
            f"-M {_GIB}GB",
            f"-W {minutes // 60:02d}:{minutes % 60:02d}",
            "-r",
            f"-o {_log(settings, '%J')}",
            *settings.driver_directives,
        )
    ]


def _sge(settings: ClusterSettings, seconds: int) -> list[str]:
    return [
        f"#$ {text}"
        for text in (
            "-N blockseg-driver",
            *_named("-q", settings.queue),
            *_named("-P", settings.account),
            f"-pe smp {_CORES}",
            f"-l h_vmem={_GIB // _CORES}G",
            f"-l h_rt={_clock(seconds)}",
            "-cwd",
            "-j y",
            "-r y",
            f"-o {_log(settings, '$JOB_ID')}",
            *settings.driver_directives,
        )
    ]


def _pbs(settings: ClusterSettings, seconds: int) -> list[str]:
    return [
        *(
            f"#PBS {text}"
            for text in (
                "-N blockseg-driver",
                *_named("-q", settings.queue),
                *_named("-A", settings.account),
                f"-l select=1:ncpus={_CORES}:mem={_GIB}gb",
                f"-l walltime={_clock(seconds)}",
                "-j oe",
                "-r y",
                *settings.driver_directives,
            )
        ),
        'cd "$PBS_O_WORKDIR"',
    ]


def _named(flag: str, value: str | None) -> list[str]:
    return [] if value is None else [f"{flag} {value}"]


_HEADERS: dict[str, Callable[[ClusterSettings, int], list[str]]] = {
    "slurm": _slurm,
    "lsf": _lsf,
    "sge": _sge,
    "pbs": _pbs,
}
