"""Chunk files that an array's metadata do not look for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.text import times
from blockseg.io.chunks.stored_files import MISSING, why_no_file
from blockseg.io.zarr.chunk_keys import names_in, orders_of, spellings_of

if TYPE_CHECKING:
    from blockseg.io.layout import ArrayLayout, KeyStyle

_ENTRIES = 6000
_FOLDERS = 400
_FAN = 3
_JUDGED = 300  # names that are compared with every order of axes


def misplaced(layout: ArrayLayout, *, alone: bool) -> str:
    """Say in one line where an array's chunks are, if not where they are looked for.

    Looks at a bounded part of the array's folder.

    Parameters
    ----------
    layout
        The array; some of its chunks are missing.
    alone
        Whether no chunk was found in its place.

    Returns
    -------
    Empty if nothing there looks like a chunk in a wrong place.
    """
    style = layout.keys
    names = names_in(layout.folder, entries=_ENTRIES, folders=_FOLDERS, fan=_FAN)
    names = names[:: max(1, len(names) // _JUDGED)]
    strays = [name for name in names if not _in_grid(style, name, layout)]
    if not strays:
        return ""
    for spelling in spellings_of(style):
        for other in (o for o in orders_of(spelling) if _explains(o, strays, layout)):
            lost = next((n for n in strays if _is_lost(other, n, layout)), None)
            if lost is not None:
                return _line(layout, other, lost, _spelled(spelling, layout))
    for other in orders_of(style):
        if other != style and all(_in_grid(other, name, layout) for name in names):
            return _line(layout, other, strays[0], _ORDER.format(_document(layout)))
    return (
        _line(layout, style, strays[0], _otherwise(strays[0], layout)) if alone else ""
    )


_ORDER = (
    "the names count the axes in another order; correct shape and chunks in {}, or "
    "rename the chunks"
)
_STATES = {
    ("zarr2", "."): 'set "dimension_separator": "."',
    ("zarr2", "/"): 'set "dimension_separator": "/"',
    **{
        ("zarr3", f"{prefix}{separator}"): (
            f'set "chunk_key_encoding": {{"name": "{name}", "configuration": '
            f'{{"separator": "{separator}"}}}}'
        )
        for name, prefix in (("default", "c"), ("v2", ""))
        for separator in "./"
    },
}
"""Metadata that state each spelling, where they can."""


def _line(layout: ArrayLayout, there: KeyStyle, name: str, remedy: str) -> str:
    place = _in_grid(there, name, layout) or (0,) * len(layout.shape)
    return (
        f"{layout.name}: its chunks are not where its metadata look for them; "
        f"{layout.keys.key(place)} is expected, {name} is there: {remedy}"
    )


def _spelled(style: KeyStyle, layout: ArrayLayout) -> str:
    spelling = style.separator
    if style.prefix:
        spelling = f"c{style.separator}" if style.prefix[1] == style.separator else "?"
    states = _STATES.get((layout.format, spelling))
    if states is None:
        return f"rename the chunks, {_document(layout)} cannot name them so"
    return f"{states} in {_document(layout)}"


def _otherwise(name: str, layout: ArrayLayout) -> str:
    inner, _, last = name.rpartition("/")
    numbers = [n for n in name.replace("/", ".").split(".") if n.isdecimal()]
    axes = len(layout.shape)
    if last.count(".") + 1 == axes and inner not in ("", "c"):
        return f"move what is in {inner} up into {layout.folder}"
    if not name[0].isdecimal() and not name.startswith(("c/", "c.")):
        return f"move what is in {name.split('/')[0]} up into {layout.folder}"
    if any(len(number) > 1 and number[0] == "0" for number in numbers):
        return "rename the chunks, their numbers have no zeros in front"
    if len(numbers) != axes:
        return (
            f"that is a chunk of {len(numbers)} axes, and {_document(layout)} states "
            f"{axes}; correct it"
        )
    counts = times(layout.file_counts)
    return (
        f"that lies beyond the {counts} chunks of {_document(layout)}; correct its "
        "shape and chunks"
    )


def _document(layout: ArrayLayout) -> str:
    names = {"zarr2": ".zarray", "zarr3": "zarr.json"}
    return names.get(layout.format, "attributes.json")


def _explains(style: KeyStyle, names: list[str], layout: ArrayLayout) -> bool:
    """Say whether every name that is spelled so is a chunk of the grid."""
    places = [style.place(name) for name in names]
    spelled = [place for place in places if place is not None]
    return bool(spelled) and all(_inside(place, layout) for place in spelled)


def _is_lost(style: KeyStyle, name: str, layout: ArrayLayout) -> bool:
    place = _in_grid(style, name, layout)
    return place is not None and why_no_file(layout.chunk_file(place)) == MISSING


def _in_grid(style: KeyStyle, name: str, layout: ArrayLayout) -> tuple[int, ...] | None:
    """Return the place of a chunk's name; None if it is none of the grid."""
    place = style.place(name)
    return place if place is not None and _inside(place, layout) else None


def _inside(place: tuple[int, ...], layout: ArrayLayout) -> bool:
    pairs = zip(place, layout.file_counts, strict=True)
    return all(number < count for number, count in pairs)
