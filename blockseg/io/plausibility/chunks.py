"""Chunks that are not where an array's metadata look for them, and missing ones."""

from __future__ import annotations

import itertools
import math
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.choices import SourceChoices
from blockseg.core.errors import VolumeError
from blockseg.core.text import times
from blockseg.io.chunks.stored_files import MISSING, why_no_file
from blockseg.io.formats.table import kind_of
from blockseg.io.n5.blocks import block_shape_of, why_no_voxels
from blockseg.io.plausibility.misplaced import misplaced
from blockseg.io.source_files.fingerprint import array_layout
from blockseg.io.stores.location import inner_of
from blockseg.io.zarr.chunk_keys import names_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.axes import AxisSelection
    from blockseg.io.layout import ArrayLayout
    from blockseg.io.protocol import Volume

_SAMPLED = 256
_OPENED = 16  # blocks of N5 whose header is read
_THREADS = 16  # that look at files at the same time
_ENTRIES = 20_000  # of folders, where no sampled chunk is there


class Remark(str):
    """A plain line on a source for ``info``, for ``plan`` and for the end of a run.

    Without a full stop.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Sample:
    """Some of the chunk files that hold a volume."""

    layout: ArrayLayout
    """The array."""

    total: int
    """Files that hold the volume, if none is missing."""

    looked_at: dict[tuple[int, ...], str]
    """Answer of :func:`why_no_file` for each, by its place in the grid."""

    @property
    def stored(self) -> list[tuple[int, ...]]:
        """Places of existing chunks."""
        return [place for place, why in self.looked_at.items() if not why]

    @property
    def missing(self) -> int:
        """Number that is missing."""
        return sum(why == MISSING for why in self.looked_at.values())


def chunks_are_stored(
    spec: VolumeSpec,
    volume: Volume,  # noqa: ARG001 - every check is asked alike
    choices: SourceChoices,
) -> Iterator[Remark]:
    """Yield the share of chunks that are missing; looks at a fixed sample of files.

    Raises
    ------
    VolumeError
        If chunks lie elsewhere than the metadata say, are no volume's, or are all
        missing.
    """
    if kind_of(spec.format) is None:
        return
    layout = array_layout(spec)
    if layout.together:
        return
    selection = layout.selection(spec)
    sample = _look(layout, selection)
    if layout.format == "n5":
        _check_blocks(sample)
    if not sample.missing and sample.stored:
        return
    sparse = not sample.stored and _any_stored(layout, selection)
    if layout.keys.listed:
        problem = misplaced(layout, alone=not (sample.stored or sparse))
        if problem:
            raise VolumeError(problem)
    if not sample.stored and not sparse:
        _check_empty(sample, choices)
    yield Remark(_share(sample, sparse=sparse))


def refuse_misplaced(spec: VolumeSpec, volume: Volume) -> None:
    """Refuse a volume whose chunks lie elsewhere than its metadata say.

    For masks and labels, which may well be empty.

    Raises
    ------
    VolumeError
        With one line that says where.
    """
    for _ in chunks_are_stored(spec, volume, SourceChoices(allow_empty=True)):
        pass


def _look(layout: ArrayLayout, selection: AxisSelection) -> _Sample:
    counts = selection.pick(layout.file_counts)
    total = math.prod(counts)
    drawn: Iterable[int] = range(total)
    if total > _SAMPLED:
        drawn = np.sort(np.random.default_rng(0).choice(total, _SAMPLED, replace=False))
    places = []
    for number in drawn:
        z, y, x = (int(n) for n in np.unravel_index(number, counts))
        places.append(selection.position((z, y, x), layout.files))
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(why_no_file, map(layout.chunk_file, places))
        return _Sample(layout, total, dict(zip(places, found, strict=True)))


def _any_stored(layout: ArrayLayout, selection: AxisSelection) -> bool:
    """Say whether any chunk of a volume is there, by looking through its folders."""
    style, folder = layout.keys, layout.folder
    if not style.listed and isinstance(folder, Path):
        with os.scandir(folder) as some:
            names = [entry.name for entry in itertools.islice(some, _ENTRIES)]
        return any(style.place(name) is not None for name in names)
    counts = [range(n) for n in layout.file_counts]
    for axis, index in selection.fixed:
        place = index // layout.files[axis]
        counts[axis] = range(place, place + 1)

    def may_be(numbers: list[str]) -> bool:
        along = [counts[axis] for axis in style.order]
        pairs = zip(numbers, along, strict=False)
        return all(number.isdecimal() and int(number) in of for number, of in pairs)

    def enters(name: str) -> bool:
        if f"{name}/" == style.prefix:
            return True
        if style.separator != "/" or not name.startswith(style.prefix):
            return False
        numbers = name.removeprefix(style.prefix).split("/")
        return len(numbers) < len(style.order) and may_be(numbers)

    names = names_in(
        layout.folder,
        entries=_ENTRIES,
        folders=_ENTRIES // 20,
        fan=_ENTRIES,
        enters=enters,
    )
    found = [at for name in names if (at := style.place(name)) is not None]
    return any(
        all(n in of for n, of in zip(at, counts, strict=True))
        and not why_no_file(layout.chunk_file(at))
        for at in found
    )


def _check_empty(sample: _Sample, choices: SourceChoices) -> None:
    layout = sample.layout
    place, why = next(iter(sample.looked_at.items()))
    file = layout.chunk_file(place)
    if why != MISSING:
        message = (
            f"{file}, a chunk of {layout.name}, is {why}, not a file; restore the chunks "
            "from a copy"
        )
        raise VolumeError(message)
    if not choices.allow_empty:
        looked = (
            "" if len(sample.looked_at) == sample.total else " that were looked for"
        )
        key = inner_of(file, layout.folder)
        other = _resembling(layout)
        example = f"{key} is expected, {other} is there" if other else f"such as {key}"
        message = (
            f"{layout.name}: none of its {len(sample.looked_at)} {_files(layout)}{looked} "
            f"is stored ({example}); copy it whole, or give --allow-empty to read every "
            f"voxel as {layout.fill}"
        )
        raise VolumeError(message)


def _resembling(layout: ArrayLayout) -> str:
    """Return the name of a file with a number for each axis; empty if there is none."""
    numbers = rf"(?:\D*\d+){{{len(layout.shape)}}}\D*"
    names = names_in(
        layout.folder,
        entries=_ENTRIES // 20,
        folders=20,
        fan=2,
        like=re.compile(numbers),
    )
    return names[0] if names else ""


def _check_blocks(sample: _Sample) -> None:
    """Refuse N5 blocks that hold other things than the voxels at their place."""
    layout = sample.layout
    last = [count - 1 for count in layout.file_counts]
    rims = [p for p in sample.stored if any(map(int.__eq__, p, last))]
    whole, cut = [], []
    for place in {**dict.fromkeys(_some(sample.stored)), **dict.fromkeys(_some(rims))}:
        file = layout.chunk_file(place)
        why = why_no_voxels(file)
        if why:
            raise VolumeError(why)
        shape = block_shape_of(file)
        if shape == layout.chunks:
            whole.append(file)
        elif shape is not None:
            cut.append((file, shape, _fits(shape, place, layout)))
    unlike = [(file, shape) for file, shape, fits in cut if not fits]
    # Blocks at the rim may be cut, and a single one elsewhere is its writer's affair.
    if 2 * len(unlike) > len(cut) and (len(unlike) > 1 or not whole):
        file, shape = unlike[0]
        message = (
            f"{file} holds a block of {_by(shape)} voxels (x first), where dimensions "
            f"{_by(layout.shape)} and blockSize {_by(layout.chunks)} of attributes.json "
            "have another; correct them, or the order of the axes"
        )
        raise VolumeError(message)


def _some(places: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return places[:: max(1, len(places) // _OPENED)][:_OPENED]


def _fits(shape: tuple[int, ...], place: tuple[int, ...], layout: ArrayLayout) -> bool:
    if len(shape) != len(place):
        return False
    along = zip(shape, place, layout.chunks, layout.shape, strict=True)
    return all(n in (chunk, length - i * chunk) for n, i, chunk, length in along)


def _share(sample: _Sample, *, sparse: bool) -> str:
    layout, looked, missing = sample.layout, len(sample.looked_at), sample.missing
    share = 100 * missing / looked
    percent = f"{int(share)} %" if share >= 10 else f"{share:.2g} %"
    if missing < looked < sample.total:
        many = f"about {percent} of its {_files(layout)} are"
    elif sparse:
        many = f"more than 99 % of its {_files(layout)} are"
    else:
        are = "is" if missing == 1 else "are"
        many = f"{missing} of its {sample.total} {_files(layout)} ({percent}) {are}"
    return f"{layout.name}: {many} missing; missing chunks read as {layout.fill}"


def _files(layout: ArrayLayout) -> str:
    return "chunks" if layout.files == layout.chunks else "shards"


def _by(shape: tuple[int, ...]) -> str:
    return times(reversed(shape))
