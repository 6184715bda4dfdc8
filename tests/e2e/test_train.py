"""``blockseg train`` on a folder of annotated stacks."""

import errno
import html
import json
import os
import re
import shlex
import signal
import time

import numpy as np
import pytest
import tifffile
import torch

from blockseg.inference.processor import Processor
from blockseg.networks.weights import load_weights
from blockseg.training.learning.session import Session

PLACE = ("--threads", "1", "--workers", "0", "--no-tensorboard")
TINY = (
    "--width",
    "2",
    "--patch",
    "16",
    "--batch",
    "1",
    "--validate-every",
    "4",
    *PLACE,
)


@pytest.fixture
def mine(tmp_path):
    rng = np.random.default_rng(1)
    for kind in ("image", "label"):
        (tmp_path / "mine" / kind).mkdir(parents=True)
    for name in ("a", "b"):
        image = rng.normal(200, 10, (24, 24, 24))
        label = np.zeros(image.shape, np.uint8)
        z, y = rng.integers(4, 20, 2)
        image[z, y], label[z, y] = 400, 1
        folder = tmp_path / "mine"
        tifffile.imwrite(folder / "image" / f"{name}.tif", image.astype(np.uint16))
        tifffile.imwrite(folder / "label" / f"{name}.tif", label)
    return folder


