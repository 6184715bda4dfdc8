"""SDASN on our own kernels: fp16 maps, float32 sums and heads, grey levels in, bytes out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from blockseg.inference.backends.cuda import layers as cuda_layers
from blockseg.inference.backends.cuda.plan import ON_CHIP, layers, maps
from blockseg.inference.backends.cuda.tiling import Tiling, depth, tiling_for
from blockseg.inference.backends.cuda.weights import heads, matrices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Affine
    from blockseg.inference.backends.cuda.plan import Layer, Source
    from blockseg.networks.sdasn import SDASN

Argument: TypeAlias = Tensor | int | float
"""Argument of a kernel."""

HEADS = {None: 0, "set": 1, "add": 2, "last": 3}


@dataclass(frozen=True, slots=True, eq=False)
class Launch:
    """One kernel with its arguments."""

    kernel: Any
    """A Triton kernel."""

    programs: int
    """Number of them that run."""

    values: dict[str, Argument]
    """Tensors and numbers by the names of its parameters."""

    constants: dict[str, int | bool]
    """Constants that it is compiled for."""

    options: dict[str, int | bool]
    """Options for Triton's compiler beside."""

    def run(self) -> None:
        """Put it into the current stream."""
        self.kernel[(self.programs,)](
            **self.values,
            **self.constants,
            **self.options,
        )


