"""Pages say what the outcomes say, and name the faults that there are."""

import re

from tests.faults import runner
from tests.faults.report import PAGE, ROOT, page
from tests.faults.table import FAULTS

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
