"""Types of the options as keywords of Python: ``python -m blockseg.interface.keywords``.

Written to ``blockseg/interface/options.py`` from the options' one declaration; a test
compares.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from blockseg.config.checks_settings import AuditSettings, DebugSettings, VerifySettings
from blockseg.config.declare import declared
from blockseg.config.evaluate_settings import EvaluateSettings
from blockseg.config.label_settings import LabelSettings
from blockseg.config.propose_settings import ProposeSettings
from blockseg.config.settings import RunSettings
from blockseg.config.skeletonize_settings import SkeletonizeSettings
from blockseg.config.train_settings import TrainSettings
from blockseg.config.view_settings import PreviewSettings, ThresholdSettings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

KINDS: dict[str, type[DataclassInstance]] = {
    "RunOptions": RunSettings,
    "TrainOptions": TrainSettings,
    "ProposeOptions": ProposeSettings,
    "LabelOptions": LabelSettings,
    "SkeletonizeOptions": SkeletonizeSettings,
    "ThresholdOptions": ThresholdSettings,
    "PreviewOptions": PreviewSettings,
    "EvaluateOptions": EvaluateSettings,
    "VerifyOptions": VerifySettings,
    "AuditOptions": AuditSettings,
    "DebugOptions": DebugSettings,
}
"""Names of the types, and the settings that each has the options of."""

_HEAD = '''"""Options as keywords, by command; made by ``python -m blockseg.interface.keywords``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
'''
_PLAIN = {"int", "float", "bool", "str"}
_WORDS = "str | os.PathLike[str]"
_MANY = "Sequence[Any] | int | str"


def keywords() -> str:
    """Return ``blockseg/interface/options.py``."""
    return _HEAD + "".join(_of(name, kind) for name, kind in KINDS.items())


def _of(name: str, kind: type[DataclassInstance]) -> str:
    types = {field.name: str(field.type) for field in fields(kind)}
    lines = [f"    {option}: {_type(types[option])}\n" for option in declared(kind)]
    head = f'\n\nclass {name}(TypedDict, total=False):\n    """Options of :class:`{kind.__name__}`."""\n\n'
    return head + "".join(lines)


def _type(annotation: str) -> str:
    """Return the type that Python accepts for an option."""
    bare = annotation.removesuffix(" | None")
    end = " | None" if bare != annotation else ""
    if bare == "str" or bare.startswith("Literal") or bare.endswith("Name"):
        return _WORDS + end
    if bare in _PLAIN:
        return bare + end
    if bare in ("Zyx", "Vector") or bare.startswith("tuple["):
        return _MANY + end
    return "Any"


if __name__ == "__main__":
    sys.stdout.write(keywords())
