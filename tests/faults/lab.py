"""Place where faults are made: a small brain, undisturbed results, commands to harm."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from tests.faults.check import ROWS, check_ledger, check_same, content
from tests.faults.child import ENDS_WITHIN, Child, NotHarmedError, start

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

SHAPE = (64, 96, 128)
BLOCKS = 24
MARK = (40, 70, 100)
SLOW = {"seconds": 0.15}
OWN = ("--workers", "2")
SERIAL = ("--scheduler", "serial")


@dataclass
class Brain:
    """The brain and what comes of it undisturbed, made once."""

    folder: Path
    lock: Any = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.source = self.folder / "brain.zarr"
        if not self.source.exists():
            make_brain(self.source, SHAPE, 32)
        self._before = content(self.source)

    def undisturbed(self, name: str, *words: Any, seconds: float = ENDS_WITHIN) -> Path:
        """Return the store that a command makes when nobody harms it."""
        out = self.folder / f"{name}.zarr"
        with self.lock:
            if not out.exists():
                part = out.with_name(f"{name}-part.zarr")
                shutil.rmtree(part, ignore_errors=True)
                told = placed(words, self.source, part)
                code, said = finished(self.folder, *told, seconds=seconds)
                assert code == 0, said
                part.rename(out)
        return out

    def check_source(self) -> None:
        assert content(self.source) == self._before, "the source was changed"


def make_brain(place: Path, shape: tuple[int, int, int], chunk: int) -> None:
    """Write noise, a bright rod, and one voxel that marks its block for trouble."""
    rng = np.random.default_rng(0)
    voxels = rng.normal(200, 10, shape).clip(0)
    voxels[10:-14, 40:44, 20:-18] += 200
    voxels = voxels.astype(np.uint16)
    voxels[MARK] = 60000
    array = zarr.create_array(place, shape=shape, chunks=(chunk,) * 3, dtype="uint16")
    array[:] = voxels


def finished(
    folder: Path, *words: Any, seconds: float = ENDS_WITHIN, **variables: Any
) -> tuple[int, str]:
    """Return exit code and output of a command that runs to its end."""
    child = start(folder, *words, **variables)
    code = child.wait(seconds)
    child.close()
    return code, child.said


def placed(words: tuple[Any, ...], source: Path, out: Path) -> list[str]:
    """Return the words of a command with its paths; ``folder`` is that of SOURCE."""
    where = {"source": source, "out": out, "folder": source.parent}
    return [str(word).format_map(where) for word in words]


RUN = (
    "run", "{source}", "{out}", "--backend", "fake", "--block", "32", "--window", "32",
    "--threads", "1", "--voxel-size", "1,1,1",
)  # fmt: skip


@dataclass
class Lab:
    """One fault run: its folder, its dice, and the commands that it started."""

    brain: Brain
    folder: Path
    dice: random.Random
    notes: list[str] = field(default_factory=list)
    children: list[Any] = field(default_factory=list)
    mounts: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.out = self.folder / "out.zarr"

    @property
    def ledger(self) -> Path:
        return self.out / ".blockseg" / "ledger.sqlite"

    def words(self, *more: Any, command: tuple[Any, ...] = RUN) -> list[str]:
        return [*placed(command, self.brain.source, self.out), *map(str, more)]

    def start(
        self,
        *more: Any,
        command: tuple[Any, ...] = RUN,
        trouble: Any = SLOW,
        within: Sequence[str] = (),
        events: bool = True,
        **variables: Any,
    ) -> Child:
        """Start the run, slow enough to be harmed, with its events as JSON lines."""
        asked = ("--json",) if events else ()  # which not every command has
        words = self.words(*more, *asked, command=command)
        child = start(
            self.folder,
            *words,
            within=within,
            BLOCKSEG_FAKE_TROUBLE=trouble,
            **variables,
        )
        self.children.append(child)
        return child

    def resume(
        self,
        *more: Any,
        command: tuple[Any, ...] = RUN,
        code: int = 0,
        **variables: Any,
    ) -> str:
        """Give the same command again, and let it run to its end; return what it said."""
        words = self.words(*(more or SERIAL), command=command)
        found, said = finished(self.folder, *words, **variables)
        assert "Traceback" not in said, said[-3000:]
        assert found == code, f"exit code {found}, not {code}: {said[-3000:]}"
        return said

    def check(
        self,
        name: str = "run",
        *words: Any,
        ledger: Path | None = None,
        columns: str = ROWS,
    ) -> None:
        """Compare with the undisturbed run, of its ledger these columns."""
        whole = self.brain.undisturbed(name, *(words or (*RUN, *SERIAL, "-q")))
        check_same(self.out, whole)
        theirs = whole / ".blockseg" / "ledger.sqlite"
        check_ledger(self.out, ledger or self.ledger, theirs, columns)
        self.brain.check_source()

    def faults(self, **faults: Any) -> dict[str, Any]:
        """Return faults for ``BLOCKSEG_FAULTS`` that leave a trace when they are made."""
        return {**faults, "seed": self.dice.random(), "told": str(self.folder / "told")}

    def harmed(self, what: str) -> int:
        """Return how often a fault was made; raise if never."""
        told = self.folder / "told"
        lines = told.read_text().splitlines() if told.exists() else []
        count = sum(line.split()[0] == what for line in lines)
        if not count:
            message = f"nothing met what was to be {what}"
            raise NotHarmedError(message)
        return count

    def note(self, text: str) -> None:
        self.notes.append(text)

    def when(self, child: Child) -> None:
        """Wait until a seeded moment of the run: from its start to its last block."""
        blocks = self.dice.randrange(BLOCKS)
        child.until_done(blocks)
        pause = self.dice.uniform(0, 0.4)
        child.sleep(pause)
        self.note(f"after {child.done()} of {BLOCKS} blocks")
        self.still_at_work(child)

    def still_at_work(self, child: Child) -> None:
        """Raise if a command that is to be harmed has ended already."""
        if child.process.poll() is not None:
            message = f"the command had ended already: {child.said[-2000:]}"
            raise NotHarmedError(message)

    def tmpfs(self, place: Path, nbytes: int) -> None:
        """Mount a small disk; needs a namespace of our own (see the command)."""
        place.mkdir(parents=True, exist_ok=True)
        options = f"size={nbytes},mode=0777"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True
        )
        self.mounts.append(place)

    def grow(self, place: Path, nbytes: int) -> None:
        subprocess.run(
            ["mount", "-o", f"remount,size={nbytes}", str(place)], check=True
        )

    def close(self) -> None:
        for child in self.children:
            with contextlib.suppress(Exception):
                child.end()
        for place in self.mounts:
            subprocess.run(["umount", "-l", str(place)], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def no_traceback(child: Child) -> None:
    assert "Traceback" not in child.said, child.said[-4000:]
