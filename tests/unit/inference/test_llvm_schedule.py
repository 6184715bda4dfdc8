"""Spans and order of planes, against the network's own rules."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from blockseg.inference.backends.llvm.layers import BY_NAME, LAYERS, needed, spans
from blockseg.inference.backends.llvm.schedule import ZERO, schedule
from blockseg.networks.receptive_field import ALIGNMENT, REACH


@st.composite
def axes(draw: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a core and the volume around it along one axis of a window."""
    length = ALIGNMENT * draw(st.integers(1, 12))
    before = ALIGNMENT * draw(st.integers(0, REACH // ALIGNMENT))
    after = ALIGNMENT * draw(st.integers(-2, REACH // ALIGNMENT))
    stop = max(REACH + ALIGNMENT, REACH + length + after)
    core = (REACH, min(REACH + length, stop))
    return core, (REACH - before, stop)


@given(axes())
def test_a_window_is_wide_enough_for_all_that_is_computed(axis):
    core, volume = axis
    found = spans(core, volume)
    assert found["head"] == core
    assert found["input"][0] >= max(volume[0], core[0] - REACH)
    assert found["input"][1] <= min(volume[1], core[1] + REACH)
    for layer in LAYERS:
        assert volume[0] >> layer.level <= found[layer.name][0]
        assert found[layer.name][1] <= volume[1] >> layer.level


@given(axes())
def test_each_plane_is_made_once_and_there_as_long_as_a_layer_needs_it(axis):
    core, volume = axis
    found = spans(core, volume)
    plan = schedule(found, volume)
    made: dict[str, list[int]] = {layer.name: [] for layer in LAYERS}
    held: dict[tuple[str, int], int] = {}
    for step in plan.steps:
        kind, z = step.layer.kind, step.z
        first, stop = needed(kind, (z, z + 1))
        if kind == "up":
            first, stop = z // 2, (z + 1) // 2 + 1
        for name, slots in zip(step.layer.sources, step.planes, strict=True):
            level = BY_NAME[name].level
            wanted = [
                one if volume[0] >> level <= one < volume[1] >> level else None
                for one in range(first, stop)
            ]
            got = [None if slot == ZERO else held[name, slot] for slot in slots]
            assert got == wanted, (step, wanted)
        made[step.layer.name].append(z)
        held[step.layer.name, step.slot] = z
        assert kind == "head" or step.slot < plan.slots[step.layer.name]
    for layer in LAYERS:
        first, stop = found[layer.name]
        assert made[layer.name] == sorted(set(made[layer.name]))
        assert set(made[layer.name]) <= set(range(first, stop))
    assert made["head"] == list(range(*core))


@given(axes(), st.integers(1, 40))
def test_segments_are_all_steps_and_planes_in_order(axis, height):
    core, volume = axis
    found = spans(core, volume)
    plan = schedule(found, volume)
    segments = plan.segments(height)
    steps = [n for one in segments for n in range(*one.steps)]
    assert steps == list(range(len(plan.steps)))
    assert [z for one in segments for z in range(*one.results)] == list(range(*core))
    for segment in segments:
        own = plan.steps[slice(*segment.steps)]
        asked = [step.z for step in own if step.layer.kind == "input"]
        assert asked == list(range(*segment.planes))
        assert 0 < len(asked) <= height
        done = [step.z for step in own if step.layer.kind == "head"]
        assert done == list(range(*segment.results))


def test_a_large_window_holds_few_planes():
    plan = schedule(spans((32, 544), (0, 576)), (0, 576))
    assert plan.slots["x00.1"] == 31
    assert all(count <= 4 for name, count in plan.slots.items() if name[:2] == "x2")
    assert sum(plan.slots.values()) < 100
