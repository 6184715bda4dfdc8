"""Lengths as microscopes and file formats spell them, in micrometres."""

from __future__ import annotations

__all__ = ["micrometres"]

_MICROMETRES = {
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "decimeter": 1e5,
    "meter": 1e6,
    "kilometer": 1e9,
    "inch": 25_400.0,
    "foot": 304_800.0,
}
_ALIASES = {
    "å": "angstrom",
    "ångström": "angstrom",
    "pm": "picometer",
    "nm": "nanometer",
    "um": "micrometer",
    "µm": "micrometer",  # the micro sign; the Greek letter is folded to it below
    "micron": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "dm": "decimeter",
    "m": "meter",
    "km": "kilometer",
    "in": "inch",
    "ft": "foot",
}


def micrometres(unit: object) -> float | None:
    r"""Return how many micrometres a unit of length is, or None if it is none.

    Accepts abbreviations, British spelling, plurals, both signs for micro and
    ImageJ's escape (a backslash and ``u00B5m``). ``pixel`` is not a length.
    """
    if not isinstance(unit, str):
        return None
    name = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    name = name.lower().replace("μ", "µ").replace("metre", "meter")
    name = _ALIASES.get(name, name)
    if name not in _MICROMETRES and name.endswith("s"):
        name = _ALIASES.get(name[:-1], name[:-1])
    return _MICROMETRES.get(name)
