"""Hostile input is told in one line or taken for what it is.

All of it in this process, where a traceback, a wrong result taken for right, an error after
something was written and chatter show; some of each area as a child process, where limits of
time and memory hold. ``python -m tests.hostile`` does all as child processes.
"""

import random
from collections import defaultdict

import pytest

from tests.hostile.case import Stock
from tests.hostile.child import ask
from tests.hostile.corpus.every import every_case
from tests.hostile.here import ask_here
from tests.hostile.judge import GOOD, judged
from tests.hostile.stock import make_stock

CASES = every_case()
LARGE = (
    "180 MB", "200 MB", "65 MB", "1 TB", "10⁵ axes", "10⁵ transformations",
    "10⁵ multiscales", "a scheduler that is none",
)  # fmt: skip
"""Inputs for the command, which has time for them."""


def quick(case):
    return not any(size in case.title for size in LARGE)


def areas():
    found = defaultdict(list)
    for case in filter(quick, CASES):
        found[case.area].append(case)
    return dict(found)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return make_stock(tmp_path_factory.mktemp("hostile") / "sound")


def test_there_are_as_many_inputs_as_are_promised():
    assert len({case.name for case in CASES}) == len(CASES) >= 150


@pytest.mark.parametrize("area", areas())
def test_hostile_input_is_told_in_one_line(area, sound, tmp_path, blockseg_command):
    wrong = []
    for number, case in enumerate(areas()[area]):
        folder = tmp_path / str(number)
        folder.mkdir()
        answer = ask_here(case, Stock(sound, folder), blockseg_command)
        verdict, line = judged(case, answer, None)
        if verdict not in GOOD:
            wrong.append((verdict, case.name, line))
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("area", list(areas())[::2])
def test_so_it_is_in_a_process_of_its_own(area, sound, tmp_path):
    case = random.Random(area).choice(areas()[area])
    answer = ask(case, Stock(sound, tmp_path), 600.0)
    verdict, line = judged(case, answer, None)
    assert verdict in GOOD, (verdict, case.name, line)
