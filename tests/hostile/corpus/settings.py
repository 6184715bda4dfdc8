"""YAML files and options with values that nothing can be made of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.hostile.case import Case
from tests.hostile.readers import FAKE, SERIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hostile.case import Stock, Words

DIGITS = "9" * 5000


def bomb() -> str:
    """Aliases of which the last stands for a billion values."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join([*lines, "mask: *a8"])


YAML: dict[str, str | bytes] = {
    "a number of 5,000 digits": f"attempts: {DIGITS}",
    "a hexadecimal number of 5,000 digits": f"attempts: 0x{'f' * 5000}",
    "a float of 5,000 digits": f"threshold: {DIGITS}.5",
    "an infinite number": "attempts: .inf",
    "a number that is none": "threshold: .nan",
    "a negative number": "attempts: -5",
    "a number beyond 64 bits": f"attempts: {2**64}",
    "10⁶ workers": "workers: 1000000",
    "10⁹ threads": "threads: 1000000000",
    "a block of 10¹⁸ voxels": f"block: {10**18}",
    "a block of fractions": "block: [64.5, 64, 64]",
    "a date in a thirteenth month": "mask: 2020-13-45",
    "base 60: 1:30 is no 90": "attempts: 1:30",
    "a key that stands twice": "threshold: 0.2\nthreshold: 0.7",
    "lists nested 20,000 deep": "mask: " + "[" * 20_000 + "]" * 20_000,
    "lists nested 100 deep": "mask: " + "[" * 100 + "]" * 100,
    "tables nested 1,000 deep": "".join(f"{' ' * n}a:\n" for n in range(1000)),
    "aliases that expand to a billion": bomb(),
    "an alias of itself": "mask: &a [*a]",
    "an object of Python": "mask: !!python/object/apply:os.system ['touch hacked']",
    "a name of Python": "mask: !!python/name:os.system",
    "an unknown tag": "mask: !thing 5",
    "a zero byte in a path": 'mask: "a\\0b"',
    "a control character": "mask: \x07",
    "1 MB of settings": "# " + "x" * 2**20,
    "no UTF-8": b"mask: \xff\xfe\xff",
    "a list": "- 1\n- 2",
    "an unfinished text": 'mask: "abc',
    "a merge of a list": "<<: [1, 2]",
    "an unknown key of 10,000 characters": f"{'k' * 10_000}: 1",
    "keys that are lists": "? [1, 2]\n: 3",
    "memory of 10⁴⁰⁰ bytes": f"memory: {'9' * 400}",
    "a voxel size of 10⁻³⁰⁰": "voxel-size: [1e-300, 1.0e-300, 1.0e-300]",
    "a voxel size of 10³⁰⁸": "voxel-size: [1.0e+308, 1.0e+308, 1.0e+308]",
    "a region of 10³⁰ voxels": f"roi: 0:{10**30},0:1,0:1",
    "a normalization of infinity": "normalization: .inf,1",
}

OPTIONS: dict[str, tuple[str, ...]] = {
    "10⁶ workers": ("--workers", "1000000"),
    "workers of 5,000 digits": ("--workers", DIGITS),
    "more workers than fit the memory": ("--workers", "4000"),
    "10⁶ threads": ("--threads", "1000000"),
    "a block of 10¹⁸": ("--block", str(10**18)),
    "a block of 0": ("--block", "0"),
    "a window of 10⁹": ("--window", str(10**9)),
    "a halo of 10¹⁸": ("--halo", str(10**18)),
    "a level of 10¹⁸": ("--level", str(10**18)),
    "factors of 10¹⁸": ("--downsample", str(10**18)),
    "factors of 10⁹": ("--downsample", str(10**9)),
    "a region of 10¹⁸": ("--roi", f"0:{10**18},0:1,0:1"),
    "memory of 1 byte": ("--memory", "1"),
    "a dataset at ../brain.zarr": ("--dataset", "../brain.zarr"),
    "a dataset of 5,000 characters": ("--dataset", "x" * 5000),
    "a codec that is a path": ("--codec", "../../etc/passwd"),
    "a scheduler that is none": ("--scheduler", "tcp://127.0.0.1:1"),
    "a scheduler of no known kind": ("--scheduler", "gopher://127.0.0.1:1"),
    "a ledger that is a pipe": ("--ledger", "pipe"),
    "a ledger that is a device": ("--ledger", "/dev/full"),
    "a ledger of 300 characters": ("--ledger", "x" * 300),
    "a mask that is a device": ("--mask", "/dev/zero"),
    "weights that are a device": ("--weights", "/dev/zero"),
    "settings that are a device": ("--config", "/dev/zero"),
    "every address of this machine": ("--listen", "0.0.0.0"),
}  # fmt: skip

