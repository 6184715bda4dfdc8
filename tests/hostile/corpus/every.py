"""All hostile inputs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tests.hostile.corpus import (
    expanding,
    formats,
    networks,
    records,
    settings,
    tables,
    tiffs,
    volumes,
)

if TYPE_CHECKING:
    from tests.hostile.case import Case


@cache
def every_case() -> tuple[Case, ...]:
    """Return all cases, in the order of their areas; the same ones every time."""
    modules = (
        volumes, expanding, tiffs, formats, settings, networks, tables, records
    )  # fmt: skip
    return tuple(case for module in modules for case in module.cases())
