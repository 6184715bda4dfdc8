"""Processor of this machine: its kind, and its instructions for bfloat16."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

_TILES = frozenset({"amx_tile", "amx_bf16"})
_VECTORS = "avx512_bf16"
_ZEN_4 = ("AuthenticAMD", "25")  # of that family only Zen 4 has AVX-512


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
    facts = _facts(info)
    if not facts:
        return Processor("unknown")
    flags = set(facts.get("flags", "").split())
    unit: Literal["amx", "avx512", ""] = ""
    if flags >= _TILES:
        unit = "amx"
    elif _VECTORS in flags:
        unit = "avx512"
    numbers = [facts.get(key, "") for key in ("cpu family", "model", "stepping")]
    name = facts.get("model name", "unknown")
    return Processor(f"{name} ({'.'.join([*numbers, unit or 'no bfloat16'])})", unit)


@cache
def maker_of_wide_vectors(info: Path = Path("/proc/cpuinfo")) -> str:
    """Return the maker of this machine's processor, if it works through 512 bits at once.

    Parameters
    ----------
    info
        As for :func:`processor`. Empty of a processor without AVX-512, of one that does it
        in two halves (Zen 4), and of one that is not known.
    """
    facts = _facts(info)
    maker = facts.get("vendor_id", "")
    halves = (maker, facts.get("cpu family")) == _ZEN_4
    wide = "avx512f" in facts.get("flags", "").split() and not halves
    return maker if wide else ""


def _facts(info: Path) -> dict[str, str]:
    """Return the system's description of the first processor; nothing if it cannot be read."""
    try:
        first = info.read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