class FusedNetwork:
    """Holds the maps of one window and runs the kernels on them.

    Parameters
    ----------
    network
        SDASN of width 16 at most.
    core
        Voxels along (z, y, x) that a window writes; multiples of 4.
    affine
        Normalisation of the run.
    device
        A CUDA device; a CPU in Triton's interpreter only.
    tiling
        Another one than the device's.
    """

    def __init__(
        self,
        network: SDASN,
        core: Zyx,
        affine: Affine,
        device: torch.device,
        *,
        tiling: Tiling | None = None,
    ) -> None:
        self._core = core
        self._device = device
        self._affine = affine
        self._tiling = tiling or tiling_for(device)
        # Said aloud, as Triton 3.10 changes what goes without saying.
        self._options = {"num_warps": self._tiling.warps, "enable_fp_fusion": True}
        self._plan = {layer.name: layer for layer in layers(network.width)}
        # Layers whose map stays on the chip, and those that read it.
        self._pairs = {
            first.name: second.name
            for first, second in pairwise(self._plan.values())
            if first.target.name in self._tiling.on_chip & ON_CHIP
        }
        self._maps = maps(network.width)
        self._matrices = {
            name: (tuple(w.to(device) for w in found.weights), found.bias.to(device))
            for name, found in matrices(
                network, tuple(self._plan.values()), self._maps
            ).items()
        }
        shares, self._head_bias = heads(network, self._maps["x00"].channels)
        self._heads = {name: share.to(device) for name, share in shares.items()}
        nowhere = {self._plan[name].target.name for name in self._pairs} | {"x02"}
        # Never written where no layer writes: channels and voxels too many stay 0.
        self._arrays = {
            name: torch.zeros(
                (*found.shape(core), found.channels), dtype=torch.half, device=device
            )
            for name, found in self._maps.items()
            if name not in nowhere
        }
        self._logits = torch.zeros(core, dtype=torch.float32, device=device)
        self._ring = torch.zeros(self._ring_size(), dtype=torch.half, device=device)

    def run(self, raw: Tensor, bounds: Tensor, out: Tensor, edge: bool) -> None:
        """Put a whole window into the current stream; see ``DeviceNetwork``."""
        for launch in self.launches(raw, bounds, out, edge):
            launch.run()

    def launches(
        self, raw: Tensor, bounds: Tensor, out: Tensor, edge: bool
    ) -> Iterator[Launch]:
        """Yield the kernels of a window, in their order; parameters as in :meth:`run`."""
        second = set(self._pairs.values())
        for name, layer in self._plan.items():
            if name in self._pairs:
                then = self._plan[self._pairs[name]]
                yield self._two(layer, then, raw, bounds, out, edge)
            elif name not in second:
                yield self._one(layer, raw, bounds, out, edge)

    def _one(
        self, layer: Layer, raw: Tensor, bounds: Tensor, out: Tensor, edge: bool
    ) -> Launch:
        tiles_z, tiles_y, tiles_x = layer.tiles(self._core)
        group_y, group_x = self._tiling.group(layer.columns, tiles_y, tiles_x)
        values, constants = self._read(layer, raw, bounds)
        values |= self._kept(layer, out)
        constants |= {
            **dict(zip(("STEP_Z", "STEP_Y", "STEP_X"), layer.step, strict=True)),
            **dict(zip(("SEEN_Z", "SEEN_Y", "SEEN_X"), layer.seen, strict=True)),
            "TILE_Z": layer.tile[0],
            "TILE_Y": layer.tile[1],
            "STORED": self._stored(layer),
            "LEVEL": layer.target.level,
        }
        constants |= self._about(layer, edge, group_y, group_x)
        values |= {"place": layer.place}
        programs = tiles_z * -(-tiles_y // group_y) * -(-tiles_x // group_x)
        limit = {"maxnreg": self._tiling.registers}
        return Launch(
            cuda_layers.one_layer, programs, values, constants, self._options | limit
        )

    def _two(
        self,
        layer: Layer,
        then: Layer,
        raw: Tensor,
        bounds: Tensor,
        out: Tensor,
        edge: bool,
    ) -> Launch:
        tiles_z, tiles_y, tiles_x = then.tiles(self._core)
        # The layer between is one tile wider.
        group_y, group_x = self._tiling.group(then.columns, tiles_y + 1, tiles_x + 1)
        groups = -(-tiles_y // (group_y - 1)) * -(-tiles_x // (group_x - 1))
        deep = depth(tiles_z, groups, self._tiling.programs)
        items = groups * -(-tiles_z // deep)
        values, constants = self._read(layer, raw, bounds)
        values |= self._kept(then, out)
        (ring_weights,), ring_bias = self._matrices[then.name]
        values |= {
            "ring": self._ring,
            "ring_weights": ring_weights,
            "ring_bias": ring_bias,
            "between_origin": layer.target.origin,
            "items": items,
            "depth": deep,
            "tiles_z": tiles_z,
        }
        constants |= self._about(then, edge, group_y, group_x)
        constants |= {
            "STORED": self._stored(then),
            "BLOCK": min(self._tiling.block, 4 * layer.target.channels),
        }
        programs = min(self._tiling.programs, items)
        return Launch(
            cuda_layers.two_layers, programs, values, constants, self._options
        )

    def _read(
        self, layer: Layer, raw: Tensor, bounds: Tensor
    ) -> tuple[dict[str, Argument], dict[str, int | bool]]:
        """Return the inputs of a layer: grey levels, or one or two maps."""
        weights, bias = self._matrices[layer.name]
        affine = self._affine
        values: dict[str, Argument] = {
            "raw": raw,
            "bounds": bounds,
            "raw_y": raw.shape[1],
            "raw_x": raw.shape[2],
            "offset": float(affine.offset),
            "scale": float(affine.scale),
            "low": float(affine.low),
            "high": float(affine.high),
            "bias": bias,
        }
        constants: dict[str, int | bool] = {"FIRST": layer.kind == "first"}
        sources: list[Source | None] = [None, None]
        if layer.kind != "first":
            sources[: len(layer.sources)] = layer.sources
        for letter, source, matrix in zip(
            "ab", sources, (weights[0], weights[-1]), strict=True
        ):
            array = bias if source is None else self._arrays[source.map]
            channels = 0 if source is None else array.shape[3]
            values |= {
                letter: array,
                f"{letter}_y": 0 if source is None else array.shape[1],
                f"{letter}_x": 0 if source is None else array.shape[2],
                f"{letter}_start": 0 if source is None else source.start,
                f"{letter}_weights": matrix,
            }
            constants[letter.upper()] = channels
            constants[f"{letter.upper()}_BLOCK"] = min(
                self._tiling.block, layer.seen[2] * channels
            )
        return values, constants

    def _kept(self, layer: Layer, out: Tensor) -> dict[str, Argument]:
        """Return the outputs of a layer: its map, that pooled, logits, bytes."""
        unused = self._logits
        target = self._arrays.get(layer.target.name, unused)
        pooled = unused if layer.pooled is None else self._arrays[layer.pooled]
        _, tiles_y, tiles_x = layer.tiles(self._core)
        return {
            "target": target,
            "target_y": target.shape[1],
            "target_x": target.shape[2],
            "origin": layer.target.origin,
            "tiles_y": tiles_y,
            "tiles_x": tiles_x,
            "pooled": pooled,
            "pooled_y": pooled.shape[1],
            "pooled_x": pooled.shape[2],
            "logits": self._logits,
            "result": out,
            "head": self._heads.get(layer.name, unused),
            "head_bias": self._head_bias,
            "core_z": self._core[0],
            "core_y": self._core[1],
            "core_x": self._core[2],
            "margin": layer.target.margin,
        }

    def _about(
        self, layer: Layer, edge: bool, group_y: int, group_x: int
    ) -> dict[str, int | bool]:
        return {
            "CHANNELS": layer.stored,
            "EDGE": edge,
            "POOL": layer.pooled is not None,
            "HEAD": HEADS[layer.head],
            "TY": group_y,
            "TX": group_x,
            "STAGES": self._tiling.stages,
            "GREY": self._tiling.block,
        }

    def _stored(self, layer: Layer) -> int:
        return layer.target.channels if layer.target.name in self._arrays else 0

    def _ring_size(self) -> int:
        """Return the values of all rings: four planes of two voxels a tile and edge."""
        sizes = [0]
        for name in self._pairs.values():
            layer = self._plan[name]
            _, tiles_y, tiles_x = layer.tiles(self._core)
            group = self._tiling.group(layer.columns, tiles_y + 1, tiles_x + 1)
            sizes.append(16 * math.prod(group) * layer.stored)
        return self._tiling.programs * max(sizes)
