import pickle

from blockseg.synthetic.recent import Recent


class Counted:
    """A function that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def of(self, recent: Recent[str, str], key: str) -> str:
        return recent.get(key, self)

    def __call__(self, key: str) -> str:
        self.asked.append(key)
        return key.upper()


def test_what_was_asked_for_last_is_not_made_again() -> None:
    made, recent = Counted(), Recent[str, str](2)
    for key in "abacab":
        assert made.of(recent, key) == key.upper()
    assert made.asked == ["a", "b", "c", "b"]


def test_a_value_larger_than_all_that_may_be_kept_is_kept_alone() -> None:
    made, recent = Counted(), Recent[str, str](5, size=len)
    for key in ("abc", "abcdefgh", "abcdefgh", "abc"):
        made.of(recent, key)
    assert made.asked == ["abc", "abcdefgh", "abc"]


def test_a_pickle_holds_no_values() -> None:
    made, recent = Counted(), Recent[str, str](2, size=len)
    made.of(recent, "a")
    made.of(pickle.loads(pickle.dumps(recent)), "a")
    assert made.asked == ["a", "a"]
