"""Shape of ``run.json``, checked: its readers may rely on it."""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from blockseg.core.specs import Format, VolumeSpec
from blockseg.core.untrusted.sizes import LONGEST_AXIS

if TYPE_CHECKING:
    from collections.abc import Callable

Check: TypeAlias = "Callable[[Any, str], str]"
"""Takes a value and its place in the file; returns what is wrong with it, or nothing."""

_LARGEST = 2**63
_DTYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64|96|128)")
_ROI = re.compile(r"\d+:\d+,\d+:\d+,\d+:\d+")


def what_is_wrong(data: dict[str, Any]) -> str:
    """Return the first value in a record that is none; empty if there is none such.

    Parameters
    ----------
    data
        Content of the file, its format aside.
    """
    return _TYPES(data, "")


def what_is_missing(data: dict[str, Any]) -> str:
    """Return the first thing that a record of a job must hold and does not.

    Parameters
    ----------
    data
        Content of the file, in which :func:`what_is_wrong` found nothing.
    """
    missing = _WHOLE(data, "")
    if missing:
        return missing
    job = data["facts"]["phases"][0]["name"]
    return _keys(_FACTS_OF.get(job, {}))(data["facts"], "facts")


def _of(kind: type | tuple[type, ...], name: str) -> Check:
    def check(value: Any, place: str) -> str:
        # True is an int in Python, and none here.
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if isinstance(value, int):
            fits = fits and abs(value) < _LARGEST
        return "" if fits else f"{place} is no {name}"

    return check


_text = _of(str, "text")
_flag = _of(bool, "switch")
_table = _of(dict, "table")


def _anything(value: Any, place: str) -> str:  # noqa: ARG001
    return ""


def _number(value: Any, place: str) -> str:
    wrong = _of((int, float), "number")(value, place)
    return wrong or ("" if math.isfinite(value) else f"{place} is not finite")


def _count(value: Any, place: str) -> str:
    wrong = _of(int, "whole number")(value, place)
    return wrong or ("" if value >= 0 else f"{place} is negative")


def _extent(value: Any, place: str) -> str:
    wrong = _count(value, place)
    fits = 0 < value <= LONGEST_AXIS if not wrong else True
    return wrong or ("" if fits else f"{place} is no length")


def _roi(value: Any, place: str) -> str:
    wrong = _text(value, place)
    return wrong or ("" if _ROI.fullmatch(value) else f"{place} is no region")


def _data_type(value: Any, place: str) -> str:
    wrong = _text(value, place)
    return wrong or ("" if _DTYPE.fullmatch(value) else f"{place} is no data type")


def _maybe(check: Check) -> Check:
    return lambda value, place: "" if value is None else check(value, place)


def _list(check: Check, length: int | None = None, least: int = 0) -> Check:
    def check_all(value: Any, place: str) -> str:
        wrong = _of(list, "list")(value, place)
        if wrong:
            return wrong
        if len(value) < least or length not in (None, len(value)):
            return f"{place} has {len(value)} entries"
        found = (check(one, f"{place}[{number}]") for number, one in enumerate(value))
        return next((wrong for wrong in found if wrong), "")

    return check_all


def _keys(
    needed: dict[str, Check],
    allowed: dict[str, Check] | None = None,
    *,
    whole: bool = True,
    only: bool = False,
) -> Check:
    """Return a check of a table.

    Parameters
    ----------
    needed
        Keys that it must have, if it is to be ``whole``.
    allowed
        Keys that it may have.
    only
        Whether it may have no others.
    """
    known = {**needed, **(allowed or {})}

    def check_all(value: Any, place: str) -> str:
        wrong = _table(value, place)
        if wrong:
            return wrong
        before = f"{place}." if place else ""
        for key in needed if whole else ():
            if key not in value:
                return f"{before}{key} is missing"
        if only and (strange := sorted(value.keys() - known.keys())):
            return f"{before}{strange[0]} is unknown"
        found = (
            check(value[key], before + key)
            for key, check in known.items()
            if key in value
        )
        return next((wrong for wrong in found if wrong), "")

    return check_all


def _format(value: Any, place: str) -> str:
    return "" if value in get_args(Format) else f"{place} is no format"


_zyx = _list(_extent, 3)


def _record(*, whole: bool) -> Check:
    """Return the check of a record, or only of the types of what it holds."""
    by_type: dict[type, Check] = {str: _text, bool: _flag, int: _count, tuple: _zyx}
    later = {  # missing in records of earlier versions
        field.name: by_type.get(type(field.default), _anything)
        for field in fields(VolumeSpec)
        if field.default is not MISSING
    }
    keys = partial(_keys, whole=whole)
    source = keys(
        {
            "spec": keys({"uri": _text, "format": _format}, later, only=True),
            "voxel_size": _list(_number, 3),
            "unit": _maybe(_text),
            "translation": _list(_number, 3),
            "fingerprint": _table,
        }
    )
    scale: dict[str, Check] = {"level": _number, "sd": _number, "dtype": _data_type}
    scale["saturation"] = _maybe(_number)
    phase = {"name": _text, "blocks": _count, "grid": _list(_extent, 3)}
    request = {"source": _maybe(source), "mask": _maybe(source)}
    request |= {"weights": _maybe(_text), "settings": _keys({}, {"roi": _maybe(_roi)})}
    facts = {
        "cells": _maybe(keys({"scale": keys(scale), "predicted": _flag})),
        "checked": _flag,
        "network": _maybe(_keys({}, {"gain": _number})),
        "roi": _roi,
        "volume_shape": _zyx,
    }
    return _keys(
        {
            "request": keys(request),
            "decisions": _keys({}, {"block": _zyx, "sparse": _maybe(_table)}),
            "execution": _keys({}, {"ledger": _maybe(_text)}),
            "facts": keys({"phases": _list(keys(phase), least=1)}, facts),
            "sessions": _list(keys({"command": _text})),
            "version": _text,
        },
        only=True,
    )


_FACTS_OF: dict[str, dict[str, Check]] = {
    "segment": {"roi": _roi, "volume_shape": _zyx},
    "metrics": {"cells": _table},
}
_TYPES = _record(whole=False)
_WHOLE = _record(whole=True)
