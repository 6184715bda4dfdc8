"""Content of a lane of 32 bits: one channel in float32, or two in bfloat16.

Kernels of :mod:`.planar` are the same for both. Pairs halve the work where the processor
multiplies them by one instruction (``avx512_bf16``): two products are added to each sum of
float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from blockseg.networks.bfloat16 import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from blockseg.inference.backends.llvm.builder import Function, Value

_LANES = 16
"""Lanes of the registers for which there are instructions."""

_UPPER = 0xFFFF0000
"""Bits of a lane's second number; also what bfloat16 keeps of a float32."""


class Word(Protocol):
    """Content of a lane: numbers of neighbouring channels at one voxel."""

    def __hash__(self) -> int:
        """Return the same number for the same content: kernels are kept by it."""
        ...

    @property
    def channels(self) -> int:
        """Channels in a lane."""
        ...

    def multiplied(self, f: Function, word: Value, weight: Value, sums: Value) -> Value:
        """Return ``sums`` with the products of all channels added, in float32."""
        ...

    def split(self, f: Function, word: Value) -> list[Value]:
        """Return the channels as vectors of float32."""
        ...

    def joined(self, f: Function, channels: Sequence[Value]) -> Value:
        """Return what holds such channels."""
        ...

    def stored(self, numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return numbers ``(channel, ...)`` as words, ``(channel / channels, ...)``.

        An odd channel is joined by zeros. The words' bits are given as float32.
        """
        ...


@dataclass(frozen=True, slots=True)
class Single:
    """One channel in float32."""

    channels: int = 1

    def multiplied(self, f: Function, word: Value, weight: Value, sums: Value) -> Value:
        """Return ``sums + word * weight``."""
        return f.fma(word, weight, sums)

    def split(self, f: Function, word: Value) -> list[Value]:  # noqa: ARG002
        """Return the word."""
        return [word]

    def joined(self, f: Function, channels: Sequence[Value]) -> Value:  # noqa: ARG002
        """Return the channel."""
        (one,) = channels
        return one

    def stored(self, numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the numbers."""
        return numbers


@dataclass(frozen=True, slots=True)
class Pair:
    """Two channels in bfloat16, the first in the lower half.

    Parameters
    ----------
    native
        Whether the processor has the instructions, in registers of 512 bits. Without them
        other instructions do the same, slower than float32.
    """

    native: bool
    channels: int = 2

    def multiplied(self, f: Function, word: Value, weight: Value, sums: Value) -> Value:
        """Return ``sums`` with the two products of each lane added."""
        if not self.native:
            for voxels, weights in zip(
                self.split(f, word), self.split(f, weight), strict=True
            ):
                sums = f.fma(voxels, weights, sums)
            return sums
        numbers = f"<{2 * _LANES} x bfloat>"
        given = (
            f"{numbers} {f.emit(f'bitcast {f.vector} {one} to {numbers}')}"
            for one in (word, weight)
        )
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        return f.call(f.vector, name, f"{f.vector} {sums}", *given)

    def split(self, f: Function, word: Value) -> list[Value]:
        """Return the two channels; their bits are the upper ones of a float32."""
        bits = _bits(f, word)
        lower = f.emit(f"shl {_integers(f)} {bits}, {_each(f, 16)}")
        upper = f.emit(f"and {_integers(f)} {bits}, {_each(f, _UPPER)}")
        return [_numbers(f, half) for half in (lower, upper)]

    def joined(self, f: Function, channels: Sequence[Value]) -> Value:
        """Return two channels, rounded to the nearest bfloat16."""
        first, second = channels
        if self.native:
            halves = f"<{2 * _LANES} x bfloat>"
            both = f.call(
                halves,
                "llvm.x86.avx512bf16.cvtne2ps2bf16.512",
                f"{f.vector} {second}",
                f"{f.vector} {first}",
            )
            places = [n // 2 + n % 2 * _LANES for n in range(2 * _LANES)]
            mixed = f.shuffle("bfloat", 2 * _LANES, (both, both), places)
            return f.emit(f"bitcast {halves} {mixed} to {f.vector}")
        kind = _integers(f)
        lower, upper = (_rounded_bits(f, one) for one in (first, second))
        lower = f.emit(f"lshr {kind} {lower}, {_each(f, 16)}")
        upper = f.emit(f"and {kind} {upper}, {_each(f, _UPPER)}")
        return _numbers(f, f.emit(f"or {kind} {lower}, {upper}"))

    def stored(self, numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the numbers, rounded to the nearest bfloat16, in pairs."""
        even = np.zeros((len(numbers) + len(numbers) % 2, *numbers.shape[1:]), "f4")
        even[: len(numbers)] = nearest(numbers)
        bits = even.view(np.uint32)
        words = (bits[0::2] >> np.uint32(16)) | (bits[1::2] & np.uint32(_UPPER))
        return np.ascontiguousarray(words).view(np.float32)


SINGLE = Single()


def _rounded_bits(f: Function, value: Value) -> Value:
    """Return the bits of floats, the upper ones rounded: to the nearest, ties to even."""
    kind = _integers(f)
    bits = _bits(f, value)
    odd = f.emit(f"lshr {kind} {bits}, {_each(f, 16)}")
    odd = f.emit(f"and {kind} {odd}, {_each(f, 1)}")
    half = f.emit(f"add {kind} {odd}, {_each(f, 0x7FFF)}")
    up = f.emit(f"add {kind} {bits}, {half}")
    number = f.emit(f"fcmp ord {f.vector} {value}, {value}")
    return f.emit(
        f"select <{f.lanes} x i1> {number}, {kind} {up}, {kind} {_each(f, 0x7FC00000)}"
    )


def _integers(f: Function) -> str:
    return f"<{f.lanes} x i32>"


def _bits(f: Function, value: Value) -> Value:
    return f.emit(f"bitcast {f.vector} {value} to {_integers(f)}")


def _numbers(f: Function, bits: Value) -> Value:
    return f.emit(f"bitcast {_integers(f)} {bits} to {f.vector}")


def _each(f: Function, number: int) -> str:
    return "<" + ", ".join([f"i32 {number}"] * f.lanes) + ">"
