"""Writer of ONNX graphs, node by node: the one file that knows the ``onnx`` package."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

OPSET = 18
"""Operators as of this set: what TensorRT 10 and everything later reads."""

IR_VERSION = 9
"""File format; an ``onnx`` package writes its newest, which older parsers refuse."""


class GraphWriter:
    """Collects nodes; names them in their order, so that equal graphs are equal bytes.

    Values are referred to by name.

    Raises
    ------
    MissingExtraError
        If ``onnx`` is not installed.
    """

    def __init__(self) -> None:
        self._onnx = _import_onnx()
        self._numbers = count()
        self._nodes: list[Any] = []
        self._constants: dict[tuple[Any, ...], str] = {}
        self._tensors: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> str:
        """Declare an input; lengths that are names are dynamic. Return its name."""
        self._inputs.append(self._value(name, dtype, shape))
        return name

    def output(
        self,
        name: str,
        value: str,
        dtype: npt.DTypeLike,
        shape: Sequence[int | str],
    ) -> None:
        """Give a value to the outside under ``name``, cast to ``dtype``.

        The cast is the last node: TensorRT has bytes nowhere else than at the ends.
        """
        made = self._onnx.helper.make_node(
            "Cast", [value], [name], name=name, to=self._type(dtype)
        )
        self._nodes.append(made)
        self._outputs.append(self._value(name, dtype, shape))

    def constant(self, array: npt.NDArray[Any]) -> str:
        """Return the name of a constant; equal ones are stored once."""
        array = np.ascontiguousarray(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = name
            self._tensors.append(self._onnx.numpy_helper.from_array(array, name))
        return self._constants[key]

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output; return that output's name."""
        name = f"{operator.lower()}_{next(self._numbers)}"
        made = self._onnx.helper.make_node(
            operator, inputs, [name], name=name, **attributes
        )
        self._nodes.append(made)
        return name

    def cast(self, value: str, dtype: npt.DTypeLike) -> str:
        """Return a value in another type."""
        return self.node("Cast", value, to=self._type(dtype))

    def model(self, name: str, facts: Mapping[str, str]) -> bytes:
        """Return the model, checked and serialised.

        Parameters
        ----------
        name
            Of the graph.
        facts
            What to store with it.
        """
        helper = self._onnx.helper
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, self._tensors
        )
        model = helper.make_model(
            graph,
            producer_name="blockseg",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, dict(facts))
        self._onnx.checker.check_model(model, full_check=True)
        serialised: bytes = model.SerializeToString(deterministic=True)
        return serialised

    def _value(
        self, name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]
    ) -> Any:
        return self._onnx.helper.make_tensor_value_info(name, self._type(dtype), shape)

    def _type(self, dtype: npt.DTypeLike) -> int:
        kind: int = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return kind


def _import_onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingExtraError("onnx", "tensorrt") from error  # noqa: EM101
    return onnx
