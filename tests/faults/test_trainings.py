"""One fault of each kind; ``python -m tests.faults`` makes hundreds."""

import pytest

from tests.faults.cases import trainings
from tests.faults.table import FAULTS

pytestmark = [pytest.mark.dask, pytest.mark.slow]

OURS = [
    fault.name
    for fault in FAULTS.values()
    if fault.ci and fault.make.__module__ == trainings.__name__
]


@pytest.mark.parametrize("name", OURS)
def test_nothing_is_lost_wrong_or_left_hanging(make_fault, name):
    make_fault(name)
