"""YAML of settings, read strictly: what is written is what is meant, and little of it."""

from __future__ import annotations

import re
from typing import Any

import yaml

_DEEPEST = 8
"""Lists and tables inside each other."""

_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_DIGITS = 40  # of a number; larger ones than all that may be set


class _StrictLoader(yaml.SafeLoader):
    """Loader of plain values that leaves out what surprises, and refuses what expands."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Build a node; no deeper than settings are, and no list or table twice."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            name = event.anchor
            if not isinstance(self.anchors.get(name), yaml.ScalarNode):
                what = f"*{name} repeats a list or a table; write it out"
                raise _refused(what, event.start_mark)
        self.depth += 1
        if self.depth > _DEEPEST:
            what = f"lists and tables are nested more than {_DEEPEST} deep"
            raise _refused(what, event.start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node; numbers as they are written, keys once each."""
        if isinstance(node, yaml.ScalarNode):
            number = node.tag.endswith((":int", ":float"))
            if number and _SEXAGESIMAL.fullmatch(node.value):
                return node.value  # 1:30 is no 90
            if number and len(node.value) > _DIGITS:
                what = f"a number of {len(node.value)} digits"
                raise _refused(what, node.start_mark)
        if isinstance(node, yaml.MappingNode):
            self._refuse_repeated(node)
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, OverflowError) as error:
            # As of a date in a thirteenth month.
            raise _refused(str(error), node.start_mark) from error

    def _refuse_repeated(self, node: yaml.MappingNode) -> None:
        keys = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else key
            if name in keys:
                what = f"{key.value!r} stands twice"
                raise _refused(what, key.start_mark)
            keys.add(name)


def parse_yaml(text: str) -> Any:
    """Return the values of a YAML document of settings.

    Stricter than YAML 1.1: a key stands once, an alias stands for one value and not for
    lists or tables, and ``1:30`` is a text and not 90.

    Raises
    ------
    ValueError
        If it is no YAML or none of settings; says the line.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def _refused(what: str, mark: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=mark)
