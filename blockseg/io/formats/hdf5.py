"""HDF5 files, read chunk by chunk: the one place that knows h5py.

h5py holds one lock over every call in a process. So that threads decode side by side, a
chunk's bytes are taken as they are stored and unpacked outside of it; only what this
module cannot unpack is left to HDF5. Nothing is followed out of the file.
"""

from __future__ import annotations

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from blockseg.core.errors import BlocksegError, MissingExtraError, VolumeError
from blockseg.core.text import first_line
from blockseg.io.chunks.read_again import read_again
from blockseg.io.formats.hdf5_filters import FILTER_NAMES, OWN_FILTERS, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from blockseg.io.axes import Index
    from blockseg.io.chunks.tensorstores import BeginRead, ReadLimits

MARK = b"\x89HDF\r\n\x1a\n"
"""First bytes of an HDF5 file without a user block."""

_UNCHUNKED = (32, 256, 256)  # voxels that are read together where nothing is chunked
_MOST_TEXT = 4096  # characters of an attribute
# Files that are damaged make h5py raise these.
_DAMAGED = (OSError, RuntimeError, ValueError, LookupError, TypeError, MemoryError,
            AttributeError, OverflowError, NotImplementedError)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dataset:
    """One array of an HDF5 file."""

    name: str
    """Path inside the file."""

    shape: tuple[int, ...]
    """Length of each axis."""

    dtype: np.dtype[Any]
    """Type of an element, in the file's byte order."""

    chunks: tuple[int, ...]
    """Elements that are read as a whole."""

    chunked: bool
    """Whether the file stores them so."""

    filters: tuple[tuple[int, tuple[int, ...]], ...]
    """Number and settings of each filter, in the order of writing."""

    @property
    def codecs(self) -> tuple[str, ...]:
        """Names of the filters."""
        return tuple(
            FILTER_NAMES.get(number, f"filter {number}") for number, _ in self.filters
        )


class Hdf5:
    """An open HDF5 file, of which nothing outside of it is ever reached.

    Parameters
    ----------
    file
        h5py's file.
    path
        Where it lies, for messages.
    """

    def __init__(self, file: Any, path: str) -> None:
        self._file, self._path = file, path

    def names(self, group: str = "", most: int = 100_000) -> list[str]:
        """Return the names in a group, in no order; empty where there is none.

        Raises
        ------
        VolumeError
            If there are more than ``most``.
        """
        node = self._node(group)
        if node is None or not hasattr(node, "keys"):
            return []
        if len(node) > most:
            message = f"{self._path}: {group or '/'} holds {len(node)} groups, more than {most}"
            raise VolumeError(message, self._path)
        return list(node)

    def has(self, name: str) -> bool:
        """Return whether there is a group or array of a name."""
        return self._node(name) is not None

    def dataset(self, name: str) -> Dataset | None:
        """Return an array; None if there is none of this name.

        Raises
        ------
        VolumeError
            If its elements are no numbers, lie in other files, or are packed by a filter
            that nothing here unpacks.
        """
        node = self._node(name)
        if node is None or not hasattr(node, "chunks"):
            return None
        self._require_inside(node, name)
        dtype = np.dtype(node.dtype)
        if dtype.hasobject or dtype.kind not in "biuf" or node.shape is None:
            message = f"{self._path}: {name} holds {dtype}, no numbers"
            raise VolumeError(message, self._path)
        shape = tuple(int(n) for n in node.shape)
        chunked = node.chunks is not None
        chunks = node.chunks if chunked else _unchunked(shape)
        created = node.id.get_create_plist()
        found = [created.get_filter(i) for i in range(created.get_nfilters())]
        filters = tuple((int(f[0]), tuple(map(int, f[2]))) for f in found)
        self._require_known(filters, name)
        return Dataset(name, shape, dtype, tuple(map(int, chunks)), chunked, filters)

    def attribute(self, group: str, name: str) -> Any:
        """Return an attribute: text where it is text in any form, else an array or None.

        Imaris writes numbers as arrays of characters.
        """
        node = self._node(group)
        if node is None or name not in node.attrs:
            return None
        identifier = node.attrs.get_id(name)
        if identifier.get_storage_size() > _MOST_TEXT:
            message = f"{self._path}: attribute {name} of {group} is too long"
            raise VolumeError(message, self._path)
        value = node.attrs[name]
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace").strip("\0 ")
        if isinstance(value, str):
            return value.strip("\0 ")
        array = np.asarray(value)
        if array.dtype.kind == "S":
            return array.tobytes().decode("utf-8", "replace").strip("\0 ")
        return array

    def numbers(self, name: str) -> NDArray[Any] | None:
        """Return a small array whole; None if there is none of this name."""
        found = self.dataset(name)
        if found is None:
            return None
        if int(np.prod(found.shape, dtype=object)) > _MOST_TEXT:
            message = f"{self._path}: {name} of {found.shape} numbers is too long"
            raise VolumeError(message, self._path)
        return np.asarray(self._node(name)[()])

    def _node(self, name: str) -> Any:
        """Return the object of a name without leaving the file; None if there is none."""
        import h5py

        node = self._file
        for part in filter(None, name.split("/")):
            if not isinstance(node, h5py.Group):
                return None
            link = node.get(part, getlink=True)
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                other = getattr(link, "filename", "")
                where = f"the file {other[:80]!r}" if other else "another place"
                message = (
                    f"{self._path}: {name} is a link to {where}, which is not followed; "
                    "write the volume into one file"
                )
                raise VolumeError(message, self._path)
            node = node[part]
        return node

    def _require_inside(self, node: Any, name: str) -> None:
        if node.is_virtual or node.external:
            message = (
                f"{self._path}: the voxels of {name} lie in other files, which are not "
                "followed; write the volume into one file"
            )
            raise VolumeError(message, self._path)

    def _require_known(
        self, filters: tuple[tuple[int, tuple[int, ...]], ...], name: str
    ) -> None:
        import h5py

        for number, _ in filters:
            if number not in OWN_FILTERS and not h5py.h5z.filter_avail(number):
                called = FILTER_NAMES.get(number, "unknown")
                message = (
                    f"{self._path}: {name} is packed by HDF5's filter {number} ({called}), "
                    "which nothing here unpacks; rewrite it with gzip, as by h5repack -f "
                    "GZIP=1"
                )
                raise VolumeError(message, self._path)


