"""Attributes of one N5 folder, read from its ``attributes.json``.

Writers put the same thing under many names and in many forms. What a form may be is
known here; whether it fits the axes of a dataset is for whoever asks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import VolumeError
from blockseg.core.untrusted.sizes import whole_numbers
from blockseg.io.axis_names import AxisNames, letter_of
from blockseg.io.layout import load_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.io.stores.location import Location

_FACTORS = ("downsamplingFactors", "scales")
_SETTINGS = {
    "gzip": ("level", "useZlib"),
    "bzip2": ("blockSize",),
    "xz": ("preset",),
    "blosc": ("cname", "clevel", "shuffle", "blocksize"),
    "zstd": ("level",),
}
"""Settings that decode a compression, a compression each."""


@dataclass(frozen=True, slots=True)
class N5Transform:
    """A ``transform``, as COSEM and others write it: slowest axis first."""

    names: tuple[str, ...] | None
    """Names of its axes; empty for the dataset's own, None if it is of a wrong form."""

    scale: Any
    """Voxel size along these."""

    place: Any
    """Place of the first voxel; false for none."""

    units: Any
    """Units along these, or one for all; false for none."""

    text: str
    """The whole of it, for messages."""


@dataclass(frozen=True, slots=True)
class N5Attributes:
    """All that one folder states."""

    file: Location
    """File that they were read from, if it is there."""

    _stated: dict[str, Any]

    @property
    def is_root(self) -> bool:
        """Whether N5's version is stated."""
        return "n5" in self._stated

    @property
    def is_dataset(self) -> bool:
        """Whether the folder holds blocks."""
        return {"dimensions", "blockSize", "dataType"} <= self._stated.keys()

    @property
    def holds_multisets(self) -> bool:
        """Whether voxels are lists of labels."""
        return self._stated.get("isLabelMultiset") is True

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels of a dataset in C order."""
        return whole_numbers(self._stated["dimensions"])[::-1]

    @property
    def chunks(self) -> tuple[int, ...]:
        """Voxels of a block in C order."""
        return whole_numbers(self._stated["blockSize"])[::-1]

    @property
    def dtype(self) -> str:
        """Type of a voxel."""
        return str(self._stated["dataType"])

    @property
    def compression(self) -> str:
        """Name of the compression."""
        stated = self._stated.get("compression")
        if isinstance(stated, dict):
            return str(stated.get("type", "raw"))
        return str(self._stated.get("compressionType", stated or "raw"))  # before 2.0

    @property
    def codec(self) -> str:
        """The same, with the compressor inside of Blosc."""
        inner = self._settings().get("cname", "")
        return "-".join(filter(None, [self.compression, inner]))

    def storage(self) -> str:
        """Return the storage of blocks as JSON, in N5's own spelling.

        Keys that some writers add and that change nothing in the blocks, such as
        Blosc's number of threads, are left out.
        """
        return json.dumps(
            {
                "dimensions": self._stated["dimensions"],
                "blockSize": self._stated["blockSize"],
                "dataType": self._stated["dataType"],
                "compression": {"type": self.compression, **self._settings()},
            }
        )

    def axes(self, ndim: int) -> AxisNames:
        """Return the axes of a dataset in C order."""
        stated = self._stated.get("axes")
        if not isinstance(stated, list):
            # Both of these count the slowest axis first.
            transform = self._stated.get("transform")
            named = transform.get("axes") if isinstance(transform, dict) else None
            return AxisNames.of(named or self._stated.get("_ARRAY_DIMENSIONS"), ndim)
        # x is N5's first axis, whichever way round the writer lists them.
        written = AxisNames.of(stated, ndim)
        turned = AxisNames.of(stated[::-1], ndim)
        return written if stated and letter_of(str(stated[-1])) == "x" else turned

    @property
    def declared_levels(self) -> int | None:
        """Levels whose factors a group lists; None if it has no such list."""
        factors = self._stated.get("downsamplingFactors", self._stated.get("scales"))
        if isinstance(factors, list) and all(isinstance(f, list) for f in factors):
            return len(factors)
        return None

    @property
    def dimensions(self) -> object:
        """Voxels of a dataset as they are stated, x first."""
        return self._stated.get("dimensions")

    @property
    def voxel_size(self) -> tuple[Any, Any] | None:
        """Voxel size as it is stated, x first, and the unit beside it."""
        for key in ("pixelResolution", "resolution"):
            value, unit = self._stated.get(key), None
            if isinstance(value, dict):
                unit = value.get("unit")
                value = value.get("dimensions") or value
            if value is not None:
                return value, unit
        return None

    @property
    def unit(self) -> str | list[object] | None:
        """Unit of all axes, or of each, slowest first."""
        for key in ("units", "unit", "pixelResolutionUnit"):
            value = self._stated.get(key)
            if isinstance(value, str):
                return value
            if isinstance(value, list) and len(value) == 3:
                return value[::-1]
        return None

    @property
    def transform(self) -> N5Transform | None:
        """Transform of the dataset itself."""
        return _transform(self._stated.get("transform"))

    def transform_of(self, path: str) -> N5Transform | None:
        """Return the transform that a group lists for a dataset in it (COSEM)."""
        try:
            datasets = self._stated["multiscales"][0]["datasets"]
            named = [d for d in datasets if str(d["path"]).strip("/") == path]
            return _transform(named[0].get("transform"))
        except (TypeError, KeyError, IndexError, AttributeError):
            return None

    def factors(self, level: int) -> Iterator[object]:
        """Yield all that is stated as factors of a level, x first."""
        for key in _FACTORS:
            value = self._stated.get(key)
            if isinstance(value, list) and value and isinstance(value[0], list):
                value = value[level] if level < len(value) else None
            yield value

    def _settings(self) -> dict[str, Any]:
        stated = self._stated.get("compression")
        if not isinstance(stated, dict):
            return {}
        kept = _SETTINGS.get(self.compression, ())
        return {key: stated[key] for key in kept if key in stated}


def read_attributes(folder: Location) -> N5Attributes:
    """Read the attributes of a folder, which may have none.

    Raises
    ------
    VolumeError
        If their file is damaged.
    """
    file = folder / "attributes.json"
    return N5Attributes(file, load_json(file) or {})


def perhaps_attributes(folder: Location) -> N5Attributes:
    """Read the attributes of a folder that may have nothing to do with N5."""
    try:
        return read_attributes(folder)
    except VolumeError:
        return N5Attributes(folder, {})


def _transform(value: Any) -> N5Transform | None:
    if not value:
        return None
    if not isinstance(value, dict):
        return N5Transform(None, None, None, None, repr(value))
    names = value.get("axes") or []
    return N5Transform(
        tuple(map(str, names)) if isinstance(names, list) else None,
        value.get("scale"),
        value.get("translate"),
        value.get("units"),
        repr(value),
    )
