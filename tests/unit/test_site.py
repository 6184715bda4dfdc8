"""The site of the pages: it builds without a warning, and a broken link is one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs the extra docs")
pytest.importorskip("myst_parser", reason="needs the extra docs")

DOCS = Path(__file__).parents[2] / "docs"
EXTENSIONS = DOCS / "_ext"


def build(pages: Path, site: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Sphinx as ``make docs`` does."""
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q"]
    paths = [str(EXTENSIONS), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [*command, "-b", "html", *options, str(pages), str(site)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_has_every_page(tmp_path):
    pytest.importorskip("furo", reason="needs the extra docs")
    done = build(DOCS, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    pages = [*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]
    sites = [tmp_path / page.relative_to(DOCS).with_suffix(".html") for page in pages]
    assert [site for site in sites if not site.is_file()] == []
    assert "https://" not in "".join(
        line
        for line in (tmp_path / "index.html").read_text("utf-8").splitlines()
        if "<script" in line or "stylesheet" in line
    )


@pytest.fixture
def repository(tmp_path):
    """A repository with two pages and a file beside them."""
    pages = tmp_path / "docs"
    pages.mkdir()
    (tmp_path / "code.py").write_text("")
    (tmp_path / "README.md").write_text("# Read\n")
    (pages / "other.md").write_text("# Other\n\n## Part\n\nText.\n")
    return pages


def build_page(
    pages: Path, text: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Build a site whose first page has this text."""
    tree = "\n\n```{toctree}\nother\n```\n"
    (pages / "index.md").write_text(f"# Index\n\n{text}{tree}")
    plain = ("-C", "-D", "extensions=myst_parser,repository_links")
    anchors = ("-D", "myst_heading_anchors=3")
    return build(pages, pages.parent / "site", *plain, *anchors, *options)


def test_broken_links_of_every_kind_are_told(repository):
    done = build_page(
        repository,
        "[a](gone.md), [b](other.md#gone), [c](../gone.py), [d](../GONE.md), "
        "[e](../../outside.txt), [f](gone.py), [g](#gone)",
    )
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "index.md:3: WARNING" in line]
    assert len(told) == 7, done.stderr


def test_files_beside_the_pages_are_linked_where_the_repository_can_be_seen(repository):
    text = (
        "[`code.py`](../code.py), [what to read](../README.md), [Part](other.md#part)"
    )
    done = build_page(
        repository, text, "-D", "repository=https://example.org/blob/main"
    )
    assert (done.returncode, done.stderr) == (0, "")
    page = (repository.parent / "site/index.html").read_text("utf-8")
    assert 'href="https://example.org/blob/main/code.py"' in page
    assert 'href="https://example.org/blob/main/README.md"' in page
    assert 'href="other.html#part"' in page


def test_files_beside_the_pages_are_text_where_it_cannot(repository):
    done = build_page(repository, "[`code.py`](../code.py), [read](../README.md)")
    assert (done.returncode, done.stderr) == (0, "")
    page = (repository.parent / "site/index.html").read_text("utf-8")
    assert 'title="code.py"' in page
    assert 'href="../' not in page
    assert not (repository.parent / "site/_downloads").exists()


def test_a_notebook_becomes_a_page_and_hides_no_results(monkeypatch):
    monkeypatch.syspath_prepend(EXTENSIONS)
    from notebooks import as_markdown  # type: ignore[import-not-found]

    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Text."]},
        {"cell_type": "code", "source": ["a = 1\n", "a"], "outputs": []},
    ]
    markdown = as_markdown(json.dumps({"cells": cells}))
    assert markdown == "# Title\nText.\n\n```python\na = 1\na\n```\n"
    cells[1]["outputs"] = [{"output_type": "stream"}]  # type: ignore[list-item]
    with pytest.raises(ValueError, match="keeps results"):
        as_markdown(json.dumps({"cells": cells}))
