"""Words of the library: what its docstrings may not begin with."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "blockseg").rglob("*.py")) + sorted(
    (ROOT / "cli").rglob("*.py")
)
NO_NOUN = re.compile(
    r"(Annotate|Build|Check|Choose|Compare|Compile|Count|Divide|Do|Draw|Everything|"
    r"Find|Fit|Fold|From|Go|Halve|How|In|Judge|Keep|Lay|Look|Make|Of|Pick|Read|Run|"
    r"Say|Segment|Show|Take|Tell|Train|Try|Turn|Vary|Walk|What|When|Where|Whether|"
    r"Which|Who|Whose|Write) "
)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def docstrings(path: Path) -> Iterator[str]:
    """Those of modules, classes, functions, fields and constants."""
    for node in ast.walk(tree(path)):
        body = getattr(node, "body", ())
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(ast.Constant(str(text))):
                    yield text


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_begins_with_a_noun_phrase_on_one_line(path):
    text = ast.get_docstring(tree(path), clean=False) or ""
    first = text.split("\n", 1)[0]
    assert not NO_NOUN.match(first)
    assert first.endswith(".")
    assert text == first or text.startswith(f"{first}\n\n")


@pytest.mark.parametrize("beginning", ["What ", "Of ", "By what "])
def test_no_docstring_begins_where_a_noun_should_stand(beginning):
    found = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in MODULES
        for text in docstrings(path)
        if text.startswith(beginning)
    ]
    assert not found
