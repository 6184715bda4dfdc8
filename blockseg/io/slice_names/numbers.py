"""Numbers that stand in the same place of many names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from blockseg.io.slice_names.steps import steps_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

Kind: TypeAlias = Literal["number", "clock", "word"]

# A sign or a fraction belongs to a number only where the names as a whole say so.
NUMBER = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?)")

STAMP = 12
"""Digits from which a number that is not padded is a time."""

_LABEL = re.compile(r"([A-Z]+|[A-Z]?[a-z]+)[ _=-]?$")
_UNIT = re.compile(r"(?:[uµμ]m|mm|microns?)(?![a-z])", re.IGNORECASE)
_BEFORE_SIGNS = ("_", "/", "=", "(", "[")
_BETWEEN_TIMES = re.compile(r"[-_:. hmT]?$")
_LIMITS = (24, 60, 60)  # of hours, minutes and seconds
_DIGITS = 18  # that fit in 64 bits
_WRAPS = 45  # a field that runs over 60 has values beyond this one


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A part of the names that varies."""

    kind: Kind
    """Kind; a clock never counts planes where anything else does."""

    label: str
    """Letters right before it, lower case; empty if there are none."""

    codes: NDArray[np.int64] = field(repr=False)
    """Rank of the value, one a name."""

    values: tuple[int, ...] = field(repr=False)
    """Sorted numbers, one a rank, in units of the last decimal; empty for words."""

    texts: tuple[str, ...] = field(repr=False)
    """Spelling of each value where it stands first, one a rank."""

    decimals: int = 0
    """Digits behind the point."""

    measured: bool = False
    """Whether a unit of length follows."""

    @property
    def distinct(self) -> int:
        """Number of values."""
        return len(self.texts)

    def shown_texts(self) -> list[str]:
        """Return its values for people to read."""
        return _words(self.texts) if self.kind == "word" else list(self.texts)

    def shown(self) -> str:
        """Return its label and values for people to read."""
        texts = self.shown_texts()
        few = texts if len(texts) <= 4 else [texts[0], "…", texts[-1]]
        listed = ", ".join(few).replace(", …, ", "…")
        return f"{self.label.upper()} {listed}".strip()

    def written(self, value: float) -> str:
        """Return a number as the names write them."""
        if self.decimals:
            return f"{value / 10**self.decimals:.{self.decimals}f}"
        widths = {len(text) for text in self.texts}
        padded = len(widths) == 1 and value >= 0
        return f"{round(value):0{widths.pop() if padded else 1}d}"


def common_start(texts: Iterable[str]) -> str:
    """Return the common beginning of all texts."""
    texts = list(texts)
    low, high = min(texts), max(texts)
    pairs = enumerate(zip(low, high, strict=False))
    end = next((i for i, (a, b) in pairs if a != b), min(len(low), len(high)))
    return low[:end]


def _words(texts: Sequence[str]) -> list[str]:
    """Return texts without the words that all of them begin or end with."""
    backwards = common_start([text[::-1] for text in texts])
    start = len(re.sub(r"[^ _./-]*$", "", common_start(texts)))
    end = len(re.sub(r"[^ _./-]*$", "", backwards))
    cut = (text[start : max(start, len(text) - end)] for text in texts)
    return [text.strip(" _-./") or "(nothing)" for text in cut]


def label_of(before: str) -> str:
    """Return the letters that end a text, lower case."""
    label = _LABEL.search(before)
    return label[1].lower() if label else ""


def measures(after: str) -> bool:
    """Say whether a text begins with a unit of length."""
    return _UNIT.match(after) is not None


def is_signed(before: str, token: str) -> bool:
    """Say whether a dash in front of a number is its sign, and joins no words.

    Parameters
    ----------
    before
        Text before the dash, "/" at the start of a name.
    token
        The number, or what it begins with.
    """
    decimals = "." in token and before.endswith(" ")
    return before.endswith(_BEFORE_SIGNS) or decimals


