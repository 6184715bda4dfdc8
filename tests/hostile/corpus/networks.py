"""Weights in safetensors and published checkpoints that are damaged on purpose."""

from __future__ import annotations

import json
import os
import pickle
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tests.hostile.case import Case
from tests.hostile.readers import SERIAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hostile.case import Stock, Words


def split(path: Path) -> tuple[dict[str, Any], bytes]:
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def joined(header: Any, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def told(**changed: Any) -> Callable[[Path], bytes]:
    """Return what changes the metadata of a file of weights."""

    def change(path: Path) -> bytes:
        header, data = split(path)
        header["__metadata__"] = {
            k: v for k, v in (header["__metadata__"] | changed).items() if v is not None
        }
        return joined(header, data)

    return change


def tensor(how: Callable[[dict[str, Any]], object]) -> Callable[[Path], bytes]:
    """Return what changes the entry of the first tensor of a file."""

    def change(path: Path) -> bytes:
        header, data = split(path)
        first = next(name for name in header if name.endswith("conv.weight"))
        how(header[first])
        return joined(header, data)

    return change


def values(
    change_all: Callable[[np.ndarray[Any, Any]], object],
) -> Callable[[Path], bytes]:
    def change(path: Path) -> bytes:
        header, data = split(path)
        first = next(name for name in header if name.endswith("conv.weight"))
        start, stop = header[first]["data_offsets"]
        part = np.frombuffer(data[start:stop], "<f4").copy()
        change_all(part)
        return joined(header, data[:start] + part.tobytes() + data[stop:])

    return change


def without_first(path: Path) -> bytes:
    header, data = split(path)
    del header[next(name for name in header if name != "__metadata__")]
    return joined(header, data)


SAFETENSORS: dict[str, Callable[[Path], bytes]] = {
    "an empty file": lambda _: b"",
    "a header of 2⁶³ bytes": lambda _: struct.pack("<Q", 2**63) + b"{}",
    "a header of 200 MB": lambda _: joined(b"{" + b" " * 200 * 2**20 + b"}", b""),
    "a header nested 20,000 deep": lambda _: joined(b"[" * 20_000, b""),
    "a header that is a list": lambda _: joined([1, 2], b""),
    "no header of ours": lambda path: joined(
        {k: v for k, v in split(path)[0].items() if k != "__metadata__"}, split(path)[1]
    ),
    "a width of 10⁹": told(width="1000000000"),
    "a width of 256": told(width="256"),
    "a negative width": told(width="-8"),
    "a width of 5,000 digits": told(width="9" * 5000),
    "a gain of infinity": told(gain="inf"),
    "a gain of 0": told(gain="0"),
    "a gain of 10⁵ characters": told(gain="x" * 10**5),
    "no gain": told(gain=None),
    "a clip that is none": told(clip="nan,nan"),
    "an unknown architecture of 10⁵ characters": told(architecture="a" * 10**5),
    "another format": told(format_version="2"),
    "an empty tensor": tensor(lambda e: e.update(shape=[0], data_offsets=[0, 0])),
    "a tensor of 10¹⁸ entries": tensor(lambda e: e.update(shape=[10**18])),
    "a tensor of negative length": tensor(lambda e: e.update(shape=[-1, 2, 3])),
    "a tensor beyond the file": tensor(lambda e: e.update(data_offsets=[2**40, 2**41])),
    "a tensor of no known type": tensor(lambda e: e.update(dtype="F128")),
    "a tensor of truth values": tensor(lambda e: e.update(dtype="BOOL")),
    "a tensor of another shape": tensor(lambda e: e.update(shape=e["shape"][::-1])),
    "a tensor less": without_first,
    "numbers that are none": values(lambda part: part.fill(np.nan)),
    "one infinite number": values(lambda part: part.__setitem__(0, np.inf)),
    "half of the file": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "a pickle": lambda path: pickle.dumps({"a": path.name}),
}  # fmt: skip


class Run:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hacked",)


def state(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(path, weights_only=True)["state_dict"]
    return found


def changed_state(
    how: Callable[[dict[str, Any], str], object],
) -> Callable[[Path], Any]:
    def change(path: Path) -> Any:
        found = state(path)
        how(found, "inc.conv.0.weight")
        return {"state_dict": found}

    return change


PUBLISHED: dict[str, Callable[[Path], Any]] = {
    "code": lambda _: {"state_dict": Run()},
    "a list": lambda _: [1, 2],
    "no state_dict": lambda _: {"a": torch.zeros(1)},
    "a state_dict of numbers": lambda _: {"state_dict": {"a": 1}},
    "an empty state_dict": lambda _: {"state_dict": {}},
    "an empty tensor": changed_state(lambda s, k: s.update({k: torch.zeros(0)})),
    "a tensor of negative numbers of channels": changed_state(
        lambda s, k: s.update({k: s[k].flip(0)[:1]})
    ),
    "numbers that are none": changed_state(lambda s, k: s[k].fill_(torch.nan)),
    "complex numbers": changed_state(lambda s, k: s.update({k: s[k] + 1j})),
    "a tensor of texts": changed_state(lambda s, k: s.update({k: "text"})),
    "keys that are numbers": lambda _: {"state_dict": {1: torch.zeros(1)}},
    "a sparse tensor": changed_state(lambda s, k: s.update({k: s[k].to_sparse()})),
    "a tensor on no device": changed_state(lambda s, k: s.update({k: s[k].to("meta")})),
    "a quantized tensor": changed_state(
        lambda s, k: s.update({k: torch.zeros(s[k].shape, dtype=torch.int8)})
    ),
}  # fmt: skip
BYTES: dict[str, Callable[[Path], bytes]] = {
    "an empty file": lambda _: b"",
    "half of the file": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "a ZIP archive of nothing": lambda _: b"PK\x05\x06" + b"\0" * 18,
    "a pickle of another library": lambda _: pickle.dumps(os.system),
    "text": lambda _: b"not a checkpoint\n",
}


def cases() -> Iterator[Case]:
    for number, (title, change) in enumerate(SAFETENSORS.items()):
        for command in ("show", ("run", "predict", "train")[number % 3]):
            yield weights_case(title, change, command)
    for title, wrong in PUBLISHED.items():
        yield published_case(title, wrong, saved=True)
    for title, content in BYTES.items():
        yield published_case(title, content, saved=False)


def weights_case(title: str, change: Callable[[Path], bytes], command: str) -> Case:
    def make(stock: Stock) -> Words:
        path = stock.folder / "weights.safetensors"
        path.write_bytes(change(stock.sound / "weights.safetensors"))
        brain, out = stock.sound / "brain.zarr", stock.folder / "out"
        return {
            "show": ["weights", "show", path],
            "run": ["run", brain, f"{out}.zarr", "--weights", path, *SERIAL],
            "predict": ["predict", brain, "-o", out, "--weights", path],
            "train": [
                "train",
                stock.sound / "picks",
                "-o",
                out,
                "--init",
                path,
                "--accept-drafts",
            ],
        }[command]

    # Its header is all that is shown of a file.
    only_header = command == "show" and title in HEADERS_ARE_SOUND
    right = "handled" if only_header else "told"
    return Case("safetensors", f"{title} ({command})", make, right)  # type: ignore[arg-type]


HEADERS_ARE_SOUND = {
    "a width of 256", "an empty tensor", "a tensor of another shape", "a tensor less",
    "numbers that are none", "one infinite number",
}  # fmt: skip


def published_case(title: str, wrong: Callable[[Path], Any], *, saved: bool) -> Case:
    def make(stock: Stock) -> Words:
        path = stock.folder / "published.pt"
        content = wrong(stock.sound / "published.pt")
        if saved:
            torch.save(content, path)
        else:
            path.write_bytes(content)
        return ["weights", "import", path, stock.folder / "out.safetensors"]

    return Case("checkpoints", title, make)
