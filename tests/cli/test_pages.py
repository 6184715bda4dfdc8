"""Commands that the documents show are commands of blockseg, with options that it has."""

import re
import shlex
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shown(page):
    """Yield the words after ``blockseg`` of each command in a page's blocks of code."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for command in line.partition("  #")[0].split("&&"):
                _, _, words = command.strip().rpartition("$ ")
                if words.startswith("blockseg "):
                    yield shlex.split(words)[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_shows_exist_with_their_options(blockseg_command, page):
    unknown = []
    for words in shown(page):
        command, rest = blockseg_command, words
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            command, rest = (
                command.get_command(click.Context(command), rest[0]),
                rest[1:],
            )
        known = {"--help", "--help-all"}
        if command is not None:
            known |= {
                flag
                for one in command.params
                for flag in (*one.opts, *one.secondary_opts)
            }
        if words[0] == "submit" and "run" in rest:
            rest = rest[: rest.index("run")]
        options = [word.partition("=")[0] for word in rest if word.startswith("--")]
        if command is None or set(options) - known:
            unknown.append(shlex.join(words))
    assert unknown == []


def test_pages_show_commands():
    assert sum(1 for page in PAGES for _ in shown(page)) > 100