@pytest.mark.usefixtures("reports")
def test_a_training_leaves_weights_log_and_report_and_knows_that_it_is_done(
    blockseg, mine
):
    command = ("train", mine, "-o", "run", "--steps", "8", "--licence", "MIT", *TINY)
    done = blockseg(*command)
    assert "sdasn of width 2, 2,543 parameters, cpu, float32" in done.output
    assert "Done: 8 steps" in done.output
    run = blockseg.folder / "run"
    network, info = load_weights(run / "best.safetensors")
    assert (network.width, info.licence, info.gain) == (2, "MIT", 1.0)
    assert "a" in info.training_data
    page = (run / "report.html").read_text()
    assert "<script" not in page
    (line,) = re.findall(r"<pre>(blockseg train [^<]* -o RUN [^<]*)</pre>", page)
    again = shlex.split(html.unescape(line).replace("RUN", "again"))[1:]
    blockseg(*again, *PLACE, "-q")
    other, _ = load_weights(blockseg.folder / "again" / "best.safetensors")
    pairs = zip(network.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "what a page says holds"
    assert (run / "log.csv").read_text().count("\n") == 3
    assert blockseg("weights", "show", run / "last.safetensors").output

    before = (run / "checkpoint.pt").read_bytes()
    events = [
        json.loads(line) for line in blockseg(*command, "--json").output.splitlines()
    ]
    assert [event["event"] for event in events] == ["TrainingStarted", "result"]
    assert (events[-1]["complete"], events[-1]["step"]) == (True, 8)
    assert (run / "checkpoint.pt").read_bytes() == before

    refused = blockseg(*command, "--rate", "0.5", "--seed", "2", code=1)
    assert "--rate was auto, now 0.5; --seed was 1, now 2" in refused.output
    assert refused.output.count("\n") == 1
    blockseg(*command, "--rate", "0.5", "--seed", "2", "--overwrite", "-q")
    record = json.loads((run / "train.json").read_text())
    assert record["request"]["settings"]["rate"] == 0.5
    assert [s["outcome"] for s in record["sessions"]] == ["complete"]


def test_a_training_goes_on_in_the_precision_that_it_began_with(
    blockseg, mine, monkeypatch
):
    here = "blockseg.training.learning.arithmetic.processor"
    command = ("train", mine, "-o", "run", "--steps", "6", "--precision", "fast", *TINY)
    monkeypatch.setattr(here, lambda: Processor("another", "amx"))
    with monkeypatch.context() as patched:
        patched.setattr(Session, "save_if_due", interrupt)
        assert "cpu, bfloat16" in blockseg(*command, code=130).output
    record = json.loads((blockseg.folder / "run" / "train.json").read_text())
    assert record["request"]["settings"]["precision"] == "fast"
    assert record["facts"]["decided"]["precision"] == "bfloat16"

    monkeypatch.setattr(here, lambda: Processor("this one", ""))
    other = blockseg(*command, "--precision", "float32", code=1)
    assert "--precision was fast, now float32" in other.output
    done = blockseg(*command).output
    assert "cpu, bfloat16" in done
    assert "Note: This CPU has no AMX: bfloat16 may take longer" in done
    assert "cpu, float32" in blockseg(*command, "--overwrite").output


def interrupt(session):
    session.save()
    raise KeyboardInterrupt


def test_a_killed_training_goes_on_with_the_same_command(blockseg, mine):
    command = ("train", mine, "--steps", "40", "--checkpoint-every", "3", *TINY)
    process = blockseg.start(*command, "-o", "killed")
    checkpoint = blockseg.folder / "killed" / "checkpoint.pt"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert checkpoint.exists(), process.stdout.read()
    blockseg(*command, "-o", "killed", "--resume", "-q")
    blockseg(*command, "-o", "whole", "-q")
    for name in ("last.safetensors", "best.safetensors", "log.csv"):
        one, other = (blockseg.folder / run / name for run in ("killed", "whole"))
        if name == "log.csv":
            assert one.read_bytes() == other.read_bytes()
        else:
            states = [load_weights(path)[0].state_dict() for path in (one, other)]
            assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_a_job_that_a_scheduler_ends_keeps_its_checkpoint_and_goes_on(blockseg, mine):
    command = ("train", mine, "-o", "run", "--steps", "30000", *TINY, "--workers", "1")
    job = blockseg.start(
        *command, "--validate-every", "1000", "--json", start_new_session=True
    )
    for line in job.stdout:
        if '"Progress"' in line:
            break
    os.killpg(job.pid, signal.SIGTERM)
    output = job.stdout.read()
    assert job.wait() == 130, output
    assert "Interrupted; the same command resumes from here." in output
    assert "died" not in output
    checkpoint = torch.load(blockseg.folder / "run" / "checkpoint.pt")
    step = checkpoint["step"]
    assert step > 0
    again = blockseg.start(*command, "--validate-every", "1000", "--json")
    first = next(json.loads(line) for line in again.stdout if '"Progress"' in line)
    assert first["step"] > step


def test_a_training_does_not_start_from_weights_that_it_replaces(blockseg, mine):
    blockseg("train", mine, "-o", "run", "--steps", "1", *TINY, "-q")
    weights = blockseg.folder / "run" / "last.safetensors"
    before = weights.read_bytes()
    done = blockseg(
        "train", mine, "-o", "run", "--init", "run/../run/last.safetensors",
        "--steps", "2", *TINY, "--overwrite", code=1,
    )  # fmt: skip
    assert "whose weights this training replaces" in done.output
    assert done.output.count("\n") == 1
    assert weights.read_bytes() == before


def test_data_in_another_order_is_another_training(blockseg, mine):
    other = mine.rename(mine.parent / "other")
    (mine / "image").mkdir(parents=True)
    (mine / "label").mkdir()
    for kind in ("image", "label"):
        (other / kind / "b.tif").rename(mine / kind / "b.tif")
    command = ("train", mine, other, "-o", "run", "--steps", "1", *TINY)
    blockseg(*command, "-q")
    swapped = (command[0], command[2], command[1], *command[3:])
    refused = blockseg(*swapped, code=1)
    assert "DATA was given in another order" in refused.output
    assert refused.output.count("\n") == 1


def test_a_kill_before_the_first_record_leaves_nothing_that_is_in_the_way(
    blockseg, mine
):
    run = blockseg.folder / "run"
    run.mkdir()
    (run / "train.json.part").write_text('{"form')
    blockseg("train", mine, "-o", "run", "--steps", "1", *TINY, "-q")
    assert sorted(path.name for path in run.glob("*.part")) == []


def test_fine_tuning_starts_from_the_weights_and_sees_what_they_saw(blockseg, mine):
    blockseg("train", mine, "-o", "first", "--steps", "2", "--gain", "2", *TINY, "-q")
    init = blockseg.folder / "first" / "last.safetensors"
    tune = ("train", mine, "-o", "second", "--init", init, "--steps", "1",
            "--config", "train-finetune")  # fmt: skip
    blockseg(*tune, "--rate", "1e-9", *TINY[2:], "-q")
    (old, _), (new, info) = (
        load_weights(blockseg.folder / run / "last.safetensors")
        for run in ("first", "second")
    )
    assert info.gain == 2
    assert "fine-tuned from first-2" in info.training_data
    for one, other in zip(old.parameters(), new.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    wrong = blockseg(*tune, "--network", "unet3d", *TINY, "--overwrite", code=1)
    assert "is of network sdasn; leave --network out" in wrong.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "-o", "run"), "nowhere"),
        (
            ("mine", "-o", "run", "--patch", "18"),
            "--patch 18: sdasn takes multiples of 4",
        ),
        (("mine", "-o", "run", "--network", "unet"), "did you mean 'unet3d'"),
        (("mine", "-o", "mine"), "holds no training"),
        (("mine", "-o", "run", "--resume"), "there is no training in"),
        (("mine", "-o", "run", "--device", "tpu"), "choose one of auto, cpu, cuda"),
        (
            ("mine", "-o", "run", "--precision", "float16", "--device", "cpu"),
            "needs a GPU",
        ),
        (("mine", "-o", "run", "--init", "none.safetensors"), "no weights file"),
        (("mine", "-o", "run", "--config", "default"), "unknown setting"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(
    blockseg, mine, arguments, said
):
    assert mine.is_dir()
    done = blockseg("train", *arguments, code=1)
    assert said in done.output
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    assert not (blockseg.folder / "run").exists()


def test_a_full_disk_is_exit_code_3_and_the_same_command_goes_on(
    blockseg, mine, monkeypatch
):
    command = ("train", mine, "-o", "run", "--steps", "8", "--checkpoint-every", "2",
               *TINY)  # fmt: skip
    checkpoint = blockseg.folder / "run" / "checkpoint.pt"
    sync = os.fsync

    def fill(handle):
        if checkpoint.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fill)
        done = blockseg(*command, code=3)
    assert "Stopped: no space left" in done.output
    assert "Done: 8 steps" in blockseg(*command).output
