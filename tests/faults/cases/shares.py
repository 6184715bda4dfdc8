"""Drivers that do a part of one output each, and what puts the parts together, killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.child import start
from tests.faults.lab import BLOCKS, SERIAL, SLOW, no_traceback
from tests.faults.table import fault

if TYPE_CHECKING:
    from tests.faults.child import Child
    from tests.faults.lab import Lab

PARTS = ("1/2", "2/2")
FINALIZE = ("finalize", "{out}")


@fault("drivers of parts, one or both killed", ci=True)
def drivers_killed(lab: Lab) -> None:
    # At once, so that they race for the plan and for the metadata of the output.
    drivers = {part: started(lab, part) for part in PARTS}
    victims = lab.dice.choice([PARTS[:1], PARTS[1:], PARTS])
    first = drivers[victims[0]]
    if lab.dice.random() < 0.5:
        first.sleep(lab.dice.uniform(0.0, 5.0))
    else:
        first.until_done(lab.dice.randrange(BLOCKS // 2))
    for part in victims:
        drivers[part].kill()
    lab.note(f"{' and '.join(victims)} after {first.done()} of {BLOCKS // 2} blocks")
    for part in PARTS:
        if part not in victims:
            assert drivers[part].wait() == 0, drivers[part].said
            no_traceback(drivers[part])
    for part in victims:
        lab.resume(*SERIAL, "--part", part)
    lab.resume(command=FINALIZE)
    lab.check()


@fault("finalize killed")
def finalize_killed(lab: Lab) -> None:
    for part in PARTS:
        lab.resume(*SERIAL, "--part", part)
    words = lab.words(*SERIAL, command=FINALIZE)
    child = start(lab.folder, *words, BLOCKSEG_FAKE_TROUBLE=SLOW)
    lab.children.append(child)
    child.sleep(lab.dice.uniform(0.5, 5.0))
    child.kill()
    lab.resume(command=FINALIZE)
    lab.check()


@fault("two drivers of one part")
def same_part(lab: Lab) -> None:
    drivers = [started(lab, PARTS[0]) for _ in range(2)]
    codes = sorted(driver.wait() for driver in drivers)
    assert codes in ([0, 0], [0, 1]), f"{codes} {[d.said for d in drivers]}"
    for driver in drivers:
        no_traceback(driver)
    if codes == [0, 1]:
        assert any("another run" in driver.said for driver in drivers)
    lab.resume(*SERIAL, "--part", PARTS[1])
    lab.resume(command=FINALIZE)
    lab.check()


def started(lab: Lab, part: str) -> Child:
    return lab.start("--workers", "1", "--part", part)
