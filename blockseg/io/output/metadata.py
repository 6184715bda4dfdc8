"""Metadata files of an output: OME-NGFF 0.5 on Zarr v3, 0.4 on Zarr v2.

They leave this module as text. Nothing in them depends on the output's name, the time
or the machine.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from blockseg.core.untrusted.json_text import parse_json
from blockseg.io.output.codecs import codec_named
from blockseg.io.output.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from blockseg.io.output.codecs import Codec
    from blockseg.io.output.pyramid import PyramidLevel, PyramidSpec

_OURS = "blockseg"  # attribute that says what an image was derived from
_METHODS: dict[str, str] = {"max": "maximum", "mean": "mean"}
_DESCRIPTIONS: dict[str, str] = {
    "max": "maximum of each 2x2x2 voxels: a thin axon must stay visible",
    "mean": "mean of each 2x2x2 voxels; integers are rounded half to even",
}


def array_file(zarr_format: Literal[2, 3]) -> str:
    """Return the name of the file that describes an array."""
    return "zarr.json" if zarr_format == 3 else ".zarray"


def array_text(spec: PyramidSpec, level: PyramidLevel) -> str:
    """Return the content of the file that describes the array of one level."""
    return _text((_zarr2 if spec.zarr_format == 2 else _zarr3)(spec, level))


def group_files(zarr_format: Literal[2, 3]) -> tuple[str, ...]:
    """Return the names of the files that describe a group with attributes."""
    return (".zgroup", ".zattrs") if zarr_format == 2 else ("zarr.json",)


def bare_group(zarr_format: Literal[2, 3]) -> tuple[str, str]:
    """Return name and content of the file of a group without attributes."""
    if zarr_format == 2:
        return ".zgroup", json.dumps({"zarr_format": 2}) + "\n"
    document = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    return "zarr.json", json.dumps(document) + "\n"


def image_files(spec: PyramidSpec) -> dict[str, str]:
    """Return the files of an image's group by name: its levels, how to show it."""
    attributes: dict[str, Any] = {"multiscales": [_multiscale(spec)]}
    if spec.window is not None:
        start, end = spec.window
        channel = {
            "label": "blockseg",
            "color": "FFFFFF",
            "active": True,
            "window": {"min": start, "max": end, "start": start, "end": end},
        }
        attributes["omero"] = {"channels": [channel], "rdefs": {"model": "greyscale"}}
    return _group(spec.zarr_format, attributes, spec.provenance)


def label_files(spec: PyramidSpec) -> dict[str, str]:
    """Return the files by name of a label image's group, ``labels/NAME`` of its image.

    A mask has one colour; ids of objects of a run are coloured by the viewer.
    """
    label: dict[str, Any] = {"source": {"image": "../../"}}
    # What was begun before there were such ids keeps its bytes.
    if spec.dtype == "uint8" or spec.provenance is None:
        colors = [{"label-value": 1, "rgba": [255, 128, 0, 255]}]
        label = {"colors": colors, **label}
    if spec.zarr_format == 2:
        label = {"version": "0.4", **label}
    attributes = {"multiscales": [_multiscale(spec)], "image-label": label}
    return _group(spec.zarr_format, attributes, spec.provenance)


def labels_files(zarr_format: Literal[2, 3], names: Sequence[str]) -> dict[str, str]:
    """Return the files by name of the group ``labels``, which lists its masks."""
    return _group(zarr_format, {"labels": list(names)})


def provenance_in(files: Mapping[str, str]) -> Provenance | None:
    """Return the provenance stated by the group of an image; None if it states none.

    Parameters
    ----------
    files
        Texts of the files that describe the group, by their names.
    """
    for text in files.values():
        try:
            document = parse_json(text)
        except ValueError:
            continue
        if isinstance(document, dict):
            attributes = document.get("attributes", document)
            kept = attributes.get(_OURS) if isinstance(attributes, dict) else None
            if (found := Provenance.from_plain(kept)) is not None:
                return found
    return None


