"""LLVM through llvmlite: kernels compiled for this CPU, kept on disk for the next process."""

from __future__ import annotations

import ctypes
import hashlib
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from blockseg.core.atomic_files import replaced
from blockseg.core.errors import BackendError, MissingExtraError
from blockseg.core.text import first_line
from blockseg.inference.backends.tensorrt.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DIGEST = 32  # bytes of a SHA-256, in front of the code it was made of

RUNNER = """
define void @run(ptr %rows, i64 %count) {
entry:
  br label %next
next:
  %n = phi i64 [0, %entry], [%after, %next]
  %offset = mul i64 %n, 128
  %row = getelementptr i8, ptr %rows, i64 %offset
  %number = load i64, ptr %row
  %kernel = inttoptr i64 %number to ptr
  call void %kernel(ptr %row)
  %after = add i64 %n, 1
  %more = icmp ult i64 %after, %count
  br i1 %more, label %next, label %done
done:
  ret void
}
"""
"""Calls the kernel of each row of 16 numbers, one after the other: Python is asked once for a
window, not once for a plane, and its lock is free meanwhile."""

ROW = 16
"""Numbers in a row: the kernel's address, then its arguments."""


class Kernels:
    """Compiled functions; their addresses live as long as this.

    Parameters
    ----------
    texts
        Modules in LLVM's assembly language, by the symbol that each defines.
    cpu, features
        Name and features of the CPU to compile for, as LLVM spells them; this one's if
        not given.

    Raises
    ------
    MissingExtraError
        If llvmlite is not installed.
    BackendError
        If LLVM cannot compile them.
    """

    def __init__(
        self, texts: Mapping[str, str], cpu: str = "", features: str | None = None
    ) -> None:
        llvm = library()
        cpu = cpu or llvm.get_host_cpu_name()
        if features is None:
            features = llvm.get_host_cpu_features().flatten()
        try:
            machine = llvm.Target.from_default_triple().create_target_machine(
                cpu=cpu, features=features, opt=2, jit=True
            )
            code = _kept_code({**texts, "run": RUNNER}, machine, cpu, features)
            # An engine needs a module to be made of.
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            self._engine.finalize_object()
        except RuntimeError as error:
            message = f"LLVM cannot compile the kernels: {first_line(error)}"
            raise BackendError(message) from error
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
        self.run = kind(self._engine.get_function_address("run"))
        """Runs rows of numbers: their address and how many."""
        self.address = {name: self._engine.get_function_address(name) for name in texts}
        """Address of each kernel."""


def _kept_code(
    texts: Mapping[str, str], machine: Any, cpu: str, features: str
) -> bytes:
    """Return the machine code of modules, from disk if it was compiled before."""
    llvm = library()
    version = ".".join(map(str, llvm.llvm_version_info))
    said = "\0".join((version, cpu, features, *texts.values()))
    path = cache_folder() / "kernels" / f"{hashlib.sha256(said.encode()).hexdigest()}.o"
    code = _read(path)
    if code is None:
        code = _compiled(texts, machine)
        with suppress(OSError):  # compiled anew next time
            path.parent.mkdir(parents=True, exist_ok=True)
            with replaced(path, shared=True) as part:
                part.write_bytes(hashlib.sha256(code).digest() + code)
    return code


def _read(path: Path) -> bytes | None:
    """Return code that was kept; None if it is not there, or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def _compiled(texts: Mapping[str, str], machine: Any) -> bytes:
    llvm = library()
    whole, *others = [llvm.parse_assembly(text) for text in texts.values()]
    for other in others:
        whole.link_in(other)
    whole.verify()
    code: bytes = machine.emit_object(whole)
    return code


@cache
def library() -> Any:
    """Return llvmlite's binding of LLVM, ready to compile for this CPU.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import llvmlite.binding as llvm  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingExtraError("llvmlite", "cpu") from error  # noqa: EM101
    with suppress(RuntimeError):  # newer versions do so themselves
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm
