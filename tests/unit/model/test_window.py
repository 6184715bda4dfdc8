from blockseg.model import WeightsInfo, window_memory


def test_memory_grows_with_the_window_and_the_precision():
    small, large = (window_memory((n, n, n), "torch") for n in (64, 128))
    assert small < large < window_memory((128, 128, 128), "torch", itemsize=8)
    assert window_memory((64, 64, 64), "fake") < small


def test_memory_is_that_of_the_network():
    core = (64, 64, 64)
    for backend in ("torch", "openvino"):
        plain = window_memory(core, backend)
        assert window_memory(core, backend, info=WeightsInfo("w", 1.0)) == plain
        needs = [
            window_memory(core, backend, info=WeightsInfo("w", 1.0, **more))
            for more in (
                {"width": 16},
                {"width": 8, "architecture": "unet3d"},
                {"width": 32, "architecture": "unet3d"},
            )
        ]
        assert plain < needs[0]
        assert needs[1] < needs[2]
