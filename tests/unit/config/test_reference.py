from pathlib import Path

from blockseg.config.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "reference.md"


def test_the_committed_reference_is_what_the_declarations_say():
    assert PAGE.read_text(encoding="utf-8") == reference()