def hdf5_kind(path: str) -> Literal["imaris", "bdv"] | None:
    """Return whose layout an HDF5 file has; None if it is of no known one.

    Raises
    ------
    VolumeError, MissingExtraError
        As :func:`opened_hdf5`.
    """
    with opened_hdf5(path) as file:
        if file.has("DataSet/ResolutionLevel 0"):
            return "imaris"
        if file.has("__DATA_TYPES__") or file.has("s00/resolutions"):
            return "bdv"
    return None


@contextmanager
def opened_hdf5(path: str) -> Iterator[Hdf5]:
    """Open an HDF5 file read-only; what is wrong with it is a VolumeError that names it.

    Raises
    ------
    VolumeError
        If it cannot be read.
    MissingExtraError
        If h5py is not installed.
    """
    try:
        with _open(path) as file:
            yield Hdf5(file, path)
    except BlocksegError:
        raise
    except _DAMAGED as error:
        message = f"{path} cannot be read as HDF5: {first_line(error) or type(error).__name__}"
        raise VolumeError(message, path) from error


def begin_hdf5_reads(
    path: str,
    found: Dataset,
    name: Callable[[tuple[int, ...]], str],
    limits: ReadLimits,
) -> BeginRead:
    """Return a function that reads boxes of arrays stacked along leading axes.

    Parameters
    ----------
    path
        The file.
    found
        One of the arrays; all are alike.
    name
        Path inside the file of the array at a place on the leading axes.
    limits
        Threads that may decode.
    """
    file = _File(path, limits.copy_threads)
    ndim = len(found.shape)

    def begin(index: Index) -> Callable[[], NDArray[Any]]:
        lead = tuple(part.start for part in index[:-ndim])
        dataset = name(lead)
        box = index[-ndim:]

        def read() -> NDArray[Any]:
            return read_again(lambda: _read_box(file, dataset, found, box))

        future = file.pool.submit(read)
        shape = (1,) * len(lead) + tuple(part.stop - part.start for part in box)
        return lambda: future.result().reshape(shape)

    return begin


