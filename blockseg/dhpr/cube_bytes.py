"""Counts of a block's cubes as few bytes, to travel and to be stored with the block."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import LedgerError
from blockseg.dhpr.cubes import CUBE, HISTOGRAMS, SUMS, CubeTable
from blockseg.dhpr.grey_scale import CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.dhpr.grey_scale import GreyScale

_MARK = b"cells2"
_LACKS = {_MARK: 0, b"cells1": 1}  # by mark, how many of the last sums are not there
_PLACE = 9  # index, start and stop
_HEAD = _PLACE + len(SUMS)
_COUNTS = len(HISTOGRAMS) * CODES
_QUICK = 1  # of zlib: a block is waiting


def cubes_to_bytes(table: CubeTable) -> bytes:
    """Return the rows of a table of cubes, a few hundred bytes each at most.

    What they have in common (scale, edge) is not among them.
    """
    head = np.concatenate(
        [table.index, table.start, table.stop, table.sums], axis=1, dtype=np.int64
    )
    parts = (head.astype("<i8"), table.histograms.astype("<u4"))
    return _MARK + zlib.compress(b"".join(map(_shuffled, parts)), _QUICK)


def cubes_from_bytes(data: bytes, scale: GreyScale, *, predicted: bool) -> CubeTable:
    """Return the table that :func:`cubes_to_bytes` was given.

    Parameters
    ----------
    data
        Bytes that :func:`cubes_to_bytes` returned.
    scale, predicted
        As in :class:`CubeTable`.

    Returns
    -------
    CubeTable
        Sums that were not counted when the bytes were written are 0.

    Raises
    ------
    LedgerError
        If the bytes are damaged or of another version of blockseg.
    """
    try:
        width = _HEAD - _LACKS[data[: len(_MARK)]]
        plain = zlib.decompress(data[len(_MARK) :])
        rows, rest = divmod(len(plain), 8 * width + 4 * _COUNTS)
        if rest:
            raise ValueError  # noqa: TRY301 - one message for all that is wrong
    except (KeyError, ValueError, zlib.error) as error:
        message = (
            "the metrics of a block in the ledger are damaged or of another version of "
            "blockseg; read them with the one that wrote them, or start over with "
            "--overwrite"
        )
        raise LedgerError(message) from error
    cut = 8 * width * rows
    head = np.zeros((rows, _HEAD), np.int64)
    head[:, :width] = _restored(plain[:cut], "<i8").reshape(rows, width)
    counts = _restored(plain[cut:], "<u4").reshape(rows, len(HISTOGRAMS), CODES)
    return CubeTable(
        scale=scale,
        predicted=predicted,
        edge=(CUBE, CUBE, CUBE),
        origin=(0, 0, 0),
        index=head[:, :3],
        start=head[:, 3:6],
        stop=head[:, 6:9],
        sums=head[:, 9:],
        histograms=counts,
    )


def _shuffled(values: NDArray[np.generic]) -> bytes:
    """Return the bytes of numbers, all lowest ones first: mostly zeros follow."""
    octets = np.ascontiguousarray(values).view(np.uint8)
    return octets.reshape(-1, values.dtype.itemsize).T.tobytes()


def _restored(data: bytes, dtype: str) -> NDArray[np.generic]:
    size = np.dtype(dtype).itemsize
    octets = np.frombuffer(data, np.uint8).reshape(size, -1).T
    return np.ascontiguousarray(octets).view(dtype).ravel()
