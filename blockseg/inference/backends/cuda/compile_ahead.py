"""Compilation of our kernels for a card that is not here, and what they take of it."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

if TYPE_CHECKING:
    from blockseg.inference.backends.cuda.fused import Launch

WARP = 32

_POINTERS = {
    torch.float16: "*fp16",
    torch.float32: "*fp32",
    torch.int16: "*i16",
    torch.int32: "*i32",
    torch.uint8: "*u8",
}


@dataclass(frozen=True, slots=True)
class Resources:
    """Resources that one program of a kernel takes."""

    registers: int
    """Registers of one thread."""

    spilled: int
    """Bytes of one thread that did not fit into registers."""

    shared: int
    """Bytes of shared memory."""

    barriers: int
    """``bar.sync`` in the PTX: all threads of the program wait for each other."""

    products: str
    """The instruction that multiplies matrices: ``wgmma``, ``mma`` or none."""


def resources(launch: Launch, capability: tuple[int, int]) -> Resources:
    """Compile a kernel as its launch would on a card of this compute capability.

    Needs no card and no driver: Triton brings the assembler.
    """
    major, minor = capability
    constants = {**launch.constants}
    signature: dict[str, str] = {}
    attributes: dict[tuple[int, ...], Any] = {}
    for index, parameter in enumerate(launch.kernel.params):
        name = parameter.name
        if name in constants:
            signature[name] = "constexpr"
            continue
        value = launch.values[name]
        if isinstance(value, torch.Tensor):
            signature[name] = _POINTERS[value.dtype]
            attributes[index,] = [["tt.divisibility", 16]]
        elif isinstance(value, float) or parameter.do_not_specialize:
            signature[name] = "i32" if isinstance(value, int) else "fp32"
        elif value == 1:  # Triton compiles it in
            constants[name] = 1
            signature[name] = "constexpr"
        else:
            signature[name] = "i32"
            if value % 16 == 0:
                attributes[index,] = [["tt.divisibility", 16]]
    source = ASTSource(launch.kernel, signature, constants, attributes)
    target = GPUTarget("cuda", 10 * major + minor, WARP)
    made = triton.compile(source, target=target, options=launch.options)
    ptx = made.asm["ptx"]
    registers, spilled = _registers(made.asm["cubin"])
    products = next((name for name in ("wgmma", "mma") if f"{name}." in ptx), "")
    return Resources(
        registers, spilled, int(made.metadata.shared), ptx.count("bar.sync"), products
    )


def _registers(cubin: bytes) -> tuple[int, int]:
    """Return a kernel's registers a thread, and the bytes that it spills."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        tool = triton.knobs.nvidia.cuobjdump.path
        text = subprocess.run(
            [tool, "--dump-resource-usage", str(file)],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
    found = {key: int(n) for key, n in re.findall(r"(REG|STACK|LOCAL):(\d+)", text)}
    return found["REG"], found["STACK"] + found["LOCAL"]
