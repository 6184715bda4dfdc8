"""The page of faults says what the outcomes say."""

from tests.faults.report import PAGE, page


def test_the_page_is_what_the_outcomes_say():
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text
