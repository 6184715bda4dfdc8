"""The reference page of the options, made from their declarations."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from blockseg.config.checks_settings import (
    AuditSettings,
    DebugSettings,
    VerifySettings,
)
from blockseg.config.declare import declared
from blockseg.config.evaluate_settings import EvaluateSettings
from blockseg.config.export_settings import ExportSettings
from blockseg.config.label_settings import LabelSettings
from blockseg.config.propose_settings import AnnotateSettings, ProposeSettings
from blockseg.config.regions_settings import (
    CompareSettings,
    DensitySettings,
    RegionsSettings,
)
from blockseg.config.settings import RunSettings
from blockseg.config.skeletonize_settings import SkeletonizeSettings
from blockseg.config.synth_settings import SynthSettings
from blockseg.config.train_settings import TrainSettings
from blockseg.config.view_settings import (
    PreviewSettings,
    ThresholdSettings,
    ViewSettings,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_HEAD = """# Options

Made by `python -m blockseg.config.reference > docs/reference.md`; a test compares.
On the command line, as a key in YAML where a command takes `--config`, and in Python. `run`, `plan` and `predict` take all
options of `run`; *also of* names the other commands that take one.
"""
_COMMANDS = {
    "run": RunSettings,
    "train": TrainSettings,
    "synth": SynthSettings,
    "skeletonize": SkeletonizeSettings,
    "propose-annotations": ProposeSettings,
    "annotate": AnnotateSettings,
    "evaluate": EvaluateSettings,
    "label": LabelSettings,
    "threshold": ThresholdSettings,
    "preview": PreviewSettings,
    "regions": RegionsSettings,
    "density": DensitySettings,
    "export": ExportSettings,
    "view": ViewSettings,
    "compare": CompareSettings,
    "verify": VerifySettings,
    "audit-seams": AuditSettings,
    "debug": DebugSettings,
}


def reference() -> str:
    """Return ``docs/reference.md``."""
    return _HEAD + "".join(
        f"\n## `blockseg {command}`: `{settings.__name__}`\n\n{_table(settings)}"
        for command, settings in _COMMANDS.items()
    )


def _table(settings: type[DataclassInstance]) -> str:
    lines = [
        "| option | YAML | value | type | unit | default | also of | help |",
        "|---|---|---|---|---|---|---|---|",
    ]
    by_name = {field.name: field for field in fields(settings)}
    for name, option in declared(settings).items():
        field = by_name[name]
        key = name.replace("_", "-")
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
