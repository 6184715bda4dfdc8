"""Results that were damaged at rest, made again by ``blockseg verify OUT --repair``."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

from tests.faults.cases.disks import damage, shards
from tests.faults.check import RESULT, ROWS, check_same
from tests.faults.commands import JOBS, before_and_after, blocks_of
from tests.faults.lab import BLOCKS, OWN, SERIAL
from tests.faults.table import fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.lab import Lab

VERIFY = ("verify", "{out}")
REPAIR = (*VERIFY, "--repair")


def found_and_repaired(lab: Lab, kind: str, columns: str = ROWS) -> None:
    """Let ``verify`` find the damage, repair it, and compare with the undisturbed run."""
    said = lab.resume("-q", command=VERIFY, code=3)
    assert f"{kind}: " in said, said
    lab.resume(*lab.dice.choice([OWN, SERIAL]), command=REPAIR)
    lab.resume("--deep", command=VERIFY)
    lab.check(columns=columns)


@fault("byte flipped, repaired")
def flipped(lab: Lab) -> None:
    lab.resume()
    for path in lab.dice.sample(shards(lab.out), 2):
        flip(lab, path)
    found_and_repaired(lab, "damaged")


@fault("files torn and foreign, repaired")
def torn(lab: Lab) -> None:
    lab.resume()
    gone = lab.dice.choice(shards(lab.out / "0"))
    cut, emptied = lab.dice.sample([p for p in shards(lab.out) if p != gone], 2)
    with cut.open("r+b") as file:
        file.truncate(lab.dice.randrange(1, cut.stat().st_size))
    emptied.write_bytes(b"")
    content = gone.read_bytes()
    gone.unlink()
    # A file that the run never wrote, among those that it did.
    foreign = gone.with_name("97")
    foreign.write_bytes(content)
    metadata = lab.dice.choice(sorted(lab.out.rglob("zarr.json")))
    metadata.write_bytes(metadata.read_bytes()[:-2])
    found_and_repaired(lab, "damaged")
    assert not foreign.exists()


@fault("ledger lost, repaired", ci=True)
def ledger_lost(lab: Lab) -> None:
    lab.resume()
    harmed(lab, lab.ledger)
    # What the checksums of its chunks cannot prove must be done again.
    for path in lab.dice.sample(shards(lab.out), lab.dice.randrange(3)):
        flip(lab, path)
    # Blocks that were proven are not computed again.
    found_and_repaired(lab, "ledger", RESULT)


@fault("record lost, repaired")
def record_lost(lab: Lab) -> None:
    lab.resume()
    harmed(lab, lab.out / ".blockseg" / "run.json")
    if lab.dice.random() < 0.5:
        flip(lab, lab.dice.choice(shards(lab.out)))
    found_and_repaired(lab, "record")


@fault("repair killed")
def killed(lab: Lab) -> None:
    lab.resume()
    if lab.dice.random() < 0.5:
        harmed(lab, lab.ledger)
    for path in lab.dice.sample(shards(lab.out), 12):
        path.unlink()
    child = lab.start(*OWN, command=REPAIR)
    child.until(lambda _: blocks_of(lab.ledger) < BLOCKS)  # the damage is found
    child.sleep(lab.dice.uniform(0.0, 2.0))
    child.kill()
    lab.note(f"with {blocks_of(lab.ledger)} of {BLOCKS} blocks")
    lab.resume(command=REPAIR)
    lab.resume("--deep", command=VERIFY)
    lab.check(columns=RESULT)


@fault("labels damaged, repaired")
def labels(lab: Lab) -> None:
    _, whole = before_and_after(lab, JOBS["label"])
    shutil.copytree(whole, lab.out)
    victims = [path for path in shards(lab.out) if "components" in path.parts]
    flip(lab, lab.dice.choice(victims))
    flip(lab, lab.dice.choice([p for p in shards(lab.out) if p not in victims]))
    lab.resume("-q", command=VERIFY, code=3)
    lab.resume(command=REPAIR)
    lab.resume("--deep", command=VERIFY)
    check_same(lab.out, whole)


def flip(lab: Lab, path: Path) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[lab.dice.randrange(len(data))] ^= 1 << lab.dice.randrange(8)
    path.write_bytes(data)


def harmed(lab: Lab, victim: Path) -> None:
    """Delete, empty, cut or garble what the run knows of itself, as disks do."""
    # Of a run that is at rest; what SQLite left beside it is part of it.
    sqlite3.connect(lab.ledger).close()
    harm = lab.dice.choice(["deleted", "emptied", "cut", "garbled"])
    lab.note(f"{victim.name} {harm}")
    damage(victim, harm, victim.read_bytes(), lab.dice.random())
