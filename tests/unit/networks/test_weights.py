import pytest
import torch
from safetensors.torch import load_file, save_file

from blockseg.core.errors import WeightsError
from blockseg.networks.sdasn import SDASN
from blockseg.networks.weights import load_weights, save_weights
from blockseg.networks.weights_info import WeightsInfo, load_info, sha256


def header() -> dict[str, str]:
    return {
        "architecture": "sdasn",
        "format_version": "1",
        "gain": "0.03",
        "width": "8",
    }


def test_weights_come_back_as_they_were_saved(tmp_path, network):
    info = WeightsInfo("mine", 0.05, "synthetic", "MIT")
    save_weights(tmp_path / "w.safetensors", network, info)
    loaded, said = load_weights(tmp_path / "w.safetensors")
    assert said == info == load_info(tmp_path / "w.safetensors")
    assert not loaded.training
    saved = network.state_dict()
    assert all(torch.equal(saved[k], v) for k, v in loaded.state_dict().items())


def test_equal_weights_are_equal_files(tmp_path, network):
    info = WeightsInfo("mine", 0.05)
    digests = set()
    for number in range(5):
        save_weights(tmp_path / f"{number}", network, info)
        digests.add(sha256(tmp_path / f"{number}"))
    assert len(digests) == 1


def test_another_width_comes_back_too(tmp_path, make_network):
    save_weights(tmp_path / "w", make_network(width=4), WeightsInfo("w", 1.0, width=4))
    assert load_weights(tmp_path / "w")[0].width == 4


def test_saving_under_a_wrong_description_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="width 8 are described as 4"):
        save_weights(tmp_path / "w", SDASN(), WeightsInfo("w", 1.0, width=4))
    assert not list(tmp_path.iterdir())


def test_saving_where_there_is_no_folder_is_one_line(tmp_path):
    with pytest.raises(WeightsError, match="cannot be written to"):
        save_weights(tmp_path / "no" / "w", SDASN(), WeightsInfo("w", 1.0))


@pytest.mark.parametrize("gain", [0.0, -1.0, float("nan"), float("inf")])
def test_a_gain_that_is_no_scale_is_refused(gain):
    with pytest.raises(WeightsError, match="must be above 0"):
        WeightsInfo("w", gain)


def test_a_missing_file_is_named(tmp_path):
    for read in (load_weights, load_info, sha256):
        with pytest.raises(WeightsError, match="nowhere"):
            read(tmp_path / "nowhere")


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "text"
    path.write_text("not weights, but long enough to have a header")
    for read in (load_weights, load_info):
        with pytest.raises(WeightsError, match="text is damaged or no safetensors"):
            read(path)


def test_a_truncated_file_is_named(weights_file):
    weights_file.write_bytes(weights_file.read_bytes()[:-1000])
    for read in (load_weights, load_info):
        with pytest.raises(WeightsError, match="damaged"):
            read(weights_file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "unet"}, "it states 'unet'"),
        ({"format_version": "9"}, "format 9; this blockseg reads 1"),
        ({"gain": "much"}, "damaged header"),
        ({"width": "1"}, "width 1, which no sdasn has"),
    ],
)
def test_a_header_of_another_network_is_refused(weights_file, change, message):
    save_file(load_file(weights_file), weights_file, header() | change)
    for read in (load_weights, load_info):
        with pytest.raises(WeightsError, match=message):
            read(weights_file)


def test_a_file_without_our_header_is_refused(weights_file):
    save_file(load_file(weights_file), weights_file)
    with pytest.raises(WeightsError, match="no architecture in its header"):
        load_weights(weights_file)


def test_missing_and_extra_tensors_are_named(weights_file):
    tensors = load_file(weights_file)
    less = {k: v for k, v in tensors.items() if k != "head02.bias"}
    save_file(less, weights_file, header())
    with pytest.raises(WeightsError, match=r"lacks head02\.bias"):
        load_weights(weights_file)
    save_file(tensors | {"head03.bias": torch.zeros(1)}, weights_file, header())
    with pytest.raises(WeightsError, match=r"also holds head03\.bias"):
        load_weights(weights_file)


def test_tensors_of_another_shape_are_named(weights_file):
    tensors = load_file(weights_file) | {"head02.bias": torch.zeros(2)}
    save_file(tensors, weights_file, header())
    with pytest.raises(
        WeightsError, match=r"head02\.bias has shape \(2,\), not \(1,\)"
    ):
        load_weights(weights_file)


def test_weights_that_are_not_finite_are_refused(weights_file):
    tensors = load_file(weights_file) | {"head02.bias": torch.tensor([torch.nan])}
    save_file(tensors, weights_file, header())
    with pytest.raises(WeightsError, match="NaN or infinity in head02"):
        load_weights(weights_file)
