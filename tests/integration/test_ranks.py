"""Two processes on one machine train one network."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from blockseg.networks.weights import load_weights

DRIVER = Path(__file__).with_name("ranks_driver.py")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_together(folder, size, steps, precision):
    port = str(free_port())
    processes = []
    for rank in range(size):
        joined = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
                  "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size),
                  "OMP_NUM_THREADS": "1"}  # fmt: skip
        with (folder / f"said{rank}").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, str(DRIVER), str(folder), str(steps), precision],
                env={**os.environ, **joined},
                stdout=said,
                stderr=said,
            )
        processes.append(process)
    try:
        for rank, process in enumerate(processes):
            code = process.wait(timeout=900)
            assert code == 0, (folder / f"said{rank}").read_text()
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [json.loads((folder / f"rank{n}.json").read_text()) for n in range(size)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_processes_end_with_equal_weights_and_share_no_patch(tmp_path, precision):
    first, second = run_together(tmp_path, 2, 5, precision)
    assert first["state"] == second["state"]
    assert first["step"] == second["step"] == 5
    # The loader reads a patch in the order of its number, at most a batch ahead.
    assert first["read"][:10] == [0, 1, 4, 5, 8, 9, 12, 13, 16, 17]
    assert second["read"][:10] == [2, 3, 6, 7, 10, 11, 14, 15, 18, 19]
    network, _ = load_weights(tmp_path / "last.safetensors")
    assert network.width == 2
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
