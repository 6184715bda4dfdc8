"""A small SLURM of this machine's own: controller, one node, and munge between them."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager

NEEDED = ("slurmctld", "slurmd", "munged", "sbatch", "squeue")


def why_not():
    """Why there can be none here; empty if there can."""
    if os.environ.get("BLOCKSEG_TEST_SLURM") != "1":
        return "takes two minutes: BLOCKSEG_TEST_SLURM=1 runs it"
    missing = [name for name in NEEDED if find(name) is None]
    if missing:
        return f"SLURM is not installed: no {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "a SLURM of one's own needs root"


def find(name):
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _configuration(folder):
    host = socket.gethostname().split(".")[0]
    return f"""
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
KillWait=5
OverTimeLimit=0
JobRequeue=1
MinJobAge=300
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=60000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def slurm(folder):
    """Give the environment in which SLURM's commands know it."""
    with ExitStack() as stack:
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o755)
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        (folder / "slurm.conf").write_text(_configuration(folder))
        environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/usr/bin",
        }

        def start(name, *words):
            with (folder / f"{name}.out").open("w") as log:
                process = subprocess.Popen(
                    [find(name), *words],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | environment,
                )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        munge = folder / "munge"
        start(
            "munged",
            *("--foreground", "--force", f"--key-file={key}"),
            *(f"--socket={munge}/socket", f"--pid-file={munge}/pid"),
            *(f"--log-file={munge}/log", f"--seed-file={munge}/seed"),
        )
        _wait(lambda: (munge / "socket").exists(), folder)
        start("slurmctld", "-D", "-c")
        start("slurmd", "-D", "-c")
        told = os.environ | environment

        def idle():
            asked = [find("sinfo"), "-h", "-o", "%T"]
            done = subprocess.run(
                asked, capture_output=True, text=True, env=told, check=False
            )
            return done.stdout.strip() == "idle"

        _wait(idle, folder)
        stack.callback(
            subprocess.run, [find("scancel"), "-u", "root"], env=told, check=False
        )
        yield environment


def _wait(condition, folder, seconds=40):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            logs = [path.read_text()[-2000:] for path in folder.glob("*.log")]
            logs += [path.read_text()[-500:] for path in folder.glob("*.out")]
            message = "SLURM does not start:\n" + "\n".join(logs)
            raise TimeoutError(message)
        time.sleep(0.2)
