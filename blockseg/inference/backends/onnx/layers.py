"""A network's own code as ONNX nodes: each call in its trace becomes one."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from blockseg.core.errors import BackendError
from blockseg.inference.backends.onnx.maps import Cutter, Map
from blockseg.inference.backends.onnx.trace import behind_activations, traced
from blockseg.networks.layers import Up
from blockseg.networks.receptive_field import SLOPE, STRIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from blockseg.inference.backends.onnx.writer import GraphWriter
    from blockseg.networks.base import Network


def logits_of(
    network: Network, writer: GraphWriter, tile: Map, inside: tuple[Map, ...] = ()
) -> Map:
    """Write the nodes of a network's cropped form; return its logits, in float32.

    Parameters
    ----------
    network
        Its norms folded where they can be.
    writer
        Takes the nodes.
    tile
        Normalised window ``(batch, 1, z, y, x)``. If it is float16, so are the weights
        and all maps but those behind the last activation: the heads, which add up
        what the sigmoid sees, are float32.
    inside
        At a volume's edge for each axis ``(batch, n)``, of the tile's type: 1 inside
        the volume, 0 beyond.

    Raises
    ------
    BackendError
        If the network does something that no node is known for.
    """
    graph = traced(network, edge=bool(inside))
    logits = _Exporter(graph, writer, half=tile.half).run(tile, *inside)
    if not isinstance(logits, Map):
        message = "a network must return one map of logits to be exported"
        raise BackendError(message)
    return logits


class _Exporter(fx.Interpreter):
    """Goes through a traced network; each call writes its node."""

    def __init__(
        self, graph: fx.GraphModule, writer: GraphWriter, *, half: bool
    ) -> None:
        super().__init__(graph)
        self.extra_traceback = False  # errors of ours stay one line
        self._writer = writer
        self._half = half
        self._exact = behind_activations(graph)
        self._now: fx.Node | None = None
        self._named = Cutter(writer)
        self._functions: Mapping[Any, Callable[..., Map]] = {
            operator.getitem: self._item,
            operator.add: lambda a, b: self._pair("Add", a, b),
            operator.sub: lambda a, b: self._pair("Sub", a, b),
            operator.mul: self._masked,
            torch.cat: self._joined,
            torch.relu_: lambda x: self._each("Relu", x),
            functional.leaky_relu_: lambda x, slope: self._each(
                "LeakyRelu", x, alpha=slope
            ),
            functional.max_pool3d: self._pooled,
            functional.conv3d: self._convolved,
        }

    def run_node(self, n: fx.Node) -> Any:
        self._now = n
        return super().run_node(n)

    def call_function(
        self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if target is getattr or not any(isinstance(a, Map) for a in _flat(args)):
            return target(*args, **kwargs)  # a shape, and sums of its lengths
        if target not in self._functions:
            _refuse(getattr(target, "__name__", target))
        return self._functions[target](*args, **kwargs)

    def call_method(
        self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if target != "narrow" or kwargs:
            _refuse(target)
        x, axis, start, length = args
        part = [slice(None)] * len(x.shape)
        part[axis] = slice(start, start + length)
        return x.cut(part)

    def call_module(
        self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        layer = self.fetch_attr(str(target))
        x, *rest = args
        match layer:
            case nn.Identity():
                return x
            case Up():
                return self._lifted(layer, x, *rest)
            case nn.BatchNorm3d():
                return self._normed(layer, x)
            case nn.Conv3d() if not any((*rest, *kwargs.values())):
                return self._convolved(x, layer.weight, layer.bias, layer.stride[0])
            case nn.ConvTranspose3d() if layer.stride == layer.kernel_size:
                return self._transposed(x, layer, (0,) * 6)
        return _refuse(type(layer).__name__)

    def _item(self, x: Map, index: tuple[Any, ...]) -> Map:
        kept = [i for i in index if i is not None]
        if not all(isinstance(i, slice) for i in kept):
            _refuse(f"indexing by {index}")
        kept += [slice(None)] * (len(x.shape) - len(kept))
        part = x.cut(kept)
        new = [axis for axis, i in enumerate(index) if i is None]
        if not new:
            return part
        shape = list(part.shape)
        for axis in new:
            shape.insert(axis, 1)
        axes = self._writer.constant(np.array(new, np.int64))
        name = self._writer.node("Unsqueeze", self._named(part), axes)
        return Map(name, tuple(shape), part.half)

    def _pair(self, operation: str, a: Map, b: Map) -> Map:
        half = self._is_half()
        name = self._writer.node(operation, self._named(a, half), self._named(b, half))
        return Map(name, np.broadcast_shapes(a.shape, b.shape), half)

    def _masked(self, a: Map, b: Map) -> Map:
        # A product with zeros and ones is exact in any precision.
        name = self._writer.node("Mul", self._named(a), self._named(b, a.half))
        return Map(name, np.broadcast_shapes(a.shape, b.shape), a.half)

    def _each(self, operation: str, x: Map, **attributes: Any) -> Map:
        self._refuse_other_readers()
        name = self._writer.node(operation, self._named(x), **attributes)
        return Map(name, x.shape, x.half)

    def _joined(self, maps: Sequence[Map], dim: int) -> Map:
        half = self._is_half()
        names = [self._named(x, half) for x in maps]
        shape = list(maps[0].shape)
        shape[dim] = sum(x.shape[dim] for x in maps)
        return Map(self._writer.node("Concat", *names, axis=dim), tuple(shape), half)

    def _pooled(self, x: Map, size: int, **options: Any) -> Map:
        if any(options[name] for name in ("stride", "padding", "ceil_mode")):
            _refuse(f"pooling with {options}")
        name = self._writer.node(
            "MaxPool", self._named(x), kernel_shape=(size,) * 3, strides=(size,) * 3
        )
        shape = (*x.shape[:2], *(n // size for n in x.shape[2:]))
        return Map(name, shape, x.half)

    def _normed(self, layer: nn.BatchNorm3d, x: Map) -> Map:
        if layer.running_mean is None or layer.running_var is None:
            _refuse("a norm without running statistics")
        gain = layer.weight.double() / (layer.running_var.double() + layer.eps).sqrt()
        shift = layer.bias.double() - layer.running_mean.double() * gain
        half = self._is_half()
        columns = [self._constant(v.reshape(-1, 1, 1, 1), half) for v in (gain, shift)]
        scaled = self._writer.node("Mul", self._named(x, half), columns[0])
        return Map(self._writer.node("Add", scaled, columns[1]), x.shape, half)

    def _convolved(
        self,
        x: Map,
        weight: Tensor,
        bias: Tensor | None,
        stride: int = 1,
        padding: int = 0,
    ) -> Map:
        if padding:
            _refuse("a padded convolution")
        half = self._is_half()
        size = weight.shape[2]
        name = self._writer.node(
            "Conv",
            self._named(x, half),
            *self._parameters(weight, bias, half),
            kernel_shape=(size,) * 3,
            strides=(stride,) * 3,
        )
        lengths = ((n - size) // stride + 1 for n in x.shape[2:])
        return Map(name, (1, weight.shape[0], *lengths), half)

    def _lifted(self, layer: Up, x: Map, padded: bool, mask: Map | None) -> Map:
        """Write a transposed convolution that computes only what is kept of it.

        A map of n voxels gives 2n, and 2 on each side are cropped: the first voxel
        adds to none of the others, and pads of 1 and 2 take the rest away.
        """
        if padded or not isinstance(layer.norm, nn.Identity):
            _refuse("a lift that is padded or has a norm")
        every = slice(None)
        x = x.cut([every, every, *(slice(1, None),) * 3])
        lifted = self._transposed(x, layer.conv, (1, 1, 1, STRIDE, STRIDE, STRIDE))
        name = self._writer.node("LeakyRelu", lifted.name, alpha=SLOPE)
        lifted = Map(name, lifted.shape, lifted.half)
        if mask is None:
            return lifted
        margins = [
            (m - n) // 2 for m, n in zip(mask.shape[2:], lifted.shape[2:], strict=True)
        ]
        around = (
            slice(margin, margin + n)
            for margin, n in zip(margins, lifted.shape[2:], strict=True)
        )
        return self._masked(lifted, mask.cut([every, every, *around]))

    def _transposed(
        self, x: Map, layer: nn.ConvTranspose3d, pads: tuple[int, ...]
    ) -> Map:
        half = self._is_half()
        size, stride = layer.kernel_size[0], layer.stride[0]
        name = self._writer.node(
            "ConvTranspose",
            self._named(x, half),
            *self._parameters(layer.weight, layer.bias, half),
            kernel_shape=(size,) * 3,
            strides=(stride,) * 3,
            pads=pads,
        )
        lost = pads[0] + pads[3]
        lengths = (stride * (n - 1) + size - lost for n in x.shape[2:])
        return Map(name, (1, layer.out_channels, *lengths), half)

    def _parameters(
        self, weight: Tensor, bias: Tensor | None, half: bool
    ) -> Iterator[str]:
        yield self._constant(weight, half)
        if bias is not None:
            yield self._constant(bias, half)

    def _constant(self, tensor: Tensor, half: bool) -> str:
        dtype = np.float16 if half else np.float32
        with np.errstate(over="ignore"):
            array = tensor.detach().cpu().numpy().astype(dtype)
        if not np.isfinite(array).all():
            message = (
                "these weights do not fit into float16: one is above 65504; "
                "use --precision float32"
            )
            raise BackendError(message)
        return self._writer.constant(array)

    def _is_half(self) -> bool:
        return self._half and self._now not in self._exact

    def _refuse_other_readers(self) -> None:
        # In place: whoever reads its argument later would read something else.
        if self._now is not None:
            (before,) = self._now.all_input_nodes
            if len(before.users) > 1:
                _refuse("changing a map in place that others read")


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _refuse(what: object) -> NoReturn:
    message = (
        f"this network cannot be exported for TensorRT: no node is known for {what}; "
        "use --backend torch"
    )
    raise BackendError(message)
