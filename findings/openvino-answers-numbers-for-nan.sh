#!/usr/bin/env bash
# OpenVINO 2026.4.1 on a CPU: a network with NaN in its input or weights answers ordinary numbers
#
# Whoever checks what a network answers for NaN, to find voxels without data or weights of a failed
# training, expects to see them: a convolution carries NaN on, and so do torch and ONNX Runtime.
# OpenVINO's ReLU makes 0 of it. Behind the first ReLU nothing is left to see, and the sigmoid
# at the end gives probabilities like any others. The check must be made on input and weights.
# Seen, of 4096 voxels behind convolution, ReLU, convolution and sigmoid: with one voxel of NaN,
# ONNX Runtime answers NaN for 125 and OpenVINO for none; with one weight of NaN, for all and none.
#
# Needs python3 (3.11 or newer) and a package index. Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

SHAPE = [1, 1, 16, 16, 16]
rng = np.random.default_rng(0)
voxels = rng.normal(size=SHAPE).astype(np.float32)
first = rng.normal(size=(8, 1, 3, 3, 3)).astype(np.float32)
second = rng.normal(size=(1, 8, 3, 3, 3)).astype(np.float32) / 16


def answers(voxels, first):
    padded = {"kernel_shape": [3, 3, 3], "pads": [1] * 6}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "first"], ["a"], **padded),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Conv", ["b", "second"], ["c"], **padded),
            helper.make_node("Sigmoid", ["c"], ["y"]),
        ],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, SHAPE)],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    read = openvino.Core().read_model(model)
    compiled = openvino.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return session.run(None, {"x": voxels})[0], compiled(voxels)[0]


hole, broken = voxels.copy(), first.copy()
hole[..., 8, 8, 8] = np.nan
broken[0, 0, 0, 0, 0] = np.nan
ours, theirs = answers(voxels, first)
agree = np.abs(ours - theirs).max() < 1e-4
seen = {}
for what, given in (("a voxel", (hole, first)), ("a weight", (voxels, broken))):
    seen[what] = [int(np.isnan(answer).sum()) for answer in answers(*given)]
    print(f"{what} of NaN: ONNX Runtime answers NaN for {seen[what][0]} of {voxels.size} voxels, "
          f"OpenVINO for {seen[what][1]}")
expected = {"a voxel": [125, 0], "a weight": [4096, 0]}
raise SystemExit(0 if agree and seen == expected else "the behaviour has changed")
PYTHON
