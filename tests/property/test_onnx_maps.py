"""Crops of crops in a graph, against NumPy's."""

import numpy as np
import onnxruntime
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.inference.backends.onnx.maps import Cutter, Map
from blockseg.inference.backends.onnx.writer import GraphWriter

SHAPE = (1, 3, 7, 9, 11)

cuts = st.lists(
    st.tuples(
        *(
            st.builds(
                slice,
                st.integers(0, 2),
                st.none() | st.integers(-2, -1),
                st.none() | st.just(2) if axis > 1 else st.none(),
            )
            if axis
            else st.just(slice(None))
            for axis in range(len(SHAPE))
        )
    ),
    max_size=3,
)


@given(cuts)
@settings(max_examples=40)
def test_crops_of_crops_are_one_slice_and_what_numpy_cuts_out(parts):
    writer = GraphWriter()
    array = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    x = Map(writer.input("x", np.float32, SHAPE), SHAPE, half=False)
    for part in parts:
        if 0 in array[part].shape:
            break
        x, array = x.cut(part), array[part]
    assert x.shape == array.shape
    name = Cutter(writer)(x)
    writer.output("y", name, np.float32, array.shape)
    model = writer.model("crop", {})
    assert model.count(b"Slice") <= 1
    assert (b"Slice" in model) == (array.shape != SHAPE)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    whole = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    assert np.array_equal(session.run(None, {"x": whole})[0], array)


@given(st.booleans(), st.integers(1, 3))
@settings(max_examples=10)
def test_what_is_asked_for_twice_is_written_once(half, times):
    writer = GraphWriter()
    x = Map(writer.input("x", np.float32, SHAPE), SHAPE, half=False)
    part = x.cut([slice(None), slice(None), *(slice(1, -1),) * 3])
    cutter = Cutter(writer)
    names = {cutter(part, half) for _ in range(times)}
    assert len(names) == 1
    assert cutter(x) == "x"
