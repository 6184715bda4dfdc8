import pytest

from blockseg.core.errors import WeightsError
from blockseg.networks.shipped import (
    DEFAULT,
    SHIPPED,
    ShippedWeights,
    weights_named,
    weights_path,
)
from blockseg.networks.weights_info import load_info, sha256
from blockseg.weight_commands import list_weights


@pytest.mark.parametrize("weights", SHIPPED, ids=lambda weights: weights.name)
def test_weights_that_ship_are_those_that_the_list_says(weights):
    assert sha256(weights.path) == weights.sha256
    assert load_info(weights.path).architecture == "sdasn"
    assert weights_path(weights.name) == weights.path


def test_names_differ_and_the_default_is_the_first():
    assert len({weights.name for weights in SHIPPED}) == len(SHIPPED)
    assert (
        weights_path("shipped") == weights_path(None) == DEFAULT.path == SHIPPED[0].path
    )


def test_the_list_has_both_names_of_the_default():
    names = [name for name, _, _ in list_weights()]
    assert names == ["axons (default, also called shipped)", "dendrites"]


def test_a_file_wins_over_weights_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT.name).touch()
    assert weights_path(DEFAULT.name).resolve() == tmp_path / DEFAULT.name
    assert weights_path("elsewhere.safetensors").name == "elsewhere.safetensors"


def test_an_installation_without_them_says_so():
    with pytest.raises(WeightsError, match=r"no weights 'gone' \(gone.safetensors\)"):
        _ = ShippedWeights(
            "gone", "gone.safetensors", "0", "nothing", DEFAULT.trained
        ).path


def test_hints_name_weights_that_ship_and_the_file_of_others():
    assert [weights_named(one.sha256, one.path) for one in SHIPPED] == [
        one.name for one in SHIPPED
    ]
    assert weights_named("other", "/some/best.safetensors") == "/some/best.safetensors"
    assert weights_path(weights_named(None, None)) == DEFAULT.path
