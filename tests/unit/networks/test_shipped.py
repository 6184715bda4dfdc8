import pytest

from blockseg.core.errors import WeightsError
from blockseg.networks.shipped import DEFAULT, SHIPPED, ShippedWeights, weights_path
from blockseg.networks.weights_info import load_info, sha256


@pytest.mark.parametrize("weights", SHIPPED, ids=lambda weights: weights.name)
def test_weights_that_ship_are_those_that_the_list_says(weights):
    assert sha256(weights.path) == weights.sha256
    assert load_info(weights.path).architecture == "sdasn"
    assert weights_path(weights.name) == weights.path


def test_names_differ_and_the_default_is_the_first():
    assert len({weights.name for weights in SHIPPED}) == len(SHIPPED)
    assert weights_path(None) == DEFAULT.path == SHIPPED[0].path


def test_a_file_wins_over_weights_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT.name).touch()
    assert weights_path(DEFAULT.name).resolve() == tmp_path / DEFAULT.name
    assert weights_path("elsewhere.safetensors").name == "elsewhere.safetensors"


def test_an_installation_without_them_says_so():
    with pytest.raises(WeightsError, match=r"no weights 'gone' \(gone.safetensors\)"):
        _ = ShippedWeights("gone", "gone.safetensors", "0", "nothing").path