class _File:
    """An HDF5 file, opened separately in every process, and its threads."""

    def __init__(self, path: str, threads: int) -> None:
        self._path, self._threads = path, threads
        self._lock = threading.Lock()
        self._process = 0
        self._datasets: dict[str, Any] = {}
        self._file: Any = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def pool(self) -> ThreadPoolExecutor:
        """Threads of this process that decode."""
        self._here()
        assert self._pool is not None  # noqa: S101 - made by the line above
        return self._pool

    def dataset(self, name: str) -> Any:
        """Return h5py's array of a name."""
        self._here()
        with self._lock:
            if name not in self._datasets:
                self._datasets[name] = self._file[name]
            return self._datasets[name]

    def _here(self) -> None:
        # A file that was open before a fork is no file of the child's.
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    self._file = _open(self._path)
                    self._datasets = {}
                    self._pool = ThreadPoolExecutor(self._threads, "hdf5")
                    self._process = os.getpid()


def _open(path: str) -> Any:
    try:
        import h5py
    except ImportError as error:
        what = f"h5py, which reads {path},"
        raise MissingExtraError(what, "hdf5") from error
    # Nothing is written: no lock, which read-only network disks refuse. And no cache of
    # chunks in HDF5 beside the volume's own.
    try:
        return h5py.File(path, "r", locking=False, rdcc_nbytes=0)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        # Somebody else in this process has opened it, with a lock.
        return h5py.File(path, "r", rdcc_nbytes=0)


def _read_box(
    file: _File, name: str, found: Dataset, box: tuple[slice, ...]
) -> NDArray[Any]:
    dataset = file.dataset(name)
    if not _is_own(dataset, found):
        return np.asarray(dataset[box])
    out = np.empty([part.stop - part.start for part in box], found.dtype)
    spans = [
        range(part.start // c, -(-part.stop // c))
        for part, c in zip(box, found.chunks, strict=True)
    ]
    for place in itertools.product(*spans):
        first = tuple(p * c for p, c in zip(place, found.chunks, strict=True))
        chunk = _chunk(dataset, found, first)
        triples = list(zip(box, first, found.chunks, strict=True))
        inner = [(max(b.start, f), min(b.stop, f + c)) for b, f, c in triples]
        to = tuple(
            slice(a - b.start, z - b.start)
            for (a, z), b in zip(inner, box, strict=True)
        )
        of = tuple(slice(a - f, z - f) for (a, z), f in zip(inner, first, strict=True))
        out[to] = chunk[of]
    return out


def _is_own(dataset: Any, found: Dataset) -> bool:
    """Return whether chunks can be unpacked here.

    Of a dataset without any chunk h5py cannot say how long one is.
    """
    numbers = {number for number, _ in found.filters}
    return bool(
        found.chunked and numbers <= OWN_FILTERS and dataset.id.get_storage_size()
    )


def _chunk(dataset: Any, found: Dataset, first: tuple[int, ...]) -> NDArray[Any]:
    try:
        mask, raw = dataset.id.read_direct_chunk(first)
    except (RuntimeError, MemoryError):
        # Not stored, mostly: HDF5 then gives the fill value, or its own error.
        spans = zip(first, found.chunks, found.shape, strict=True)
        box = tuple(slice(f, min(f + c, n)) for f, c, n in spans)
        part = np.asarray(dataset[box])
        padding = [(0, c - n) for c, n in zip(found.chunks, part.shape, strict=True)]
        return np.pad(part, padding)
    nbytes = int(np.prod(found.chunks)) * found.dtype.itemsize
    data = unpacked(bytes(raw), found.filters, mask, nbytes)
    if len(data) != nbytes:
        message = f"a chunk has {len(data)} bytes, where {nbytes} are expected"
        raise ValueError(message)
    return np.frombuffer(data, found.dtype).reshape(found.chunks)


def _unchunked(shape: tuple[int, ...]) -> tuple[int, ...]:
    lead = (1,) * max(0, len(shape) - 3)
    tail = _UNCHUNKED[-min(3, len(shape)) :] if shape else ()
    return tuple(max(1, min(n, c)) for n, c in zip(shape, lead + tail, strict=True))