OUTPUTS: dict[str, str] = {
    "a name of 300 characters": "x" * 300,
    "a path of 5,000 characters": "x/" * 2500,
    "a place in a file": "brain/file/out.zarr",
    "a device": "/dev/null",
    "a place in /proc": "/proc/out.zarr",
    "a name of half a character": "\udcff.zarr",
}


def yaml_case(title: str, text: str | bytes) -> Case:
    def make(stock: Stock) -> Words:
        path = stock.folder / "settings.yaml"
        content = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(content)
        serial = () if "workers" in title else SERIAL
        return ["run", stock.sound / "brain.zarr", stock.folder / "out.zarr",
                "--backend", "fake", "--config", path, *serial]  # fmt: skip

    return Case("YAML", title, make)


HANDLED = ("factors of 10⁹",)  # the mean of all of it is one voxel


def option_case(title: str, words: tuple[str, ...]) -> Case:
    def make(stock: Stock) -> Words:
        if "pipe" in words:
            os.mkfifo(stock.folder / "pipe")
        option, value = words
        given = stock.folder / value if value in ("pipe", "x" * 300) else value
        alone = option in ("--workers", "--threads", "--scheduler", "--listen")
        serial = ("--backend", "fake") if alone else FAKE
        if option == "--weights":  # which the fake backend does not read
            serial = SERIAL
        return ["run", stock.sound / "brain.zarr", stock.folder / "out.zarr",
                option, given, *serial]  # fmt: skip

    return Case("options", title, make, "handled" if title in HANDLED else "told")


def output_case(command: str, title: str, place: str) -> Case:
    def make(stock: Stock) -> Words:
        (stock.folder / "brain").mkdir()
        (stock.folder / "brain/file").write_text("")
        out = stock.folder / place
        sound = stock.sound / "brain.zarr"
        return {
            "run": ["run", sound, out, *FAKE],
            "convert": ["convert", sound, out, *SERIAL],
            "synth": ["synth", out, "--shape", "64", *SERIAL],
            "train": ["train", stock.sound / "picks", "-o", out, "--steps", "1", "--accept-drafts"],
            "export": ["export", sound, "--voxel-size", "25", "-o", out / "one.tif", *SERIAL],
            "predict": ["predict", sound, "-o", out, "--backend", "fake"],
            "propose": ["propose-annotations", stock.sound / "out.zarr", "-o", out],
            "preview": ["preview", stock.sound / "out.zarr", "-o", out / "one.png"],
            "evaluate": [
                "evaluate", stock.sound / "mask.zarr", stock.sound / "mask.zarr",
                "--json", out / "one.json",
            ],
            "weights": ["weights", "import", stock.sound / "published.pt", out],
        }[command]  # fmt: skip

    return Case("outputs", f"{title} ({command})", make)


def cases() -> Iterator[Case]:
    for title, text in YAML.items():
        yield yaml_case(title, text)
    for title, words in OPTIONS.items():
        yield option_case(title, words)
    others = ("convert", "synth", "train", "export", "predict", "propose",
              "preview", "evaluate", "weights")  # fmt: skip
    for number, (title, place) in enumerate(OUTPUTS.items()):
        for command in ("run", others[(2 * number) % 9], others[(2 * number + 1) % 9]):
            yield output_case(command, title, place)
