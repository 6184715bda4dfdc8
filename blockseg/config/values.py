"""Single values as users write them, read from YAML or the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import ConfigError, GeometryError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.specs import Normalization
from blockseg.core.untrusted.sizes import LONGEST_AXIS
from blockseg.core.work_ranges import Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.core.space import Vector

_ENDLESS = 10**100
MOST_PROCESSES = 4096
"""Processes or threads of a kind on one machine; the largest have a thousand cores."""

_LARGEST = 2**63 - 1
_SHORTEST_UM, _LONGEST_UM = 1e-9, 1e12
_FARTHEST_UM = 1e15
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def _fail(name: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(f"--{name} {_shown(value)!r}: {expected}")


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(_shown(item) for item in value)
    if isinstance(value, int) and abs(value) >= _ENDLESS:
        return "a number without end"  # which Python would not print
    return str(value)


def parse_text(name: str, value: Any) -> str:
    """Return a string as it stands; several numbers joined by commas."""
    if isinstance(value, str | int | float | list | tuple):
        text = _shown(value)
        if "\0" in text:
            raise _fail(name, text.replace("\0", "\\0"), "no name holds a zero byte")
        return text
    raise _fail(name, value, "expected a text")


def parse_texts(name: str, value: Any) -> tuple[str, ...]:
    """Return a string or path, or each of a list, as it stands."""
    several = value if isinstance(value, list | tuple) else (value,)
    return tuple(parse_text(name, _shown(item)) for item in several)


def parse_int(low: int, high: int = _LARGEST) -> Callable[[str, Any], int]:
    """Return a reader of whole numbers from ``low`` to ``high``."""

    def parse(name: str, value: Any) -> int:
        try:
            number = _whole(value)
        except ValueError:
            raise _fail(name, value, "expected a whole number") from None
        if number < low:
            raise _fail(name, value, f"must be at least {low}")
        if number > high:
            raise _fail(name, value, f"must be at most {high}")
        return number

    return parse


def parse_float(low: float, high: float) -> Callable[[str, Any], float]:
    """Return a reader of numbers from ``low`` to ``high``."""

    def parse(name: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise _fail(name, value, "expected a number") from None
        if not low <= number <= high:
            raise _fail(name, value, f"must lie between {low:.4g} and {high:.4g}")
        return number

    return parse


def parse_switch(name: str, value: Any) -> bool:
    """Return True or False."""
    if isinstance(value, bool):
        return value
    raise _fail(name, value, "expected true or false")


@dataclass(frozen=True, slots=True)
class Choices:
    """A reader of one of a few values."""

    choices: tuple[str | int, ...]
    """The values."""

    def __call__(self, name: str, value: Any) -> Any:
        """Return the value that was meant."""
        for choice in self.choices:
            if str(value) == str(choice):
                return choice
        names = ", ".join(str(choice) for choice in self.choices)
        raise _fail(name, value, f"choose one of {names}")


def parse_choice(*choices: str | int) -> Choices:
    """Return a reader of one of ``choices``."""
    return Choices(choices)


def parse_shape(name: str, value: Any) -> Zyx:
    """Return voxels along (z, y, x): ``128``, ``64,128,128`` or a list."""
    parts = _parts(value)
    if len(parts) == 1:
        parts = parts * 3
    try:
        shape = to_zyx(int(part) for part in parts)
    except ValueError:
        raise _fail(name, value, "expected Z,Y,X in voxels, or one number") from None
    if min(shape) < 1:
        raise _fail(name, value, "must be at least one voxel on each axis")
    if max(shape) > LONGEST_AXIS:
        raise _fail(name, value, f"must be at most {LONGEST_AXIS} on each axis")
    return shape


def parse_factors(name: str, value: Any) -> Zyx:
    """Return factors along (z, y, x): ``2``, ``1,2,2`` or a list."""
    parts = _parts(value)
    try:
        factors = to_zyx(
            int(part) for part in (parts * 3 if len(parts) == 1 else parts)
        )
    except ValueError:
        expected = "expected whole numbers Z,Y,X, or one for all axes"
        raise _fail(name, value, expected) from None
    if min(factors) < 1:
        raise _fail(name, value, "must be at least 1 on each axis")
    if max(factors) > LONGEST_AXIS:
        raise _fail(name, value, f"must be at most {LONGEST_AXIS} on each axis")
    return factors


def parse_axes(name: str, value: Any) -> str:
    """Return one letter for each axis: ``czyx``, or a list of letters."""
    letters = "".join(_parts(value)).lower()
    known = set(letters) <= set("tczyx") and len(set(letters)) == len(letters)
    if not known or not set("zyx") <= set(letters):
        expected = "expected one of the letters t, c, z, y, x for each axis, as in czyx"
        raise _fail(name, value, expected)
    return letters


def parse_vector(name: str, value: Any) -> Vector:
    """Return three positive lengths along (z, y, x)."""
    try:
        z, y, x = (float(part) for part in _parts(value))
    except ValueError:
        raise _fail(name, value, "expected Z,Y,X in µm, as in 1,0.3,0.3") from None
    if not all(math.isfinite(size) and size > 0 for size in (z, y, x)):
        raise _fail(name, value, "lengths must be positive and finite")
    if not all(_SHORTEST_UM <= size <= _LONGEST_UM for size in (z, y, x)):
        expected = f"lengths must lie between {_SHORTEST_UM:g} and {_LONGEST_UM:g} µm"
        raise _fail(name, value, expected)
    return (z, y, x)


def parse_edges(name: str, value: Any) -> Vector:
    """Return three positive lengths along (z, y, x): ``25``, ``50,25,25`` or a list."""
    parts = _parts(value)
    return parse_vector(name, parts * 3 if len(parts) == 1 else parts)


def parse_place(name: str, value: Any) -> Vector:
    """Return a place (z, y, x)."""
    try:
        z, y, x = (float(part) for part in _parts(value))
    except ValueError:
        raise _fail(name, value, "expected Z,Y,X in µm, as in 0,120.5,80") from None
    if not all(map(math.isfinite, (z, y, x))):
        raise _fail(name, value, "coordinates must be finite")
    if not all(abs(place) <= _FARTHEST_UM for place in (z, y, x)):
        raise _fail(name, value, f"must lie within {_FARTHEST_UM:g} µm of the origin")
    return (z, y, x)


def parse_roi(name: str, value: Any) -> Roi:
    """Return a region: ``z0:z1,y0:y1,x0:x1``, or a list of three such ranges."""
    expected = "expected z0:z1,y0:y1,x0:x1 in voxels, each stop after its start"
    try:
        pairs = [[int(end) for end in part.split(":")] for part in _parts(value)]
        (z0, z1), (y0, y1), (x0, x1) = pairs
        roi = Roi((z0, y0, x0), (z1, y1, x1))
    except (ValueError, GeometryError):
        raise _fail(name, value, expected) from None
    if min(roi.shape) < 1 or min(roi.start) < 0:
        raise _fail(name, value, expected)
    if max(roi.stop) > LONGEST_AXIS:
        raise _fail(name, value, f"must end at {LONGEST_AXIS} at most on each axis")
    return roi


def parse_normalization(name: str, value: Any) -> Normalization:
    """Return ``auto``, ``robust``, ``field``, ``published`` or ``b,s`` in grey levels."""
    text = parse_text(name, value)
    match text.strip().lower():
        case "auto" | "published" | "robust" | "field" as kind:
            return Normalization(kind, spelling=text)
        case pair:
            try:
                level, sd = (float(part) for part in pair.split(","))
            except ValueError:
                level = sd = math.nan
    if math.isfinite(level) and math.isfinite(sd) and sd > 0:
        return Normalization("given", level, sd, text)
    message = (
        f"normalization {text!r} is none of 'auto', 'robust', 'field', 'published' and "
        "'b,s': background level and noise SD in grey levels, s above 0"
    )
    raise ConfigError(message)


def parse_bytes(name: str, value: Any) -> int:
    """Return a number of bytes: ``16GB``, ``16GiB`` or plain bytes."""
    match = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]?i?)b?\s*", str(value).lower())
    if match:
        try:
            number = float(match[1]) * {**_UNITS, **_BINARY}[match[2]]
        except (KeyError, ValueError):
            number = math.nan
        if number <= _LARGEST:
            return int(number)
    raise _fail(name, value, "expected a size such as 16GB")


def parse_duration(name: str, value: Any) -> float:
    """Return seconds: ``90s``, ``10m``, ``1h30m`` or plain seconds."""
    text = str(value).strip().lower()
    match = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", text)
    try:
        if match and text:
            hours, minutes, seconds = (float(part or 0) for part in match.groups())
            if 0 < (total := 3600 * hours + 60 * minutes + seconds) <= _LARGEST:
                return total
    except ValueError:
        pass
    raise _fail(name, value, "expected a duration above 0, such as 10m or 1h30m")


def parse_limit(name: str, value: Any) -> float:
    """Return seconds as :func:`parse_duration` does; 0 for ``off``, which is no limit."""
    if str(value).strip().lower() in ("off", "0", "0.0"):
        return 0.0
    return parse_duration(name, value)


def parse_share(name: str, value: Any) -> str:
    """Return which of so many parts: ``2/8``."""
    try:
        return str(Share.parse(str(value)))
    except GeometryError as error:
        raise _fail(name, value, "expected I/N, as in 2/8") from error


def parse_label_map(name: str, value: Any) -> dict[int | str, int]:
    """Return the new value of each label: ``0:255,2:1``, ``others:1``, or a mapping."""
    expected = (
        "expected FROM:TO,… with FROM a value or others, and TO 0 background, 1 neurite or "
        "255 ignored"
    )
    try:
        pairs = (
            list(value.items())
            if isinstance(value, Mapping)
            else [part.split(":") for part in _parts(value)]
        )
        found = {
            "others" if str(old).strip() == "others" else _whole(old): _whole(new)
            for old, new in pairs
        }
    except (ValueError, TypeError):
        raise _fail(name, value, expected) from None
    if not found or not set(found.values()) <= {0, 1, 255}:
        raise _fail(name, value, expected)
    return found


def parse_shares(name: str, value: Any) -> tuple[float, ...]:
    """Return positive numbers, one a source: ``0.7,0.3`` or a list."""
    try:
        shares = tuple(float(part) for part in _parts(value))
    except ValueError:
        raise _fail(name, value, "expected a number for each source") from None
    if not all(math.isfinite(share) and share > 0 for share in shares):
        raise _fail(name, value, "each must be above 0")
    return shares


def parse_range(name: str, value: Any) -> tuple[float, float]:
    """Return two numbers with 0 between them: ``-5,20`` or a list."""
    try:
        low, high = (float(part) for part in _parts(value))
    except ValueError:
        raise _fail(name, value, "expected LOW,HIGH") from None
    if not low < 0 < high:
        raise _fail(name, value, "0 must lie inside")
    return low, high


def _whole(value: Any) -> int:
    """Return a whole number that is written as one; raises ValueError of any other."""
    return int(_shown(value))


def _parts(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [_shown(part) for part in value]
    return [part.strip() for part in _shown(value).split(",")]
