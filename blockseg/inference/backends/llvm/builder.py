"""A writer of LLVM's assembly language, for kernels that are mostly unrolled loops."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Value = str
"""Name of a value, ``%v12``, or a constant."""


def constant(value: float) -> Value:
    """Return a number rounded to float32: LLVM wants the bits of the same double."""
    (single,) = struct.unpack("<f", struct.pack("<f", value))
    (bits,) = struct.unpack("<Q", struct.pack("<d", single))
    return f"0x{bits:016X}"


_HEAD = "define void @{name}(ptr %row) #0 {{\nentry:"
_TAIL = "  ret void\n}}\nattributes #0 = {{ nounwind }}"


@dataclass(slots=True)
class Loop:
    """A loop that is being written."""

    index: Value
    """Its counter."""

    carried: list[Value]
    """Values of the iteration before, or those it began with."""

    after: list[Value] = field(default_factory=list)
    """Their values at the end of an iteration, which the body sets."""


class Function:
    """One kernel: ``void name(int64_t *row)``.

    Its arguments are the numbers of ``row``, addresses among them, by name.

    Parameters
    ----------
    name
        Symbol.
    arguments
        Names of the numbers, in order. The first place of a row is left to whoever
        calls the kernel.
    lanes
        Float32 numbers in a vector.
    """

    def __init__(self, name: str, arguments: Sequence[str], lanes: int) -> None:
        self.name = name
        self.lanes = lanes
        self.vector = f"<{lanes} x float>"
        self._lines = [_HEAD.format(name=name)]
        self._declared: dict[str, str] = {}
        self._block = "entry"
        self._count = 0
        self._arguments = {
            argument: self.load("i64", self.at("%row", 8 * (place + 1)), 8)
            for place, argument in enumerate(arguments)
        }

    def __getitem__(self, argument: str) -> Value:
        return self._arguments[argument]

    def text(self) -> str:
        """Return the function, and what it calls, as a module."""
        declared = "\n".join(self._declared.values())
        return "\n".join((declared, *self._lines, _TAIL.format()))

    # Statements.

    def emit(self, text: str) -> Value:
        """Write an instruction that has a value."""
        name = self._name("v")
        self._lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """Write an instruction that has none."""
        self._lines.append(f"  {text}")

    def call(self, result: str, function: str, *arguments: str) -> Value:
        """Call an intrinsic; ``arguments`` are types and values, ``"i64 %v1"``."""
        kinds = ", ".join(_kind(argument) for argument in arguments)
        self._declared[function] = f"declare {result} @{function}({kinds})"
        given = ", ".join(arguments).replace(" immarg", "")
        text = f"call {result} @{function}({given})"
        if result == "void":
            self.do(text)
            return ""
        return self.emit(text)

    @contextmanager
    def loop(
        self,
        stop: Value,
        step: int = 1,
        carried: Sequence[tuple[str, Value]] = (),
    ) -> Iterator[Loop]:
        """Repeat the body for 0, ``step``, ... below ``stop``, at least once.

        After it ``loop.after`` holds the last values of what it carries.
        """
        before, body = self._block, self._name("b")[1:]
        self._enter(body)
        place = len(self._lines)
        index = self._name("i")
        kinds = [kind for kind, _ in carried]
        inside = [self._name("c") for _ in carried]
        loop = Loop(index, inside)
        yield loop
        following = self.emit(f"add i64 {index}, {step}")
        again = self.emit(f"icmp slt i64 {following}, {stop}")
        end, out = self._block, self._name("b")[1:]
        self.do(f"br i1 {again}, label %{body}, label %{out}")
        starts = [("i64", index, "0", following)]
        starts += [
            (kind, name, start, value)
            for kind, name, (_, start), value in zip(
                kinds, inside, carried, loop.after, strict=True
            )
        ]
        self._lines[place:place] = [
            f"  {name} = phi {kind} [{start}, %{before}], [{value}, %{end}]"
            for kind, name, start, value in starts
        ]
        self._label(out)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Write what happens only if a condition holds; none of its values lives on."""
        body, out = self._name("b")[1:], self._name("b")[1:]
        self.do(f"br i1 {condition}, label %{body}, label %{out}")
        self._label(body)
        yield
        self.do(f"br label %{out}")
        self._label(out)

    # Addresses, in bytes.

    def at(self, pointer: Value, offset: int | Value) -> Value:
        """Return a pointer some bytes further."""
        return self.emit(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def pointer(self, number: Value) -> Value:
        """Return a number as a pointer."""
        return self.emit(f"inttoptr i64 {number} to ptr")

    def add(self, a: Value, b: Value | int) -> Value:
        """Return the sum of two integers."""
        return self.emit(f"add i64 {a}, {b}")

    def sub(self, a: Value, b: Value | int) -> Value:
        """Return the difference of two integers."""
        return self.emit(f"sub i64 {a}, {b}")

    def mul(self, a: Value, b: Value | int) -> Value:
        """Return the product of two integers."""
        return self.emit(f"mul i64 {a}, {b}")

    def smallest(self, a: Value, b: Value | int) -> Value:
        """Return the smaller of two integers."""
        return self.call("i64", "llvm.smin.i64", f"i64 {a}", f"i64 {b}")

    def below(self, a: Value, b: Value | int) -> Value:
        """Return whether an integer is less than another."""
        return self.emit(f"icmp slt i64 {a}, {b}")

    # Vectors.

    def load(self, kind: str, pointer: Value, align: int = 4) -> Value:
        """Return the value at an address."""
        return self.emit(f"load {kind}, ptr {pointer}, align {align}")

    def store(self, kind: str, value: Value, pointer: Value, align: int = 4) -> None:
        """Write to an address."""
        self.do(f"store {kind} {value}, ptr {pointer}, align {align}")

    def prefetch(self, pointer: Value) -> None:
        """Ask for a cache line that will be read some thousand cycles later."""
        self.call(
            "void",
            "llvm.prefetch.p0",
            f"ptr {pointer}",
            "i32 immarg 0",
            "i32 immarg 2",
            "i32 immarg 1",
        )

    def same(self, number: Value) -> Value:
        """Return a vector of a float, in each lane."""
        one = self.emit(f"insertelement {self.vector} poison, float {number}, i32 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.emit(
            f"shufflevector {self.vector} {one}, {self.vector} poison, {zeros}"
        )

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return ``a * b + c``, rounded once where the CPU can."""
        name = f"llvm.fmuladd.v{self.lanes}f32"
        return self.call(self.vector, name, *(f"{self.vector} {x}" for x in (a, b, c)))

    def largest(self, a: Value, b: Value) -> Value:
        """Return the larger numbers of two vectors; NaN where ``a`` is."""
        less = self.emit(f"fcmp olt {self.vector} {a}, {b}")
        return self.emit(
            f"select <{self.lanes} x i1> {less}, {self.vector} {b}, {self.vector} {a}"
        )

    def shuffle(
        self, kind: str, count: int, pair: Sequence[Value], places: Iterable[int]
    ) -> Value:
        """Return numbers of two vectors of ``count``, by their places in the two."""
        vector = f"<{count} x {kind}>"
        a, b = pair
        numbers = [f"i32 {n}" for n in places]
        order = f"<{len(numbers)} x i32> <{', '.join(numbers)}>"
        return self.emit(f"shufflevector {vector} {a}, {vector} {b}, {order}")

    def table(self, argument: str, place: Value) -> Value:
        """Return a number of a table, of which an argument is the address."""
        numbers = self.pointer(self[argument])
        return self.load("i64", self.at(numbers, self.mul(place, 8)), 8)

    def first_lanes(self, count: Value, lanes: int) -> Value:
        """Return a mask of the first ``count`` lanes."""
        few = self.call("i64", "llvm.smin.i64", f"i64 {count}", f"i64 {lanes}")
        short = self.emit(f"trunc i64 {few} to i32")
        one = self.emit(f"insertelement <{lanes} x i32> poison, i32 {short}, i32 0")
        every = self.emit(
            f"shufflevector <{lanes} x i32> {one}, <{lanes} x i32> poison, "
            f"<{lanes} x i32> zeroinitializer"
        )
        places = ", ".join(f"i32 {n}" for n in range(lanes))
        return self.emit(f"icmp sgt <{lanes} x i32> {every}, <{places}>")

    def store_masked(
        self, element: str, lanes: int, value: Value, pointer: Value, mask: Value
    ) -> None:
        """Write some lanes of a vector of ``lanes`` elements to an address."""
        short = {"float": "f32", "bfloat": "bf16", "i16": "i16"}[element]
        size = {"float": 4, "bfloat": 2, "i16": 2}[element]
        self.call(
            "void",
            f"llvm.masked.store.v{lanes}{short}.p0",
            f"<{lanes} x {element}> {value}",
            f"ptr {pointer}",
            f"i32 immarg {size}",
            f"<{lanes} x i1> {mask}",
        )

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"%{prefix}{self._count}"

    def _enter(self, block: str) -> None:
        self.do(f"br label %{block}")
        self._label(block)

    def _label(self, block: str) -> None:
        self._lines.append(f"{block}:")
        self._block = block


def _kind(argument: str) -> str:
    """Return the type of an argument; those that must be constants say ``immarg``."""
    return argument.rsplit(" ", 1)[0]
