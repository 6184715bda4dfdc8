"""Zarr metadata of the array of one level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.io.output.codecs import zarr2_codec, zarr3_codecs

if TYPE_CHECKING:
    from blockseg.io.output.pyramid import PyramidLevel, PyramidSpec

__all__ = ["array_document", "array_file"]


def array_file(spec: PyramidSpec) -> str:
    """Return the name of the file that describes an array."""
    return "zarr.json" if spec.zarr_format == 3 else ".zarray"


def array_document(spec: PyramidSpec, level: PyramidLevel) -> dict[str, Any]:
    """Return the metadata of one level's array, as they stand in its file."""
    if spec.zarr_format == 2:
        return _zarr2(spec, level)
    index_codecs = [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "crc32c"},
    ]
    sharding = {
        "chunk_shape": list(level.chunk),
        "codecs": zarr3_codecs(spec.codec, spec.dtype, checked=spec.checked),
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


def _zarr2(spec: PyramidSpec, level: PyramidLevel) -> dict[str, Any]:
    return {
        "zarr_format": 2,
        "shape": list(level.shape),
        "chunks": list(level.chunk),
        "dtype": np.dtype(spec.dtype).newbyteorder("<").str,
        "compressor": zarr2_codec(spec.codec),
        "fill_value": _zero(spec),
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }


def _zero(spec: PyramidSpec) -> float:
    return 0.0 if spec.dtype == "float32" else 0
