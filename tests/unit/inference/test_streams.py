from typing import Any

import numpy as np
import pytest
import torch

from blockseg.core.errors import BackendError, DeviceMemoryError
from blockseg.inference.backends.device.protocol import RawWindow
from blockseg.inference.backends.device.streams import Streams, bounds, device_errors

WINDOW = (6, 7, 8)
CORE = (2, 3, 4)
CPU = torch.device("cpu")


class CountsVoxels:
    """Writes the last of the known voxels, and whether it was an edge."""

    def __init__(self):
        self.seen = []

    def run(self, raw, limits, out, edge):
        z, y, x = (int(n) - 1 for n in limits[3:6])
        self.seen.append(edge)
        out.fill_(int(raw[z, y, x]) & 0xFF)


def window(value, start=(0, 0, 0), shape=WINDOW, dtype=np.uint16, inside=None):
    return RawWindow(np.full(shape, value, dtype), start, inside)


def test_bounds_are_the_known_voxels_and_the_whole_window_inside():
    found = bounds(window(1, (1, 0, 2), (5, 7, 3)), WINDOW)
    assert found.tolist() == [1, 0, 2, 6, 7, 5, 0, 0, 0, 6, 7, 8]


def test_bounds_of_a_window_at_the_edge_are_where_its_masks_are_1():
    masks = [np.zeros(n, np.float32) for n in WINDOW]
    masks[0][2:], masks[1][:5], masks[2][1:4] = 1, 1, 1
    found = bounds(window(1, inside=tuple(masks)), WINDOW)
    assert found[6:].tolist() == [2, 0, 1, 6, 5, 4]


def test_results_come_in_the_order_of_their_windows():
    network = CountsVoxels()
    streams = Streams(network, WINDOW, CORE, CPU)
    masks = tuple(np.ones(n, np.float32) for n in WINDOW)
    windows = [window(1), window(2, inside=masks), window(3)]
    found = [int(core[0, 0, 0]) for core in streams.stream(iter(windows))]
    assert found == [1, 2, 3]
    assert network.seen == [False, True, False]


def test_bytes_go_in_as_words_and_part_of_a_window_to_its_place():
    streams = Streams(CountsVoxels(), WINDOW, CORE, CPU)
    part = window(200, (1, 2, 3), (2, 2, 2), np.uint8)
    view = window(900, shape=(12, 14, 16)).voxels[::2, ::2, ::2]
    view.flags.writeable = False
    windows = [part, RawWindow(view, (0, 0, 0), None)]
    found = [core.copy() for core in streams.stream(windows)]
    assert [core.shape for core in found] == [CORE, CORE]
    assert [int(core.max()) for core in found] == [200, 900 & 0xFF]


def test_a_stream_that_is_left_early_waits_for_what_is_under_way():
    class Copied:
        def __init__(self):
            self.waited = 0

        def synchronize(self):
            self.waited += 1

    streams = Streams(CountsVoxels(), WINDOW, CORE, CPU)
    streams._slots = [streams._slot(WINDOW, CORE) for _ in range(3)]
    copies: Any = [Copied() for _ in streams._slots]
    for slot, copied in zip(streams._slots, copies, strict=True):
        slot.done = copied
    stream: Any = streams.stream(window(n) for n in range(9))
    next(stream)
    stream.close()
    assert [copied.waited for copied in copies] == [1, 1, 1]


def test_a_device_without_memory_is_told_from_one_that_fails():
    with (
        pytest.raises(DeviceMemoryError, match=r"window of \(6, 7, 8\) voxels"),
        device_errors(WINDOW, CPU),
    ):
        raise torch.OutOfMemoryError
    with (
        pytest.raises(DeviceMemoryError, match="smaller --window"),
        device_errors(WINDOW, CPU),
    ):
        raise RuntimeError("CUDA error: out of memory\nmore")
    with (
        pytest.raises(BackendError, match=r"device cpu failed: CUDA error: illegal$"),
        device_errors(WINDOW, CPU),
    ):
        raise RuntimeError("CUDA error: illegal\nCompile with")
