"""Processor of this machine: its kind, and its instructions for bfloat16."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

_TILES = frozenset({"amx_tile", "amx_bf16"})
_VECTORS = "avx512_bf16"


@dataclass(frozen=True, slots=True)
class Processor:
    """Processor as the system describes it."""

    kind: str
    """Name and numbers of the model; machines of one kind compute alike."""

    bfloat16: Literal["amx", "avx512", ""] = ""
    """Instructions that multiply bfloat16: tiles (AMX) or vectors; empty without any."""

    @property
    def tiles(self) -> bool:
        """Whether it has AMX, which multiplies bfloat16 much faster than float32."""
        return self.bfloat16 == "amx"


@cache
def processor(info: Path = Path("/proc/cpuinfo")) -> Processor:
    """Return the processor of this machine, the first where there are several.

    Parameters
    ----------
    info
        What the system says of its processors. Where it cannot be read, as on other
        systems than Linux, there are no instructions for bfloat16.
    """
    try:
        first = info.read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return Processor("unknown")
    pairs = (line.partition(":") for line in first.splitlines())
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    flags = set(facts.get("flags", "").split())
    unit: Literal["amx", "avx512", ""] = ""
    if flags >= _TILES:
        unit = "amx"
    elif _VECTORS in flags:
        unit = "avx512"
    numbers = [facts.get(key, "") for key in ("cpu family", "model", "stepping")]
    name = facts.get("model name", "unknown")
    return Processor(f"{name} ({'.'.join([*numbers, unit or 'no bfloat16'])})", unit)
