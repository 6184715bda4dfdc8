"""The reference page of the options, made from their declarations."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from blockseg.config.declare import declared
from blockseg.config.settings import RunSettings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["reference"]

_HEAD = """# Options of `blockseg run`

Made by `python -m blockseg.config.reference > docs/reference.md`; a test compares.
On the command line, as a key in YAML, and as a field of `RunSettings` in Python. `run`, `plan` and `predict` take all
of them; *also of* names the other commands that take one.
"""


def reference() -> str:
    """Return ``docs/reference.md``."""
    return f"{_HEAD}\n{_table(RunSettings)}"


def _table(settings: type[DataclassInstance]) -> str:
    lines = [
        "| option | YAML | value | type | unit | default | also of | help |",
        "|---|---|---|---|---|---|---|---|",
    ]
    said = declared(settings)
    for field in fields(settings):
        option = said[field.name]
        key = field.name.replace("_", "-")
        flags = ", ".join(
            f"`{flag}`" for flag in option.flags or (f"--{key}",) if flag[0] == "-"
        )
        cells = (
            flags,
            f"`{key}`",
            f"`{option.metavar}`" if option.metavar else "",
            f"`{field.type}`",
            option.unit,
            f"`{field.default}`",
            ", ".join(f"`{command}`" for command in option.also),
            option.help,
        )
        row = " | ".join(cell.replace("|", "\\|") for cell in cells)
        lines.append(f"| {row} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