def _group(
    zarr_format: Literal[2, 3],
    attributes: dict[str, Any],
    provenance: Provenance | None = None,
) -> dict[str, str]:
    ours = {} if provenance is None else {_OURS: provenance.to_plain()}
    if zarr_format == 2:
        text = _text({**attributes, **ours})
        return {".zgroup": _text({"zarr_format": 2}), ".zattrs": text}
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": {"version": "0.5", **attributes}, **ours},
    }
    return {"zarr.json": _text(document)}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _zarr3(spec: PyramidSpec, level: PyramidLevel) -> dict[str, Any]:
    index_codecs = [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "crc32c"},
    ]
    sharding = {
        "chunk_shape": list(level.chunk),
        "codecs": _zarr3_codecs(spec, level),
        "index_codecs": index_codecs,
        "index_location": "end",
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(level.shape),
        "data_type": spec.dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(level.shard)},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": _zero(spec),
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": {},
        "dimension_names": ["z", "y", "x"],
    }


def _zarr3_codecs(spec: PyramidSpec, level: PyramidLevel) -> list[dict[str, Any]]:
    """Return the chain of a chunk: to bytes, compressed, and a checksum if asked for."""
    codec, itemsize = codec_named(spec.codec), np.dtype(spec.dtype).itemsize
    chain: list[dict[str, Any]] = [{"name": "bytes"}]
    if itemsize > 1:
        chain[0]["configuration"] = {"endian": "little"}
    settings = _settings(codec, "shuffle", _blosc_bytes(spec, level))
    if codec.name == "blosc":
        settings = {"typesize": itemsize, **settings}
    elif codec.name == "zstd":
        settings["checksum"] = False
    if codec.name:
        chain.append({"name": codec.name, "configuration": settings})
    return [*chain, {"name": "crc32c"}] if spec.checked else chain


def _zarr2(spec: PyramidSpec, level: PyramidLevel) -> dict[str, Any]:
    codec = codec_named(spec.codec)
    compressor = {
        "id": codec.name,
        **_settings(codec, 1, _blosc_bytes(spec, level)),
    }
    return {
        "zarr_format": 2,
        "shape": list(level.shape),
        "chunks": list(level.chunk),
        "dtype": np.dtype(spec.dtype).newbyteorder("<").str,
        "compressor": compressor if codec.name else None,
        "fill_value": _zero(spec),
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }


def _settings(codec: Codec, shuffle: str | int, blosc_bytes: int) -> dict[str, Any]:
    if not codec.inner:
        return {"level": codec.level}
    blosc = {"cname": codec.inner, "clevel": codec.level}
    return {**blosc, "shuffle": shuffle, "blocksize": blosc_bytes}


def _blosc_bytes(spec: PyramidSpec, level: PyramidLevel) -> int:
    """Return how many bytes Blosc compresses at once; 0 for its own choice."""
    whole = math.prod(level.chunk) * np.dtype(spec.dtype).itemsize
    return whole if spec.whole_chunks else 0


def _zero(spec: PyramidSpec) -> float:
    return 0.0 if spec.dtype == "float32" else 0


def _multiscale(spec: PyramidSpec) -> dict[str, Any]:
    method = _METHODS[spec.reduce]
    description = _DESCRIPTIONS[spec.reduce]
    version = {"version": "0.4"} if spec.zarr_format == 2 else {}
    return {
        **version,
        "name": spec.name,
        "axes": [_axis(spec, name) for name in "zyx"],
        "datasets": [_dataset(spec, level.index) for level in spec.levels],
        "type": method,
        "metadata": {"method": method, "description": description},
    }


def _axis(spec: PyramidSpec, name: str) -> dict[str, str]:
    axis = {"name": name, "type": "space"}
    return axis if spec.space.unit is None else {**axis, "unit": spec.space.unit}


def _dataset(spec: PyramidSpec, level: int) -> dict[str, Any]:
    space = spec.space.coarser(level)
    transformations = [
        {"type": "scale", "scale": list(space.voxel_size)},
        {"type": "translation", "translation": list(space.translation)},
    ]
    return {"path": str(level), "coordinateTransformations": transformations}
