"""Disks that are full, slow, failing, read-only or taken away, and clocks that jump."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from tests.faults.lab import BLOCKS, OWN, SERIAL, no_traceback
from tests.faults.table import fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.child import Child
    from tests.faults.lab import Lab

SIZE = 1_600_000
"""Bytes that a finished store takes with its ledger, and a little more."""

WITHOUT_SHARED_MEMORY = (
    "unshare", "--mount", "--propagation", "private", "sh", "-c",
    'mount -t tmpfs -o ro tmpfs /dev/shm && exec "$@"', "sh",
)  # fmt: skip


def stopped(child: Child, *said: str) -> None:
    """Wait for a run that cannot write: exit code 3, one line, no traceback."""
    assert child.wait() == 3, child.said
    no_traceback(child)
    told = child.output
    assert any(words in told.lower() for words in said), told[-2000:]


@fault("disk full", needs="mount", ci=True)
def disk_full(lab: Lab) -> None:
    disk = lab.folder / "disk"
    lab.tmpfs(disk, lab.dice.randrange(64 * 1024, 700_000))
    lab.out = disk / "out.zarr"
    child = lab.start(*lab.dice.choice([OWN, SERIAL]))
    stopped(child, "no space left")
    lab.note(f"after {child.done()} of {BLOCKS} blocks")
    lab.grow(disk, 20 * SIZE)
    lab.resume()
    lab.check()


@fault("disk of the ledger full", needs="mount", ci=True)
def ledger_full(lab: Lab) -> None:
    disk = lab.folder / "disk"
    lab.tmpfs(disk, lab.dice.randrange(4096, 160_000))
    ledger = disk / "ledger.sqlite"
    where = ("--ledger", ledger)
    child = lab.start(*lab.dice.choice([OWN, SERIAL]), *where)
    stopped(child, "no space left")
    lab.note(f"after {child.done()} of {BLOCKS} blocks")
    lab.grow(disk, 20 * SIZE)
    lab.resume(*SERIAL, *where)
    lab.check(ledger=ledger)


@fault("store read-only midway", ci=True)
def read_only(lab: Lab) -> None:
    child = lab.start(*lab.dice.choice([OWN, SERIAL]), within=heeding_permissions())
    child.until_done(lab.dice.randrange(1, BLOCKS // 2))
    folders = [
        p for p in lab.out.rglob("*") if p.is_dir() and ".blockseg" not in p.parts
    ]
    for folder in [*folders, lab.out]:
        folder.chmod(0o555)
    stopped(child, "permission denied")
    assert not child.events("BlockFailed"), "a block was blamed for its disk"
    for folder in [*folders, lab.out]:
        folder.chmod(0o777)
    lab.resume()
    lab.check()


def heeding_permissions() -> tuple[str, ...]:
    """Return a command under which root is refused what anybody would be."""
    if os.geteuid():
        return ()
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@fault("store taken away")
def vanished(lab: Lab) -> None:
    child = lab.start(*lab.dice.choice([OWN, SERIAL]))
    child.until_done(lab.dice.randrange(1, BLOCKS - 4))
    away = lab.folder / "away.zarr"
    lab.out.rename(away)
    stopped(child, "removed or unmounted")
    assert not lab.out.exists(), "it was made again beside the lost one"
    away.rename(lab.out)
    lab.resume()
    lab.check()


@fault("no shared memory", needs="mount", ci=True)
def no_shared_memory(lab: Lab) -> None:
    child = lab.start(*OWN, within=WITHOUT_SHARED_MEMORY)
    assert child.wait() == 1, child.said
    (line,) = child.said.splitlines()
    assert "/dev/shm is missing" in line
    assert "__main__" not in line
    assert not lab.out.exists()
    lab.resume()
    lab.check()


@fault("little address space", ci=True)
def little_address_space(lab: Lab) -> None:
    limit = lab.dice.randrange(400, 1500) * 2**20
    child = lab.start(*OWN, within=("prlimit", f"--as={limit}"))
    code = child.wait()
    lab.note(f"{limit >> 20} MiB, exit code {code}")
    no_traceback(child)
    assert "__main__" not in child.said
    if code:
        assert "address space" in child.said, child.said[-2000:]
        lab.resume()
    lab.check()


@fault("store that is slow")
def slow(lab: Lab) -> None:
    faults = lab.faults(slow=lab.dice.uniform(0.01, 0.1))
    child = lab.start(*OWN, BLOCKSEG_FAULTS=faults)
    assert child.wait() == 0, child.said
    lab.note(f"{lab.harmed('slow')} slow reads")
    lab.check()


@fault("store that fails one read in ten", ci=True)
def failing(lab: Lab) -> None:
    faults = lab.faults(failing=0.1)
    words = lab.dice.choice([OWN, SERIAL])
    child = lab.start(*words, BLOCKSEG_FAULTS=faults, trouble={})
    assert child.wait() == 0, child.said
    assert not child.events("BlockFailed")
    lab.note(f"{lab.harmed('failing')} reads failed")
    lab.check()


@fault("clock put back by an hour", ci=True)
def clock(lab: Lab) -> None:
    flag = lab.folder / "back"
    child = lab.start(*OWN, BLOCKSEG_FAULTS={"clock": str(flag)})
    lab.when(child)
    flag.touch()
    assert child.wait() == 0, child.said
    no_traceback(child)
    flag.unlink()
    lab.check()


@fault("files of the result torn")
def torn(lab: Lab) -> None:
    lab.resume()
    victims = shards(lab.out)
    for path in lab.dice.sample(victims, 3):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(lab.dice.randrange(size))
    lab.dice.choice(victims).unlink()
    assert "made again" in lab.resume()
    lab.check()


@fault("byte of the result flipped")
def flipped(lab: Lab) -> None:
    lab.resume()
    path = lab.dice.choice(shards(lab.out))
    data = bytearray(path.read_bytes())
    data[lab.dice.randrange(len(data))] ^= 1 << lab.dice.randrange(8)
    path.write_bytes(data)
    assert "made again" in lab.resume(*SERIAL, "--verify")
    lab.check()


@fault("ledger or record deleted or corrupt")
def records(lab: Lab) -> None:
    lab.resume()
    # Of a run that is at rest; what SQLite left beside it is part of it.
    sqlite3.connect(lab.ledger).close()
    victim = lab.dice.choice([lab.ledger, lab.out / ".blockseg" / "run.json"])
    kept = victim.read_bytes()
    harm = lab.dice.choice(["deleted", "emptied", "cut", "garbled"])
    lab.note(f"{victim.name} {harm}")
    damage(victim, harm, kept, lab.dice.random())
    said = lab.resume(code=1)
    (line,) = said.strip().splitlines()
    assert line.startswith("Error: ")
    for beside in lab.out.glob(".blockseg/ledger.sqlite-*"):
        beside.unlink()
    victim.write_bytes(kept)
    lab.resume()
    lab.check()


def damage(victim: Path, harm: str, kept: bytes, share: float) -> None:
    if harm == "deleted":
        victim.unlink()
    elif harm == "emptied":
        victim.write_bytes(b"")
    elif harm == "cut":
        victim.write_bytes(kept[: int(len(kept) * 0.9 * share)])
    else:
        victim.write_bytes(b"\x07" * len(kept))


def shards(store: Path) -> list[Path]:
    return sorted(
        path
        for path in store.rglob("*")
        if path.is_file() and "c" in path.parts and path.stat().st_size > 1
    )
