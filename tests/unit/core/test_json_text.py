"""What is wrong with somebody else's document, in words."""

import pytest

from blockseg.core.errors import ConfigError
from blockseg.core.untrusted.json_text import shortened


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("shape"), "'shape' is missing or unknown"),
        (ValueError("[1.5] is no list\n of whole numbers"), "[1.5] is no list of"),
        (ValueError(""), "ValueError('')"),
        (ConfigError("no axes"), "no axes"),
        (OSError(22, "it is a pipe, not a file"), "it is a pipe, not a file"),
        (IndexError("list index out of range"), "a list in it is too short"),
        (TypeError("'int' object is not iterable"), "of another type than it must be"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError('by zero')"),
    ],
)
def test_errors_of_documents_are_told_in_words(error, said):
    assert said in shortened(error)


def test_no_text_of_a_document_is_an_order_to_the_terminal_or_longer_than_a_line():
    text = shortened(ValueError("\x1b[2J\ud800" + "x" * 1000))
    assert text.startswith(r"\x1b[2J\ud800xxx")
    assert len(text) == 200
