"""Tables of regions, points and SNR, transforms, traces, and manifests of picks."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from tests.hostile.case import Case
from tests.hostile.readers import SERIAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hostile.case import Stock, Words

    Text = str | bytes | None

LONG = "x" * 200_000
DIGITS = "9" * 5000

NAMES: dict[str, Text] = {
    "an id of 5,000 digits": f"id,name\n{DIGITS},a\n",
    "an id beyond 64 bits": f"id,name\n{2**70},a\n",
    "an id that is a fraction": "id,name\n1.5,a\n",
    "a field of 200,000 characters": f'id,name\n1,"{LONG}"\n',
    "other columns": "a,b\n1,2\n",
    "a parent that is its own": "id,name,parent\n1,a,1\n",
    "a circle of 20,000 parents": "id,name,parent\n"
    + "".join(f"{n},r,{n % 20_000 + 1}\n" for n in range(1, 20_001)),
    "an id that stands twice": "id,name\n1,a\n1,b\n",
    "zero bytes": "id,name\n1,\0\n",
    "no UTF-8": b"id,name\n1,\xff\xfe\n",
    "a pipe": None,
    "an empty file": "",
}

SOMATA: dict[str, Text] = {
    "a place of 10³⁰⁸": "z_um,y_um,x_um\n1e308,1,1\n",
    "a place that is no number": "z_um,y_um,x_um\nnan,1,1\n",
    "a row too short": "z_um,y_um,x_um\n1,2\n",
    "a field of 200,000 characters": f"z_um,y_um,x_um\n{LONG},1,1\n",
    "other columns": "z,y,x\n1,2,3\n",
    "a pipe": None,
}

TRANSFORMS: dict[str, Text] = {
    "a matrix that flattens": "0 0 0 0\n" * 3,
    "a matrix of 10³⁰⁸": "1e308 0 0 0\n0 1e308 0 0\n0 0 1e308 0\n",
    "a matrix that is no number": "nan 0 0 0\n0 1 0 0\n0 0 1 0\n",
    "a matrix of texts": "a b c d\n" * 3,
    "JSON nested 20,000 deep": "[" * 20_000 + "]" * 20_000,
    "rows of unequal lengths": "[[1, 0, 0, 0], [0, 1], [0, 0, 1, 0]]",
    "a table without a matrix": '{"a": 1}',
    "a pipe": None,
}

SNR: dict[str, Text] = {
    "a label of 5,000 digits": f"label,snr\n{DIGITS},1\n",
    "a label beyond 64 bits": f"label,snr\n{2**70},1\n",
    "a field of 200,000 characters": f"label,snr\n1,{LONG}\n",
    "other columns": "a,b\n1,2\n",
    "a pipe": None,
}

SWC: dict[str, Text] = {
    "a node without numbers": "1 2 a b c d -1\n",
    "a place that is no number": "1 2 nan 0 0 1 -1\n",
    "a parent that is not there": "1 2 0 0 0 1 -1\n2 2 1 0 0 1 99\n",
    "a row too short": "1 2 3\n",
    "no node": "# nothing\n",
    "an id of 5,000 digits": f"{DIGITS} 2 0 0 0 1 -1\n",
    "a pipe": None,
}

BRAINREG: dict[str, Text] = {
    "JSON nested 20,000 deep": "[" * 20_000,
    "an orientation that is a number": '{"orientation": 7}',
    "an orientation of 10⁵ letters": json.dumps({"orientation": "asr" * 33_000}),
    "a list": "[1, 2]",
    "a pipe": None,
}


def written(path: Path, text: Text) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        os.mkfifo(path)
    else:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def atlas(stock: Stock) -> Path:
    """Ids of regions as large as the brain: the mask of its objects."""
    return stock.sound / "mask.zarr"


def counted(stock: Stock, *words: str | Path) -> Words:
    out = shutil.copytree(stock.sound / "out.zarr", stock.folder / "out.zarr")
    return ["regions", out, "--atlas", atlas(stock), *words, *SERIAL]


def names(stock: Stock, text: Text) -> Words:
    return counted(stock, "--names", written(stock.folder / "names.csv", text))


def somata(stock: Stock, text: Text) -> Words:
    return counted(stock, "--somata", written(stock.folder / "somata.csv", text))


def transform(stock: Stock, text: Text) -> Words:
    return counted(stock, "--transform", written(stock.folder / "affine.txt", text))


def traces(stock: Stock, text: Text) -> Words:
    at = written(stock.folder / "traces/one.swc", text)
    return counted(stock, "--traces", at.parent)


def brainreg(stock: Stock, text: Text) -> Words:
    folder = stock.folder / "registered"
    written(folder / "brainreg.json", text)
    written(folder / "deformation_field_0.tiff", b"II*\0")
    return counted(stock, "--transform", folder)


def snr(stock: Stock, text: Text) -> Words:
    at = written(stock.folder / "snr.csv", text)
    mask = stock.sound / "mask.zarr"
    return ["evaluate", mask, mask, "--snr", at]


def truth(stock: Stock, text: Text) -> Words:
    at = written(stock.folder / "truth.swc", text)
    return ["evaluate", stock.sound / "mask.zarr", at]


def reconstruction(stock: Stock, text: Text) -> Words:
    at = written(stock.folder / "neuron.swc", text)
    return ["synth", stock.folder / "b.zarr", "--shape", "64", "--swc", at, *SERIAL]


def picked(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / "manifest.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return write


def replaced(text: Text, name: str = "manifest.json") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        if name.endswith(".csv"):
            (folder / "manifest.json").unlink()
        written(folder / name, text)

    return write


def first(**changed: Any) -> Callable[[Path], None]:
    return picked(lambda content: content["picks"][0].update(changed))


MANIFESTS: dict[str, Callable[[Path], None]] = {
    "JSON nested 20,000 deep": replaced("[" * 20_000),
    "a list of numbers": replaced("[1, 2, 3]"),
    "a pipe": replaced(None),
    "no picks": picked(lambda content: content.pop("picks")),
    "picks that are a number": picked(lambda content: content.update(picks=7)),
    "a pick that is a number": picked(lambda content: content.update(picks=[7])),
    "65 MB": replaced('{"a": "' + "x" * 65 * 2**20 + '"}'),
}

ROWS: dict[str, Callable[[Path], None]] = {
    "a name that is a path": first(name="../../hacked"),
    "a name that is a number": first(name=7),
    "a name of 10⁵ characters": first(name="x" * 10**5),
    "a place of fractions": first(start_z=1.5),
    "a place of texts": first(start_z="1"),
    "a size of 10¹⁸": first(size_z=10**18),
    "a negative size": first(size_z=-5),
    "a centre that is a text": first(centre_z_um="a"),
}

CSV_ROWS: dict[str, Callable[[Path], None]] = {
    "a field of 200,000 characters": replaced(
        f"name,reason\na,{LONG}\n", "manifest.csv"
    ),
    "no names": replaced("a,b\n1,2\n", "manifest.csv"),
    "zero bytes": replaced("name\n\0\n\0\n", "manifest.csv"),
    "a background that is no number": replaced(
        "name,background_level,background_sd\n0001,nan,nan\n", "manifest.csv"
    ),
}

PROPOSED: dict[str, Callable[[Path], None]] = {
    "rounds that are an empty list": replaced(
        '{"format": 1, "rounds": []}', ".blockseg/propose.json"
    ),
    "rounds that are a number": replaced(
        '{"format": 1, "rounds": 7}', ".blockseg/propose.json"
    ),
    "a round without a request": replaced(
        '{"format": 1, "rounds": [{"complete": true}]}', ".blockseg/propose.json"
    ),
    "JSON nested 20,000 deep": replaced("[" * 20_000, ".blockseg/propose.json"),
    "a pipe": replaced(None, ".blockseg/propose.json"),
}


def read_picks(
    command: str, change: Callable[[Path], None]
) -> Callable[[Stock], Words]:
    def make(stock: Stock) -> Words:
        picks = shutil.copytree(stock.sound / "picks", stock.folder / "picks")
        change(picks)
        out = stock.sound / "out.zarr"
        return {
            "train": ["train", picks, "-o", stock.folder / "trained", "--steps", "1", "--accept-drafts"],
            "--update": ["propose-annotations", out, "-o", picks, "--count", "1",
                         "--pick-shape", "64", "--update"],
            "--exclude": ["propose-annotations", out, "-o", stock.folder / "more",
                          "--count", "1", "--pick-shape", "64", "--exclude", picks],
        }[command]  # fmt: skip

    return make


def cases() -> Iterator[Case]:
    tables: tuple[tuple[str, dict[str, Text], Callable[[Stock, Text], Words]], ...] = (
        ("region names", NAMES, names),
        ("somata", SOMATA, somata),
        ("transforms", TRANSFORMS, transform),
        ("brainreg", BRAINREG, brainreg),
        ("SNR tables", SNR, snr),
        ("traces", SWC, traces),
        ("true centrelines", SWC, truth),
        ("reconstructions", SWC, reconstruction),
    )
    for area, texts, make in tables:
        for title, text in texts.items():

            def build(
                stock: Stock,
                make: Callable[[Stock, Text], Words] = make,
                text: Text = text,
            ) -> Words:
                return make(stock, text)

            yield Case(area, title, build)
    for title, change in MANIFESTS.items():
        for command in ("train", "--exclude"):
            yield Case("picks", f"{title} ({command})", read_picks(command, change))
    for title, change in ROWS.items():
        for command in ("--update", "--exclude"):
            yield Case("picks", f"{title} ({command})", read_picks(command, change))
    for title, change in CSV_ROWS.items():
        yield Case("picks", f"{title} (train)", read_picks("train", change))
    for title, change in PROPOSED.items():
        yield Case("picks", f"{title} (--update)", read_picks("--update", change))
