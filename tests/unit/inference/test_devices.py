import sys

import pytest
import torch

from blockseg.inference import devices
from blockseg.inference.devices import cuda_devices, memory_in_use
from blockseg.inference.window_memory import device_bytes, largest_edge
from blockseg.networks.weights_info import WeightsInfo


@pytest.mark.parametrize(
    ("visible", "count", "found"),
    [
        ("", 2, ("0", "1")),
        ("3, 1", 2, ("3", "1")),
        ("GPU-8a,GPU-1c,GPU-bad", 2, ("GPU-8a", "GPU-1c")),
        # CUDA counts one slice only, however many a process may see.
        ("MIG-a/1/0,MIG-b/2/0", 1, ("MIG-a/1/0", "MIG-b/2/0")),
        ("MIG-a/1/0", 0, ()),
        ("0,1", 0, ()),
    ],
)
def test_devices_are_named_as_the_environment_names_them(
    monkeypatch, visible, count, found
):
    monkeypatch.setattr(devices, "_has_driver", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert cuda_devices() == found


def test_torch_is_not_asked_where_no_driver_has_a_device(monkeypatch):
    monkeypatch.setattr(devices, "_has_driver", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1 / 0)
    assert cuda_devices() == ()


@pytest.mark.parametrize("name", ["nvidiactl", "nvidia0", "dxg", "nvmap"])
def test_a_driver_is_known_by_what_it_makes_below_dev(monkeypatch, tmp_path, name):
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "nvme0").touch()  # a disk
    assert not devices._has_driver(str(tmp_path))
    (tmp_path / name).touch()
    assert devices._has_driver(str(tmp_path))


def test_where_drivers_make_no_such_files_torch_is_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "win32")
    assert devices._has_driver(str(tmp_path))


def test_no_context_is_made_to_tell_the_memory_in_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: 1 / 0)
    assert memory_in_use() == 0
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3, 10))
    assert memory_in_use() == 7


def test_windows_grow_with_the_memory_until_they_are_large_enough():
    edges = [largest_edge(gib * 2**30, "torch", "float16") for gib in (1, 4, 8, 80)]
    assert edges == sorted(edges)
    assert (edges[0], edges[-1]) == (32, 320)


def test_what_is_chosen_fits():
    free = 6 * 2**30
    for backend in ("torch", "cuda", "tensorrt"):
        for precision in ("float16", "float32"):
            edge = largest_edge(free, backend, precision)
            core = (edge, edge, edge)
            assert device_bytes(core, backend, precision) <= free


def test_wide_networks_and_exact_numbers_take_more():
    core = (128, 128, 128)
    usual = device_bytes(core, "torch", "float16")
    assert device_bytes(core, "torch", "float32") > usual
    wide = WeightsInfo("wide", 1.0, width=16)
    assert device_bytes(core, "torch", "float16", wide) > usual
    assert device_bytes(core, "cuda", "float16") < usual
