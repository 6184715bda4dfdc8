"""The logistic function on vectors, for the end of both kinds of kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.inference.backends.llvm.builder import constant

if TYPE_CHECKING:
    from blockseg.inference.backends.llvm.builder import Function, Value

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
"""Natural logarithm of 2 in two parts: a small integer times the first is exact."""

_TAYLOR = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0)
"""Series of exp on half of log 2 to both sides of 0; its rest is below 4e-9 of it."""

_FARTHEST = 87.0  # exp beyond it leaves the normal numbers of float32


def sigmoid(f: Function, x: Value) -> Value:
    """Write ``1 / (1 + exp(-x))``, within 3e-7 of it; NaN stays NaN."""
    vector, lanes = f.vector, f.lanes
    minus = f.emit(f"fneg {vector} {x}")
    # exp(-x), x no farther from 0 than what float32 holds. NaN passes through both.
    low, high = f.same(constant(-_FARTHEST)), f.same(constant(_FARTHEST))
    least = f.largest(minus, low)
    over = f.emit(f"fcmp ogt {vector} {least}, {high}")
    y = f.emit(f"select <{lanes} x i1> {over}, {vector} {high}, {vector} {least}")
    scaled = f.emit(f"fmul {vector} {y}, {f.same(constant(_LOG2_E))}")
    whole = f.call(vector, f"llvm.rint.v{lanes}f32", f"{vector} {scaled}")
    rest = f.fma(whole, f.same(constant(-_LN2_HIGH)), y)
    rest = f.fma(whole, f.same(constant(-_LN2_LOW)), rest)
    power = f.same(constant(_TAYLOR[0]))
    for factor in _TAYLOR[1:]:
        power = f.fma(power, rest, f.same(constant(factor)))
    # Times 2**whole, by way of the exponent's bits; those of NaN do not matter.
    integers = f"<{lanes} x i32>"
    finite = f.emit(f"fcmp ord {vector} {whole}, {whole}")
    zero = f"{vector} zeroinitializer"
    sane = f.emit(f"select <{lanes} x i1> {finite}, {vector} {whole}, {zero}")
    exponent = f.emit(f"fptosi {vector} {sane} to {integers}")
    bits = f.emit(f"shl {integers} {exponent}, {_each(lanes, 23)}")
    plain = f.emit(f"bitcast {vector} {power} to {integers}")
    raised = f.emit(f"add {integers} {plain}, {bits}")
    exp = f.emit(f"bitcast {integers} {raised} to {vector}")
    one = f.same("1.0")
    total = f.emit(f"fadd {vector} {one}, {exp}")
    result = f.emit(f"fdiv {vector} {one}, {total}")
    # Adding to the bits may have made a number of NaN.
    return f.emit(f"select <{lanes} x i1> {finite}, {vector} {result}, {vector} {x}")


def _each(lanes: int, number: int) -> str:
    return "<" + ", ".join(f"i32 {number}" for _ in range(lanes)) + ">"
