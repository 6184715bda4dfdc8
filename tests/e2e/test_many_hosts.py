"""Workers on hosts of their own, by network namespaces, with TLS between all of them."""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from .conftest import content

OPTIONS = ("--backend", "fake", "--block", "64", "--window", "64", "-q")
BRIDGE, HOME = "bsbr0", "10.213.77.1"
IP = shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or ""
QUICK = {
    # Else a host that is cut off is missed after half a minute only.
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "4s",
    "BLOCKSEG_FAKE_TROUBLE": '{"seconds": 1.5}',
}


def why_not():
    if not IP or os.geteuid() != 0:
        return "namespaces need root, and ip(8)"
    made = subprocess.run(
        [IP, "netns", "add", "bsprobe"], capture_output=True, check=False
    )
    if made.returncode:
        return f"no network namespaces here: {made.stderr.decode().strip()}"
    subprocess.run([IP, "netns", "del", "bsprobe"], check=True)
    return ""


def ip(*words):
    subprocess.run([IP, *map(str, words)], check=True, capture_output=True)


class Hosts:
    """A bridge, and hosts at it: a namespace and an address each."""

    def __init__(self, stack):
        self._stack = stack
        subprocess.run([IP, "link", "del", BRIDGE], capture_output=True, check=False)
        ip("link", "add", BRIDGE, "type", "bridge")
        stack.callback(ip, "link", "del", BRIDGE)
        ip("addr", "add", f"{HOME}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")

    def add(self, number):
        name, here, there = f"bshost{number}", f"bsv{number}", f"bsp{number}"
        subprocess.run([IP, "netns", "del", name], capture_output=True, check=False)
        ip("netns", "add", name)
        self._stack.callback(ip, "netns", "del", name)
        ip("link", "add", here, "type", "veth", "peer", "name", there)
        ip("link", "set", here, "master", BRIDGE, "up")
        ip("link", "set", there, "netns", name)
        inside = ("-n", name)
        ip(*inside, "addr", "add", f"10.213.77.1{number}/24", "dev", there)
        ip(*inside, "link", "set", there, "up")
        ip(*inside, "link", "set", "lo", "up")
        return name

    def cable(self, number, state):
        ip("link", "set", f"bsv{number}", state)


@pytest.fixture
def hosts():
    if reason := why_not():
        pytest.skip(reason)
    with ExitStack() as stack:
        yield Hosts(stack)


def wait(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def driver_log(out):
    log = next((out / ".blockseg" / "logs").glob("*.driver.jsonl"), None)
    return "" if log is None else log.read_text()


@pytest.mark.slow
def test_a_host_that_is_cut_off_loses_nothing_and_takes_part_again(
    hosts, brain, blockseg, monkeypatch
):
    blockseg("run", brain, "whole.zarr", *OPTIONS, "--scheduler", "serial")
    blockseg("cluster", "certs", "certs")
    known, secret = (
        blockseg.folder / "certs" / n for n in ("cluster.pem", "cluster-key.pem")
    )
    assert [path.stat().st_mode & 0o777 for path in (known, secret)] == [0o600] * 2
    tls = ["--tls-ca-file", known, "--tls-cert", known, "--tls-key", secret]
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)

    def start(name, *words, host=""):
        log = (blockseg.folder / f"{name}.log").open("w")
        inside = [IP, "netns", "exec", host] if host else []
        process = subprocess.Popen(
            [*inside, sys.executable, "-m", "dask", *map(str, words)],
            stdout=log,
            stderr=log,
        )
        process.stdout = log  # which the fixture closes
        blockseg.started.append(process)
        return Path(log.name)

    scheduler = blockseg.folder / "scheduler.json"
    start(
        *("scheduler", "scheduler", "--host", f"tls://{HOME}", "--port", 0),
        *("--no-dashboard", "--scheduler-file", scheduler, *tls),
    )
    wait(scheduler.exists)
    logs = []
    for number in (1, 2):
        host = hosts.add(number)
        log = start(
            *(host, "worker", "--scheduler-file", scheduler, "--nthreads", 1),
            *("--no-dashboard", "--death-timeout", 300, *tls),
            host=host,
        )
        logs.append(log)
    # One that came late might find nothing left to do.
    wait(lambda: all("Registered to" in log.read_text() for log in logs))
    address, *_ = re.findall(r"tls://[0-9.:]+", scheduler.read_text())
    assert HOME in address
    for what, value in (
        ("CA_FILE", known),
        ("CLIENT__CERT", known),
        ("CLIENT__KEY", secret),
    ):
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{what}", str(value))
    run = blockseg.start("run", brain, "out.zarr", *OPTIONS, "--scheduler", address)
    out = blockseg.folder / "out.zarr"

    def workers():
        return set(re.findall(r'"done".*?"worker": "tls://([0-9.]+):', driver_log(out)))

    both = {"10.213.77.11", "10.213.77.12"}
    wait(lambda: workers() == both)
    hosts.cable(2, "down")
    wait(lambda: '"event": "lost"' in driver_log(out))
    hosts.cable(2, "up")
    done = driver_log(out).count('"event": "done"')
    assert done < 24
    wait(lambda: driver_log(out).count('"workers": 2') >= 1 or run.poll() is not None)
    assert run.wait(300) == 0, run.stdout.read()
    assert content(out) == content(blockseg.folder / "whole.zarr")


def test_without_the_certificate_nobody_joins(tmp_path, blockseg):
    blockseg("cluster", "certs", "certs")
    said = blockseg("cluster", "certs", "certs", code=1).output
    assert "holds certificates already" in said
    key = blockseg.folder / "certs" / "cluster-key.pem"
    key.chmod(0o644)
    (tmp_path / "c.yaml").write_text(
        "launcher: slurm\nwalltime: '1:00:00'\ncertificates: certs\n"
    )
    said = blockseg(
        *("run", "constant://64,64,64/uint16/0", "o.zarr", "--voxel-size", "1,1,1"),
        *(*OPTIONS, "--cluster", "c.yaml"),
        code=1,
    ).output
    assert "others may read" in said
    assert not Path(blockseg.folder, "o.zarr").exists()
