"""``blockseg engine``, above all where engines are built for cards that are elsewhere."""

import json

import pytest
import torch

from blockseg.inference.backends.tensorrt.compatibility import installed_libraries
from blockseg.networks.registry import build
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo

without_a_card = pytest.mark.skipif(
    installed_libraries() != ("tensorrt_rtx",) or torch.cuda.is_available(),
    reason="needs TensorRT-RTX, and no card",
)


@pytest.fixture
def engine(blockseg, monkeypatch):
    monkeypatch.setenv("BLOCKSEG_CACHE", str(blockseg.folder / "cache"))
    weights = blockseg.folder / "small.safetensors"
    save_weights(weights, build("sdasn", 2).eval(), WeightsInfo("small", 1.0, width=2))

    def command(*arguments, code=0):
        return blockseg("engine", *arguments, code=code).output

    return command


@without_a_card
def test_engines_are_built_for_a_card_that_is_not_here_listed_checked_and_removed(
    engine,
):
    assert engine("list") == "no engines\n"
    order = ("--weights", "small.safetensors", "--window", "8", "--arch", "sm89")
    built = engine("build", *order)
    assert built.count("\n") == 2
    for line, kind in zip(built.splitlines(), ("edge", "interior"), strict=True):
        assert line.startswith(f"sdasn 2  8×8×8  {kind}  float16  sm89  tensorrt_rtx ")
        assert line.endswith("  elsewhere: for sm89; there is no card here")
    rows = json.loads(engine("list", "--json"))
    assert [row["what"]["target"] for row in rows] == ["sm89", "sm89"]
    before = [row["path"] for row in rows]
    assert len(engine("build", *order).splitlines()) == 2
    assert len(engine("verify", "--weights", "small.safetensors").splitlines()) == 2
    with open(before[0], "r+b") as file:  # noqa: PTH123
        file.truncate(1000)
    verified = engine("verify", "--weights", "small.safetensors", code=1)
    assert "Error: 1 of 2 engines are damaged or wrong" in verified
    assert engine("clean", "--stale").startswith("removed 1 engine, 0.0 MB")
    assert engine("clean", "--all").startswith("removed 1 engine")
    assert engine("list") == "no engines\n"


@pytest.mark.gpu
@pytest.mark.skipif(
    not (torch.cuda.is_available() and installed_libraries()),
    reason="needs a CUDA device and TensorRT",
)
@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_on_a_card_engines_are_built_and_agree_with_torch(engine, precision):
    weights = ("--weights", "small.safetensors")
    engine("build", *weights, "--window", "64", "--precision", precision)
    verified = engine("verify", *weights).splitlines()
    assert len(verified) == 2
    assert all(line.endswith("  valid") for line in verified)


@without_a_card
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build"], "there is no NVIDIA GPU here to build engines for by tensorrt_rtx"),
        (["build", "--library", "tensorrt"], "pip install 'blockseg[tensorrt]'"),
        (["build", "--library", "trt"], "no library 'trt'"),
        (["build", "--arch", "sm90"], "and not for sm90"),
        (["build", "--arch", "hopper"], "--arch 'hopper' is none"),
        (["build", "--arch", "sm89", "--window", "7"], "no multiple of 4"),
        (["build", "--arch", "sm89", "--precision", "int8"], "not in int8"),
        (["build", "--weights", "none"], "there is no weights file"),
        (["verify", "--weights", "none"], "there is no weights file"),
        (["clean"], "say which: --stale or --all"),
        (["clean", "--all", "--stale"], "say which"),
    ],
)
def test_what_cannot_be_done_here_is_one_line(engine, arguments, message):
    output = engine(*arguments, code=1)
    assert output.startswith("Error: ")
    assert message in output
    assert output.count("\n") == 1
