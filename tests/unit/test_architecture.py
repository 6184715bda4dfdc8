"""What the documents say of the tree is so."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"^```python\n# (\S+)\n(.*?)^```", CONTRIBUTING, re.MULTILINE | re.DOTALL
)
STEPS = re.findall(
    r"^\d+\. `([\w/]+\.py)`: (.*)$",
    ARCHITECTURE.partition("## The way through the code")[2].partition("\n## ")[0],
    re.MULTILINE,
)

_COLUMN = 38  # of the drawing at which the words begin
_NO_PACKAGES = {"blockseg", "__init__", "py", "_commands"}


def names_in(text):
    """Return the files and folders that a text names in code."""
    return re.findall(r"`([\w./-]+(?:\.py|/))`", text)


def exists(name):
    """Return whether a name is a file of the clone, of the library, or of OUT."""
    if name.startswith(".blockseg"):
        return True
    if (ROOT / name).exists() or (ROOT / "blockseg" / name).exists():
        return True
    return "/" not in name.rstrip("/") and any((ROOT / "blockseg").rglob(name))


def imported_by(path):
    """Return the modules that a file imports when it runs, as paths from the root."""
    found = set()
    waiting = [ast.parse((ROOT / path).read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom):
            package = str(Path(path).parent) if node.level else ""
            module = "/".join(filter(None, [package, *(node.module or "").split(".")]))
            found.add(f"{module}.py")
            found.update(f"{module}/{name.name}.py" for name in node.names)
        waiting.extend(ast.iter_child_nodes(node))
    return found


@pytest.mark.parametrize("text", [ARCHITECTURE, CONTRIBUTING], ids=["tree", "adding"])
def test_every_file_that_is_named_exists(text):
    assert [name for name in names_in(text) if not exists(name)] == []


def test_the_floors_that_are_drawn_are_those_of_the_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = contracts["tool"]["importlinter"]["contracts"][0]["layers"]
    drawn = ARCHITECTURE.partition("```\n")[2].partition("```")[0]
    floors: list[set[str]] = []
    for line in drawn.splitlines():
        names = set(re.findall(r"[a-z_]+", line[:_COLUMN]))
        if line.startswith(" "):
            floors[-1] |= names
        else:
            floors.append(names)
    expected = [set(re.findall(r"(?:blockseg\.)?(\w+)", layer)) for layer in layers]
    assert [floor - _NO_PACKAGES for floor in floors] == [
        {name for name in floor if not name.endswith("_commands")} for floor in expected
    ]


@pytest.mark.parametrize(("path", "code"), EXAMPLES)
def test_examples_are_code_of_this_repository(path, code):
    lines = {line.strip() for line in (ROOT / path).read_text("utf-8").splitlines()}
    shown = [line.strip() for line in code.splitlines()]
    assert [line for line in shown if line not in {"", "..."} | lines] == []


def test_every_example_says_where_it_stands():
    assert len(EXAMPLES) == CONTRIBUTING.count("```python")


def test_the_architecture_is_read_in_one_sitting():
    assert len(ARCHITECTURE.splitlines()) <= 200


def test_a_reader_opens_at_most_35_files_from_the_command_to_the_shard():
    paths = [path for path, _ in STEPS]
    assert 20 <= len(paths) <= 35
    assert len(set(paths)) == len(paths)
    assert paths[0].startswith("cli/")
    assert paths[-1].startswith("blockseg/io/output/")


@pytest.mark.parametrize("number", range(1, len(STEPS)))
def test_each_file_is_imported_or_loaded_by_an_earlier_one(number):
    path, words = STEPS[number]
    earlier = [name for name, _ in STEPS[:number]]
    loader = re.search(r"loaded by .*`([\w/]+\.py)`", words)
    if loader is None:
        assert any(path in imported_by(name) for name in earlier)
        return
    assert loader[1] in earlier
    source = (ROOT / loader[1]).read_text(encoding="utf-8")
    module = path.removesuffix(".py").replace("/", ".")
    last = ".".join(module.split(".")[-2:])
    named = (f'"{module.split(".")[-1]}"', f"{last}:", f"{module}:")
    assert any(name in source for name in named)
