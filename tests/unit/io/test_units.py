from __future__ import annotations

import pytest

from blockseg.io.units import micrometres


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("micrometer", 1.0),
        ("Micrometre", 1.0),
        ("micrometers", 1.0),
        ("um", 1.0),
        ("µm", 1.0),
        ("μm", 1.0),
        ("\\u00B5m", 1.0),
        ("micron", 1.0),
        ("microns", 1.0),
        ("nm", 1e-3),
        ("nanometer", 1e-3),
        ("mm", 1e3),
        ("millimetres", 1e3),
        ("m", 1e6),
        ("Å", 1e-4),
        ("angstrom", 1e-4),
        ("inch", 25_400.0),
        ("pixel", None),
        ("second", None),
        ("s", None),
        ("", None),
        (None, None),
        (3, None),
    ],
)
def test_lengths_are_understood_however_they_are_spelt(
    unit: object, expected: float | None
) -> None:
    assert micrometres(unit) == expected
