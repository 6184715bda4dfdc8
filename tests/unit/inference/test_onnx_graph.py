from importlib.util import find_spec

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from blockseg.core.errors import BackendError, ConfigError
from blockseg.inference.backends.onnx.graph import export_graph
from blockseg.inference.backends.onnx.writer import OPSET
from blockseg.inference.backends.protocol import window_shape
from blockseg.networks.receptive_field import FIELDS

AFFINE = np.array([168.5, 300, -3, 6], np.float32)

NETWORKS = {
    "sdasn": (2, (4, 4, 4)),
    "sdasn wider": (4, (8, 12, 16)),
    "voxresnet": (2, (8, 8, 8)),
    "unet3d": (2, (8, 16, 8)),
}


def made(make_network, name):
    architecture, (width, core) = name.split()[0], NETWORKS[name]
    network = make_network(width, architecture=architecture)
    return network, core, FIELDS[architecture].reach


def bounds_of(window, reach):
    """A volume that starts inside the window on z, ends in it on y; part unknown."""
    z, y, x = window
    known = [reach + 1, 0, 0, z, y - reach - 1, x]
    inside = [reach, 0, 0, z, y - reach, x]
    return np.array([[*known, *inside]], np.int32)


def mask(first, last, window):
    ones = np.zeros(window, np.float32)
    ones[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = 1
    return ones


def wanted(network, raw, bounds):
    """What the network itself says of these voxels."""
    image = np.clip((raw - AFFINE[0]) / AFFINE[1], AFFINE[2], AFFINE[3])
    inside = None
    if bounds is not None:
        window = raw.shape[1:]
        image = image * mask(bounds[0, :3], bounds[0, 3:6], window)
        vectors = [np.zeros((1, n), np.float32) for n in window]
        for vector, a, b in zip(vectors, bounds[0, 6:9], bounds[0, 9:], strict=True):
            vector[0, a:b] = 1
        z, y, x = (torch.from_numpy(vector) for vector in vectors)
        inside = (z, y, x)
    with torch.inference_mode():
        tile = torch.from_numpy(image.astype(np.float32))[:, None]
        return network.core_logits(tile, inside).sigmoid()[:, 0].numpy()


def feed(raw, bounds):
    inputs = {"voxels": raw.view(np.uint8).reshape(*raw.shape, 2), "affine": AFFINE}
    return inputs if bounds is None else {**inputs, "bounds": bounds}


def by_onnxruntime(model, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    return session.run(["probability"], inputs)[0]


def by_openvino(model, inputs):
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed")
    from blockseg.inference.backends.openvino.backend import openvino_core

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino_core().compile_model(
        openvino_core().read_model(model), "CPU", settings
    )
    return compiled(inputs)[0]


def voxels(window, batch=1):
    return np.random.default_rng(0).integers(0, 900, (batch, *window)).astype("<u2")


@pytest.mark.parametrize(
    ("name", "edge", "run"),
    [
        ("sdasn", True, by_onnxruntime),
        ("sdasn wider", False, by_onnxruntime),
        ("sdasn wider", True, by_onnxruntime),
        ("sdasn wider", False, by_openvino),
        ("sdasn wider", True, by_openvino),
        ("voxresnet", True, by_onnxruntime),
        ("voxresnet", False, by_openvino),
        ("unet3d", True, by_onnxruntime),
    ],
)
def test_an_exported_graph_gives_the_bytes_that_the_network_gives(
    make_network, name, edge, run
):
    network, core, reach = made(make_network, name)
    raw = voxels(window_shape(core, reach))
    bounds = bounds_of(raw.shape[1:], reach) if edge else None
    model = export_graph(network, core, "float32", edge=edge)
    found = run(model, feed(raw, bounds))
    p = wanted(network, raw, bounds)
    assert p.std() > 0.1  # not saturated: differences would show
    assert (found.shape, found.dtype) == ((1, *core), np.uint8)
    # Equal but for rounding ties: float32 leaves 1e-5 of the probability open.
    assert abs(found - p * 255).max() < 0.5 + 255e-5


@pytest.mark.parametrize(
    ("name", "edge"),
    [("sdasn", False), ("sdasn", True), ("voxresnet", False), ("unet3d", False)],
)
def test_in_half_precision_weights_are_rounded_and_heads_are_not(
    make_network, name, edge
):
    network, core, reach = made(make_network, name)
    raw = voxels(window_shape(core, reach))
    bounds = bounds_of(raw.shape[1:], reach) if edge else None
    serialised = export_graph(network, core, "float16", edge=edge)
    found = by_onnxruntime(serialised, feed(raw, bounds))
    difference = abs(found - wanted(network, raw, bounds) * 255)
    assert difference.mean() < 0.5 + 2
    assert difference.max() < 0.1 * 255  # of a network without training
    graph = onnx.load_from_string(serialised).graph
    types = {c.name: c.data_type for c in graph.initializer}
    convolutions = [n for n in graph.node if n.op_type in ("Conv", "ConvTranspose")]
    exact = [n for n in convolutions if types[n.input[1]] == onnx.TensorProto.FLOAT]
    assert len(exact) == {"sdasn": 3, "voxresnet": 9, "unet3d": 1}[name]
    assert {types[n.input[1]] for n in convolutions if n not in exact} == {
        onnx.TensorProto.FLOAT16
    }


def test_several_windows_fit_into_one_call(make_network):
    network, core = make_network(2), (4, 8, 4)
    raw = voxels(window_shape(core), batch=3)
    model = export_graph(network, core, "float32", edge=False)
    found = by_onnxruntime(model, feed(raw, None))
    for one, alone in zip(found, raw, strict=True):
        assert np.array_equal(by_onnxruntime(model, feed(alone[None], None))[0], one)


def test_every_grey_level_of_16_bits_goes_in_and_is_clipped(make_network):
    network, core = make_network(2), (4, 4, 4)
    raw = np.resize(np.arange(65536, dtype="<u2"), (1, *window_shape(core)))
    found = by_onnxruntime(
        export_graph(network, core, "float32", edge=False), feed(raw, None)
    )
    assert abs(found - wanted(network, raw, None) * 255).max() < 0.5 + 255e-5


def test_halves_are_rounded_to_even_as_elsewhere(make_network):
    network, core = make_network(2), (4, 4, 4)
    for parameter in network.parameters():
        parameter.data.zero_()  # p = 0.5 everywhere, 127.5 of 255
    raw = voxels(window_shape(core))
    found = by_onnxruntime(
        export_graph(network, core, "float32", edge=False), feed(raw, None)
    )
    assert (found == 128).all()


def test_equal_networks_give_equal_bytes_and_the_network_stays_as_it_is(make_network):
    network = make_network(2)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    first = export_graph(network, (4, 4, 4), "float16", edge=True)
    assert first == export_graph(make_network(2), (4, 4, 4), "float16", edge=True)
    assert first != export_graph(make_network(2, 1), (4, 4, 4), "float16", edge=True)
    after = network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert {v.dtype for v in after.values()} == {v.dtype for v in before.values()}


def test_the_graph_says_its_operators_and_copies_nothing_that_is_cut_off(make_network):
    model = onnx.load_from_string(
        export_graph(make_network(2), (4, 4, 4), "float16", edge=False)
    )
    assert [(s.domain, s.version) for s in model.opset_import] == [("", OPSET)]
    assert [p.key for p in model.metadata_props] == ["graph_version"]
    sliced = [n.input[0] for n in model.graph.node if n.op_type == "Slice"]
    made_by = {name: n.op_type for n in model.graph.node for name in n.output}
    # A crop of a crop, or of what was cast for it, would be a copy of voxels in vain.
    assert not {"Slice", "Cast", "ConvTranspose"} & {made_by.get(n) for n in sliced}
    lifts = [n for n in model.graph.node if n.op_type == "ConvTranspose"]
    pads = {tuple(a.ints) for n in lifts for a in n.attribute if a.name == "pads"}
    assert pads == {(1, 1, 1, 2, 2, 2)}


@pytest.mark.parametrize(
    ("core", "precision", "message"),
    [
        ((4, 4, 6), "float32", "no multiple of 4"),
        ((4, 4, 4), "float64", "computes in float16 or float32, not in float64"),
    ],
)
def test_what_cannot_be_exported_is_refused(make_network, core, precision, message):
    with pytest.raises(ConfigError, match=message):
        export_graph(make_network(2), core, precision, edge=False)


def test_weights_too_large_for_half_precision_are_refused(make_network):
    network = make_network(2)
    with torch.no_grad():
        network.x00[1].conv.weight[0] = 1e6
    with pytest.raises(BackendError, match="do not fit into float16"):
        export_graph(network, (4, 4, 4), "float16", edge=False)


def test_a_network_with_a_layer_that_no_node_is_known_for_is_refused(make_network):
    network = make_network(2)
    network.x00.append(torch.nn.Sigmoid())
    network.x00[2].forward = lambda x, *_: torch.special.erf(x)
    with pytest.raises(BackendError, match=r"cannot be exported .* special_erf"):
        export_graph(network, (4, 4, 4), "float32", edge=False)