def read_column(before: str, tokens: list[str], after: str) -> list[Field]:
    """Return the number of a column, or the two on both sides of a point.

    Parameters
    ----------
    before, after
        Text around it.
    tokens
        As ``NUMBER`` finds them, one a name.
    """
    distinct = dict.fromkeys(tokens)
    signs = {token[0] if token[0] in "+-" else "" for token in distinct}
    if len(signs) == 1 and signs != {""} and not is_signed(before, tokens[0]):
        # A dash between words.
        tokens = [token[1:] for token in tokens]
        distinct = dict.fromkeys(tokens)
    fractions = {len(token.partition(".")[2]) for token in distinct}
    if fractions == {0}:
        return [_number(before, tokens, after)]
    whole = _number(before, tokens, after)
    if 0 in fractions or (_UNIT.match(after) and len(distinct) > 1) or _even(whole):
        return [whole]
    ahead, behind = zip(*(token.split(".") for token in tokens), strict=True)
    return [_number(before, list(ahead), "."), _number(".", list(behind), after)]


def _even(number: Field) -> bool:
    """Say whether numbers with a point are decimals in equal steps, not pairs of counters."""
    whole = np.unique([int(text.partition(".")[0]) for text in number.texts])
    steps = steps_of(number.values)
    if len(whole) < 2 or steps is None or steps.missing >= number.distinct:
        return False
    counted = len(whole) == number.distinct and np.all(np.diff(whole) == 1)
    return not counted or len(set(np.diff(number.values).tolist())) == 1


def _number(before: str, tokens: list[str], after: str) -> Field:
    longest = len(max(tokens, key=len))
    stamp = longest >= STAMP and not any(token.startswith("0") for token in tokens)
    decimals = max(len(token.partition(".")[2]) for token in tokens)
    read = (
        [_scaled(token, decimals) for token in tokens] if decimals else map(int, tokens)
    )
    # Beyond 64 bits NumPy keeps Python's integers.
    numbers = np.array(list(read), np.int64 if longest + decimals < _DIGITS else object)
    values, first, codes = np.unique(numbers, return_index=True, return_inverse=True)
    return Field(
        "clock" if stamp else "number",
        label_of(before),
        codes.astype(np.int64),
        tuple(values.tolist()),
        tuple(tokens[i] for i in first.tolist()),
        decimals,
        measures(after),
    )


def _scaled(text: str, decimals: int) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(decimals, "0"))


def varying(found: Sequence[tuple[Field, str]]) -> list[Field]:
    """Return the numbers that vary, those of a time of day as one.

    Parameters
    ----------
    found
        All numbers of the names in their order, each with the text before it.
    """
    fields: list[Field] = []
    place = 0
    while place < len(found):
        three = found[place : place + 3]
        if _is_clock(three, [one for one, _ in (*found[:place], *found[place + 3 :])]):
            fields.append(_clock([one for one, _ in three]))
            place += 3
            continue
        one, before = found[place]
        dated = place and _is_date(found[place - 1][0]) and _BETWEEN_TIMES.match(before)
        if one.distinct > 1:
            texts = one.texts
            is_time = dated and all(len(t) >= 6 and t.isdecimal() for t in texts)
            fields.append(_clock([one]) if is_time else one)
        place += 1
    return fields


def _is_clock(three: Sequence[tuple[Field, str]], others: Sequence[Field]) -> bool:
    if len(three) < 3:
        return False
    (hours, _), (minutes, first), (seconds, second) = three
    alike = all(
        one.values[-1] < limit and all(len(text) == 2 for text in one.texts)
        for one, limit in zip((hours, minutes, seconds), _LIMITS, strict=True)
    )
    joined = _BETWEEN_TIMES.match(first) and _BETWEEN_TIMES.match(second)
    if not alike or not joined or minutes.distinct < 2 or seconds.values[-1] < _WRAPS:
        return False
    clock = _clock([hours, minutes, seconds])
    if clock.distinct < hours.distinct * minutes.distinct * seconds.distinct:
        return True
    # A full grid is rows, columns and planes, unless another number runs with it.
    order = np.argsort(clock.codes, kind="stable")
    return any(
        one.distinct == len(order) and bool(np.all(np.diff(one.codes[order]) > 0))
        for one in others
    )


def _is_date(one: Field) -> bool:
    return all(len(text) == 8 and text[:2] in ("19", "20") for text in one.texts)


def _clock(parts: list[Field]) -> Field:
    codes = parts[0].codes
    for part in parts[1:]:
        codes = codes * part.distinct + part.codes
    _, first, ranks = np.unique(codes, return_index=True, return_inverse=True)
    texts = tuple(
        "-".join(part.texts[part.codes[i]] for part in parts) for i in first.tolist()
    )
    values = tuple(int(text.replace("-", "")) for text in texts)
    return Field("clock", "", ranks.astype(np.int64), values, texts)
