"""Workers as jobs of a batch system, by dask-jobqueue; imported here alone."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from distributed import Security, SpecCluster

    from blockseg.config.cluster_settings import ClusterSettings

_DEATH_SECONDS = 120
_IMPORTING = threading.Lock()
_GIB = 2**30
_CLASSES = {
    "slurm": "SLURMCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "pbs": "PBSCluster",
}


def batch_cluster(
    settings: ClusterSettings,
    name: str,
    security: Security | None,
    scheduler: dict[str, Any] | None = None,
) -> SpecCluster:
    """Return a cluster of which every worker is a job; none is asked for yet.

    Parameters
    ----------
    settings
        Of the cluster.
    name
        Of the jobs, by which a user finds them.
    security
        Keys and certificates, as files that the nodes see; None for none.
    scheduler
        Options of the scheduler, which runs in this process.

    Raises
    ------
    ClusterError
        If dask-jobqueue is missing, or the batch system's commands are.
    """
    module = _library()
    steps = given_tasks(settings)
    command = "srun" if steps else submit_command(settings.launcher)
    if shutil.which(command) is None:
        message = (
            f"--cluster: there is no {command} here: start this where jobs of "
            f"{settings.launcher} can be submitted, as on a login node"
        )
        raise ClusterError(message)
    if steps:
        kind: Any = _steps(module)
    else:
        kind = getattr(module, _CLASSES[settings.launcher])
    made: SpecCluster = kind(
        n_workers=0,
        security=security,
        protocol="tls://" if security is not None else "tcp://",
        scheduler_options=scheduler or {},
        silence_logs="critical",
        **job_options(settings, name),
    )
    return made


def submit_command(launcher: str) -> str:
    """Return the command by which jobs of a batch system are submitted."""
    return {"slurm": "sbatch", "lsf": "bsub"}.get(launcher, "qsub")


def job_script(settings: ClusterSettings, name: str = "blockseg") -> str:
    """Return the script that a worker's job would be; nothing is submitted.

    Raises
    ------
    ClusterError
        If dask-jobqueue is missing.
    """
    module = _library()
    kind = getattr(module, _CLASSES[settings.launcher]).job_cls
    made = kind("tls://SCHEDULER:8786", name="WORKER", **job_options(settings, name))
    return str(made.job_script())


def job_options(settings: ClusterSettings, name: str) -> dict[str, Any]:
    """Return the options of dask-jobqueue for a job."""
    options: dict[str, Any] = {
        "cores": settings.threads * settings.workers,
        "processes": settings.workers,
        "memory": f"{settings.memory // 2**20}MiB",
        "job_name": name,
        "queue": settings.queue,
        "local_directory": settings.scratch,
        "log_directory": settings.logs,
        "interface": settings.interface,
        "death_timeout": _DEATH_SECONDS,
        "job_script_prologue": list(settings.prologue),
        "job_extra_directives": list(settings.directives),
        "worker_extra_args": _worker_arguments(settings),
    }
    if settings.walltime is not None:
        options["walltime"] = _clock(settings.walltime, settings.launcher)
    if settings.python is not None:
        options["python"] = settings.python
    account = "project" if settings.launcher in ("lsf", "sge") else "account"
    options[account] = settings.account
    # What a job is asked for are its cores; what Dask calls so are a worker's threads.
    gib = math.ceil(settings.memory / _GIB)
    if settings.launcher == "slurm":
        options |= {"job_cpu": settings.cores, "job_mem": f"{gib}G"}
    elif settings.launcher == "lsf":
        options |= {"ncpus": settings.cores, "mem": settings.memory}
    elif settings.launcher == "pbs":
        card = f":ngpus={settings.gpus}" if settings.gpus else ""
        options["resource_spec"] = f"select=1:ncpus={settings.cores}:mem={gib}gb{card}"
    else:
        # Of each slot, of which there is one a core.
        options["resource_spec"] = f"h_vmem={math.ceil(gib / settings.cores)}G"
        options["job_extra_directives"].append(f"-pe smp {settings.cores}")
    return options


def given_tasks(settings: ClusterSettings) -> int:
    """Return the number of tasks of the allocation around this process; 0 without one.

    An allocation of one task is the driver's own job, from which others are submitted.
    """
    if settings.launcher != "slurm" or "SLURM_JOB_ID" not in os.environ:
        return 0
    tasks = os.environ.get("SLURM_NTASKS", "1")
    return int(tasks) if tasks.isdecimal() and int(tasks) > 1 else 0


def _worker_arguments(settings: ClusterSettings) -> list[str]:
    words = ["--no-dashboard"]
    if settings.lifetime is not None:
        words += ["--lifetime", f"{settings.lifetime}s"]
        words += ["--lifetime-stagger", f"{settings.stagger}s"]
    if settings.gpus:
        words += ["--resources", f"GPU={settings.gpus}"]
    return words


def _clock(seconds: int, launcher: str) -> str:
    minutes = math.ceil(seconds / 60)
    if launcher == "lsf":
        return f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _steps(module: ModuleType) -> type[SpecCluster]:
    """Return the kind of cluster whose workers are steps of the allocation we are in."""
    job: Any = module.slurm.SLURMJob

    class Step(job):  # type: ignore[misc]
        """A worker as a step, which runs for as long as the command that starts it."""

        async def _submit_job(self, script_filename: str) -> str:
            text = Path(script_filename).read_text(encoding="utf-8")
            log = (
                f"{self.log_directory}/{self.name}.log"
                if self.log_directory
                else "none"
            )
            self.process = await asyncio.create_subprocess_exec(
                *("srun", "--overlap", "--ntasks=1", "--nodes=1", f"--output={log}"),
                *(f"--cpus-per-task={self.step_cores}", "bash", "-c", text),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            return str(self.process.pid)

        def __init__(self, *words: Any, **options: Any) -> None:
            self.step_cores = options.get("job_cpu") or 1
            super().__init__(*words, **options)

        async def close(self) -> None:
            # srun passes it on to the step, and ends with it.
            if self.process.returncode is None:
                self.process.terminate()
                await self.process.wait()

    class Steps(module.JobQueueCluster):  # type: ignore[misc,name-defined]
        job_cls = Step

    return Steps


def _library() -> ModuleType:
    try:
        with _own_interrupts():
            import dask_jobqueue
            import dask_jobqueue.slurm
    except ImportError as error:
        message = (
            "clusters of batch systems need dask-jobqueue: pip install 'blockseg[hpc]' "
            f"({error})"
        )
        raise ClusterError(message) from error
    return dask_jobqueue


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Keep what SIGINT does: importing dask-jobqueue makes it end the process.

    In other threads than the main one that import would raise ValueError instead, as
    only the main thread may say what a signal does.
    """
    if threading.current_thread() is threading.main_thread():
        before = signal.getsignal(signal.SIGINT)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        return
    with _IMPORTING:
        known = signal.signal

        def in_main_thread(number: Any, handler: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                return known(number, handler)
            return signal.getsignal(number)

        signal.signal = in_main_thread  # type: ignore[assignment]
        try:
            yield
        finally:
            signal.signal = known
