"""Settings of codecs that some writers add and that decoding needs none of.

What Blosc, zstd, gzip and their like wrote says itself how it is decoded; of all that
metadata state beside the codec's name, tensorstore asks for each key and for no other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from blockseg.core.untrusted.json_text import MALFORMED
from blockseg.io.layout import load_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.io.layout import ArrayLayout

_MAY_BE_NULL = ("dimension_separator", "consolidated_metadata")
_BLOSC = {"clevel": 5, "blocksize": 0}
_BLOSC_NAMES = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
_PLAIN_V3: dict[str, dict[str, Any]] = {
    "zstd": {"level": 0, "checksum": False},
    "gzip": {"level": 5},
}
_PLAIN_V2: dict[str, dict[str, Any]] = {
    "zstd": {"level": 0},
    "zlib": {"level": 5},
    "gzip": {"level": 5},
    "bz2": {"level": 5},
}
_KEYS_V3: dict[str, tuple[str, ...]] = {
    "bytes": ("endian",),
    "transpose": ("order",),
    "crc32c": (),
    "sharding_indexed": ("chunk_shape", "codecs", "index_codecs", "index_location"),
}
"""Settings that decide what a chunk means, a codec each."""


def plain_metadata(layout: ArrayLayout) -> str:
    """Return metadata of an array with what its compressors need and no more, as JSON.

    Empty where that is what its own file says.
    """
    stated = _stated(layout)
    # Such keys say nothing, and tensorstore refuses them so.
    empty = {key for key in _MAY_BE_NULL if stated.get(key, "") is None}
    plain = {key: value for key, value in stated.items() if key not in empty}
    if layout.format == "zarr3":
        plain["codecs"] = _plain_chain(stated["codecs"])
    elif isinstance(stated.get("compressor"), dict):
        plain["compressor"] = _plain_v2(stated["compressor"])
    return "" if plain == stated else json.dumps(plain)


def unknown_codec_keys(layout: ArrayLayout) -> list[str]:
    """Return each setting of a codec that no library here knows, as ``codec.key``."""
    if layout.format == "zarr2":
        return []
    try:
        return list(_unknown(_stated(layout)["codecs"]))
    except MALFORMED:
        return []  # tensorstore says what is wrong with them


def _stated(layout: ArrayLayout) -> dict[str, Any]:
    name = ".zarray" if layout.format == "zarr2" else "zarr.json"
    return load_json(layout.folder / name) or {}


def _plain_v2(codec: dict[str, Any]) -> dict[str, Any]:
    name = codec.get("id")
    if name == "blosc":
        return {"id": name, **_blosc(codec), "shuffle": 1}
    if name in _PLAIN_V2:
        return {"id": name, **_PLAIN_V2[name]}
    return codec


def _plain_chain(codecs: list[Any]) -> list[Any]:
    return [_plain_v3(codec) if isinstance(codec, dict) else codec for codec in codecs]


def _plain_v3(codec: dict[str, Any]) -> dict[str, Any]:
    name, stated = codec["name"], codec.get("configuration") or {}
    # A codec that is in use has to be understood, whatever its writer says of it.
    plain = {key: value for key, value in codec.items() if key != "must_understand"}
    if name == "blosc":
        plain["configuration"] = {
            **_blosc(stated), "shuffle": "shuffle", "typesize": 1
        }  # fmt: skip
    elif name in _PLAIN_V3:
        plain["configuration"] = _PLAIN_V3[name]
    elif name == "sharding_indexed":
        chains = [key for key in ("codecs", "index_codecs") if key in stated]
        inner = {key: _plain_chain(stated[key]) for key in chains}
        plain["configuration"] = {**stated, **inner}
    return plain


def _blosc(stated: dict[str, Any]) -> dict[str, Any]:
    name = stated.get("cname")
    return {**_BLOSC, "cname": name if name in _BLOSC_NAMES else "zstd"}


def _unknown(codecs: list[Any]) -> Iterator[str]:
    for codec in codecs:
        if not isinstance(codec, dict) or codec["name"] not in _KEYS_V3:
            continue
        name, stated = codec["name"], codec.get("configuration") or {}
        yield from (f"{name}.{key}" for key in stated if key not in _KEYS_V3[name])
        for chain in ("codecs", "index_codecs"):
            yield from _unknown(stated.get(chain) or [])
