"""Any bytes in the place of what our parsers read; ``python -m tests.fuzz`` goes deeper."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

ROUNDS = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
BYTES = st.one_of(st.binary(max_size=12), st.sampled_from(
    [b"-1", b"1e999", b"nan", b"\xff\xfe", b"\0", b"\n\n", b'"', b"[" * 200, b"9" * 400]
))  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
@ROUNDS
@given(data=st.data())
def test_changed_bytes_are_read_or_refused_in_one_line(name, tmp_path_factory, data):
    seed = data.draw(st.sampled_from(TARGETS[name].seeds))
    start = data.draw(st.integers(0, len(seed)))
    stop = min(start + data.draw(st.integers(0, 16)), len(seed))
    changed = seed[:start] + data.draw(BYTES) + seed[stop:]
    TARGETS[name].parse(changed, tmp_path_factory.mktemp("parser"))


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_fuzzer_begins_with_is_sound_enough_to_be_parsed(name, tmp_path):
    for number, seed in enumerate(TARGETS[name].seeds):
        folder = tmp_path / str(number)
        folder.mkdir()
        TARGETS[name].parse(seed, folder)
