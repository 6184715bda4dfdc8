import pickle
from pathlib import Path

import pytest
import torch

from blockseg.core.errors import WeightsError
from blockseg.networks.published import import_published, published_names
from blockseg.networks.sdasn import SDASN
from blockseg.networks.weights import load_weights


def checkpoint(path: Path, state: dict[str, torch.Tensor]) -> Path:
    content = {"epoch": 1, "state_dict": state, "optimizer": {}}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def published_state(network: SDASN) -> dict[str, torch.Tensor]:
    own = network.state_dict()
    return {f"module.{k}": own[v] for k, v in published_names().items()}


def test_every_tensor_of_the_network_has_a_published_name():
    names = published_names().values()
    assert sorted(names) == sorted(SDASN().state_dict())


def test_a_checkpoint_becomes_the_same_network(tmp_path, network):
    path = checkpoint(tmp_path / "epoch_9.ckpt", published_state(network))
    info = import_published(path, tmp_path / "w")
    loaded, said = load_weights(tmp_path / "w")
    assert info == said
    assert (info.name, info.gain) == ("epoch_9", 0.03)
    x = torch.randn(1, 1, 8, 8, 8)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))


def test_the_published_checkpoints_import(shared_data, tmp_path):
    for path in sorted((shared_data / "sdasn").glob("*.ckpt")):
        import_published(path, tmp_path / "w")
        network, _ = load_weights(tmp_path / "w")
        assert sum(p.numel() for p in network.parameters()) == 89_075


class TouchesAFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("inside", [False, True])
def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path, network, inside):
    trap = TouchesAFile(tmp_path / "it ran")
    path = tmp_path / "evil.ckpt"
    if inside:
        state = published_state(network)
        torch.save({"epoch": 1, "state_dict": state, "optimizer": trap}, path)
    else:
        path.write_bytes(pickle.dumps(trap))
    with pytest.raises(WeightsError, match=r"evil.ckpt is refused.*could run code"):
        import_published(path, tmp_path / "w")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.ckpt"]
    pickle.loads(pickle.dumps(trap))  # the trap is a trap: unpickled, it does run
    assert (tmp_path / "it ran").exists()


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no checkpoint .*nowhere"):
        import_published(tmp_path / "nowhere", tmp_path / "w")


def test_a_truncated_checkpoint_is_one_line(tmp_path, network):
    path = checkpoint(tmp_path / "cut.ckpt", published_state(network))
    content = path.read_bytes()
    for keep in (0, 10, 2_000, len(content) - 50):
        path.write_bytes(content[:keep])
        with pytest.raises(WeightsError, match=r"cut\.ckpt") as caught:
            import_published(path, tmp_path / "w")
        assert "\n" not in str(caught.value)


def test_a_checkpoint_without_a_state_dict_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list")
    with pytest.raises(WeightsError, match="holds no state_dict"):
        import_published(tmp_path / "list", tmp_path / "w")


def test_a_checkpoint_of_another_network_is_refused(tmp_path, network):
    state = published_state(network)
    path = checkpoint(tmp_path / "c", state | {"module.x03.bias": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"also holds x03\.bias"):
        import_published(path, tmp_path / "w")
    del state["module.clc3.conv.bias"]
    path = checkpoint(tmp_path / "c", state)
    with pytest.raises(WeightsError, match=r"lacks clc3\.conv\.bias"):
        import_published(path, tmp_path / "w")
    state["module.clc3.conv.bias"] = torch.zeros(3)
    path = checkpoint(tmp_path / "c", state)
    with pytest.raises(WeightsError, match=r"head02\.bias has shape \(3,\)"):
        import_published(path, tmp_path / "w")
    assert not (tmp_path / "w").exists()
