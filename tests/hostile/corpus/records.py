"""Records, ledgers and tables of a finished result, damaged on purpose."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

from tests.hostile.case import Case
from tests.hostile.readers import FAKE, SERIAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hostile.case import Stock, Words


def record(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def write(out: Path) -> None:
        path = out / ".blockseg/run.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return write


def whole(
    text: str | None, within: str = ".blockseg/run.json"
) -> Callable[[Path], None]:
    def write(out: Path) -> None:
        path = out / within
        path.unlink(missing_ok=True)
        if text is None:
            os.mkfifo(path)
        else:
            path.write_text(text)

    return write


RECORDS: dict[str, Callable[[Path], None]] = {
    "JSON nested 20,000 deep": whole("[" * 20_000),
    "65 MB": whole('{"a": "' + "x" * 65 * 2**20 + '"}'),
    "a pipe": whole(None),
    "a list": whole("[1]"),
    "an empty file": whole(""),
    "another format": record(lambda r: r.update(format=99)),
    "phases that are a number": record(lambda r: r["facts"].update(phases=7)),
    "no phases": record(lambda r: r["facts"].update(phases=[])),
    "blocks of 10³⁰": record(lambda r: r["facts"]["phases"][0].update(blocks=10**30)),
    "a negative grid": record(lambda r: r["facts"]["phases"][0].update(grid=[-1] * 3)),
    "a grid of 10¹⁸": record(lambda r: r["facts"]["phases"][0].update(grid=[10**18] * 3)),
    "a shape of texts": record(lambda r: r["facts"].update(volume_shape=["a"] * 3)),
    "a shape of 10¹⁸": record(lambda r: r["facts"].update(volume_shape=[10**18] * 3)),
    "a region that is none": record(lambda r: r["facts"].update(roi="a:b")),
    "a source that is a number": record(lambda r: r["request"].update(source=7)),
    "a voxel size that is none": record(
        lambda r: r["request"]["source"].update(voxel_size=[float("nan")] * 3)
    ),
    "decisions that are a list": record(lambda r: r.update(decisions=[])),
    "a block of 0": record(lambda r: r["decisions"].update(block=[0, 0, 0])),
    "sessions that are a table": record(lambda r: r.update(sessions={})),
    "an unknown key": record(lambda r: r.update(unknown=1)),
}  # fmt: skip
COMMANDS = ("status", "run", "preview", "label", "skeletonize", "propose", "density",
            "regions", "export")  # fmt: skip


def ledger(*statements: str) -> Callable[[Path], None]:
    def write(out: Path) -> None:
        connection = sqlite3.connect(out / ".blockseg/ledger.sqlite")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return write


LEDGERS: dict[str, Callable[[Path], None]] = {
    "text": whole("not a database", ".blockseg/ledger.sqlite"),
    "an empty file": whole("", ".blockseg/ledger.sqlite"),
    "a pipe": whole(None, ".blockseg/ledger.sqlite"),
    "no tables": lambda out: ledger(
        *(f"DROP TABLE IF EXISTS {name}" for name in tables_of(out))
    )(out),
}


def tables_of(out: Path) -> list[str]:
    connection = sqlite3.connect(out / ".blockseg/ledger.sqlite")
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    ).fetchall()
    connection.close()
    return [name for (name,) in rows]


STORES: dict[str, Callable[[Path], None]] = {
    "a root that is a pipe": whole(None, "zarr.json"),
    "a root nested 20,000 deep": whole("[" * 20_000, "zarr.json"),
    "a level of 10¹⁸": lambda out: level(out, shape=[10**18] * 3),
    "a level of another shape": lambda out: level(out, shape=[7, 7, 7]),
    "a level of fractions": lambda out: level(out, shape=[63.5, 64, 64]),
}


def level(out: Path, **changed: Any) -> None:
    path = out / "0/zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def command(stock: Stock, out: Path, name: str) -> Words:
    return {
        "status": ["status", out],
        "run": ["run", stock.sound / "brain.zarr", out, *FAKE],
        "preview": ["preview", out, "-o", stock.folder / "seen.png"],
        "label": ["label", out, "--min-size", "100", *SERIAL],
        "skeletonize": ["skeletonize", out, "--min-length", "25", *SERIAL],
        "propose": ["propose-annotations", out, "-o", stock.folder / "picks", "--count", "1",
                    "--pick-shape", "64"],
        "density": ["density", out, "--voxel-size", "25", *SERIAL],
        "regions": ["regions", out, "--atlas", stock.sound / "mask.zarr", *SERIAL],
        "export": ["export", out, "--voxel-size", "25", "-o", stock.folder / "one.tif",
                   *SERIAL],
    }[name]  # fmt: skip


def damaged(
    area: str, title: str, change: Callable[[Path], None], name: str, code: int = 1
) -> Case:
    def make(stock: Stock) -> Words:
        out = shutil.copytree(stock.sound / "out.zarr", stock.folder / "out.zarr")
        change(out)
        return command(stock, out, name)

    return Case(area, f"{title} ({name})", make, code=code)


def training(change: Callable[[Path], None], title: str) -> Case:
    def make(stock: Stock) -> Words:
        run = stock.folder / "trained"
        run.mkdir()
        change(run)
        return [
            "train",
            stock.sound / "picks",
            "-o",
            run,
            "--steps",
            "1",
            "--accept-drafts",
        ]

    return Case("train.json", title, make)


TRAININGS: dict[str, Callable[[Path], None]] = {
    "JSON nested 20,000 deep": whole("[" * 20_000, "train.json"),
    "a list": whole("[]", "train.json"),
    "no request": whole('{"format": 1}', "train.json"),
    "a request that is a number": whole(
        '{"format": 1, "request": 7, "facts": 8}', "train.json"
    ),
    "a pipe": whole(None, "train.json"),
}


def cases() -> Iterator[Case]:
    for number, (title, change) in enumerate(RECORDS.items()):
        for name in ("status", COMMANDS[1 + number % (len(COMMANDS) - 1)]):
            yield damaged("run.json", title, change, name)
    for title, change in LEDGERS.items():
        for name in ("status", "run", "label"):
            yield damaged("ledger", title, change, name)
    for title, change in STORES.items():
        for name in ("label", "preview"):
            yield damaged("OUT", title, change, name)
    for title, change in TRAININGS.items():
        yield training(change, title)
