from dataclasses import replace

import pytest
import torch

from blockseg.core.errors import BackendError, ConfigError, MissingExtraError
from blockseg.engine_commands import (
    build_engines,
    clean_engines,
    list_engines,
    parse_targets,
    verify_engines,
)
from blockseg.inference.backends.tensorrt.cache import EngineCache
from blockseg.inference.backends.tensorrt.file import read_engine, write_engine
from blockseg.inference.backends.tensorrt.library import Card
from blockseg.networks.registry import build
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo
from blockseg.testing.tensorrt import FakeLibrary

CORE = (4, 8, 4)
CPU = torch.device("cpu")


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setenv("BLOCKSEG_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "small.safetensors"
    save_weights(path, build("sdasn", 2).eval(), WeightsInfo("small", 1.0, width=2))
    return path


class Machine:
    """A machine with these libraries, and a card or none."""

    def __init__(self, *libraries):
        self.libraries = {library.name: library for library in libraries}

    def __call__(self, name=None):
        name = name or next(iter(self.libraries), "tensorrt")
        if name not in self.libraries:
            raise MissingExtraError(name, name)
        return self.libraries[name]


def states(rows):
    return [row.state for row in rows]


def test_both_engines_of_a_run_are_built_once(weights):
    library = FakeLibrary()
    rows = build_engines(weights, CORE, find=Machine(library))
    assert states(rows) == ["valid", "valid"]
    assert [row.what.edge for row in rows if row.what] == [True, False]
    assert build_engines(weights, CORE, find=Machine(library)) is not None
    assert library.builds == ["sm90", "sm90"]


def test_engines_for_other_cards_are_sound_and_not_for_here(weights):
    machine = Machine(FakeLibrary("tensorrt_rtx", here=None))
    rows = build_engines(weights, CORE, targets=("sm86", "sm89"), find=machine)
    assert states(rows) == ["elsewhere"] * 4
    assert {row.why for row in rows} == {
        "for sm86; there is no card here",
        "for sm89; there is no card here",
    }
    with pytest.raises(BackendError, match=r"no NVIDIA GPU here.*--arch"):
        build_engines(weights, CORE, find=machine)


def test_a_row_says_what_an_engine_is_of_and_for(weights):
    rows = build_engines(weights, CORE, find=Machine(FakeLibrary()))
    words = "sdasn 2  4×8×4  edge  float16  Fake Card  tensorrt 10.0.fake"
    assert rows[0].line().startswith(words)
    assert rows[0].line().endswith("seconds old  valid")


@pytest.mark.parametrize(
    ("machine", "state", "why"),
    [
        (Machine(FakeLibrary(version="11.1")), "stale", "by tensorrt 10.0.fake; 11.1"),
        (Machine(FakeLibrary(here=Card("sm80", "Old"))), "elsewhere", "here is sm80"),
        (Machine(FakeLibrary(here=Card("sm90", "New"))), "elsewhere", "here is New"),
        (Machine(FakeLibrary(here=None)), "elsewhere", "there is no card here"),
        (Machine(), "elsewhere", "not installed"),
    ],
)
def test_a_list_says_why_an_engine_is_of_no_use_here(weights, machine, state, why):
    build_engines(weights, CORE, find=Machine(FakeLibrary()))
    rows = list_engines(machine)
    assert states(rows) == [state, state]
    assert all(why in row.why for row in rows)
    assert why in rows[0].line()


def test_engines_of_another_graph_renamed_ones_and_damaged_ones_are_told(weights):
    machine = Machine(FakeLibrary())
    build_engines(weights, CORE, find=machine)
    first, second = (entry.path for entry in EngineCache().entries())
    header, engine = read_engine(first)
    key = replace(header.key, graph=0)
    write_engine(first.with_name(key.filename), replace(header, key=key), engine)
    first.rename(first.with_name("other.engine"))
    second.write_bytes(second.read_bytes()[:-1])
    found = {row.state: row for row in list_engines(machine)}
    assert sorted(states(list_engines(machine))) == ["damaged", "stale", "stale"]
    assert "damaged  " not in found["stale"].line()
    assert str(second) in found["damaged"].line()
    removed = clean_engines(find=machine)
    assert sorted(states(removed)) == ["damaged", "stale", "stale"]
    assert list_engines(machine) == []


def test_cleaning_keeps_what_is_sound_unless_all_is_to_go(weights):
    build_engines(weights, CORE, find=Machine(FakeLibrary()))
    elsewhere = Machine(FakeLibrary(here=None))
    assert clean_engines(find=elsewhere) == []
    assert len(clean_engines(everything=True, find=elsewhere)) == 2
    assert list_engines(elsewhere) == []


def test_verifying_compares_with_torch_where_the_weights_are_the_same(
    weights, tmp_path
):
    import onnxruntime

    def compute(graph, inputs):
        session = onnxruntime.InferenceSession(
            graph, providers=["CPUExecutionProvider"]
        )
        return session.run(["probability"], dict(inputs))[0]

    good = Machine(FakeLibrary(compute=compute))
    build_engines(weights, CORE, find=good)
    rows = verify_engines(weights, good, CPU)
    assert [(row.state, row.why) for row in rows] == [("valid", "")] * 2
    other = tmp_path / "other.safetensors"
    save_weights(other, build("sdasn", 2).eval(), WeightsInfo("other", 1.0, width=2))
    rows = verify_engines(other, good, CPU)
    assert states(rows) == ["valid", "valid"]
    assert all("of other weights than" in row.why for row in rows)
    wrong = Machine(FakeLibrary(compute=lambda *_: 0))
    rows = verify_engines(weights, wrong, CPU)
    assert states(rows) == ["wrong", "wrong"]
    assert all("differ from torch float32" in row.why for row in rows)
    refused = Machine(FakeLibrary(memory=1))
    rows = verify_engines(weights, refused, CPU)
    assert states(rows) == ["valid", "valid"]
    assert all("not compared: " in row.why for row in rows)


@pytest.mark.parametrize(
    ("text", "targets"),
    [("sm89", ("sm89",)), ("8.6, sm120", ("sm86", "sm120")), ("90", ("sm90",))],
)
def test_architectures_are_read_as_people_write_them(text, targets):
    assert parse_targets(text) == targets


@pytest.mark.parametrize("text", ["", "ampere", "sm8", "sm86;sm89"])
def test_what_is_no_architecture_is_refused(text):
    with pytest.raises(ConfigError, match="give such as sm89"):
        parse_targets(text)
