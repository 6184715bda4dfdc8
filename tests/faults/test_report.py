"""Pages say what the outcomes say, and name the faults that there are."""

import re

from tests.faults import runner
from tests.faults.report import PAGE, ROOT, page
from tests.faults.table import FAULTS

NAMED = re.compile(r"\b(tests/[\w/]+\.py)\b")
LINK = re.compile(r"\[([^\]]+)\]\(tests/faults/cases/(\w+)\.py\)")


def test_the_page_is_what_the_outcomes_say():
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text


def test_each_row_of_the_readme_names_the_faults_that_hold_it():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("\n| … | then | held by |\n|---|---|---|\n")
    rows = rest.partition("\n\n")[0].splitlines()
    assert len(rows) > 8
    modules = {module.__name__.rpartition(".")[2]: module for module in runner.MODULES}
    for row in rows:
        links = LINK.findall(row.rpartition(" | ")[2])
        assert links, row
        for names, file in links:
            for name in names.split("; "):
                assert FAULTS[name].make.__module__ == modules[file].__name__, name


def test_each_test_that_a_page_names_is_there():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
    named = {
        (page.relative_to(ROOT).as_posix(), name)
        for page in pages
        for name in NAMED.findall(page.read_text(encoding="utf-8"))
    }
    assert len(named) > 20
    missing = [(page, name) for page, name in named if not (ROOT / name).is_file()]
    assert not missing
