"""``blockseg engine``: build, list, check and remove TensorRT engines."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import BackendError, BlocksegError, ConfigError
from blockseg.core.text import times
from blockseg.inference.backends.tensorrt.cache import EngineCache
from blockseg.inference.backends.tensorrt.compatibility import LIBRARIES, find_library
from blockseg.inference.backends.tensorrt.engines import Engines, order_engines
from blockseg.inference.backends.tensorrt.file import read_engine
from blockseg.inference.backends.tensorrt.state import parity_problem, state_of
from blockseg.networks.shipped import weights_path
from blockseg.networks.weights_info import load_info

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.tensorrt.cache import Entry
    from blockseg.inference.backends.tensorrt.file import EngineKey
    from blockseg.inference.backends.tensorrt.library import Card, EngineLibrary


@dataclass(frozen=True, slots=True)
class EngineRow:
    """An engine of the cache."""

    path: str
    """Its file."""

    size: int
    """Bytes of the file."""

    age: float
    """Seconds since it was built."""

    state: str
    """A :data:`~blockseg.inference.backends.tensorrt.state.State`."""

    why: str = ""
    """Why it is not valid."""

    what: EngineKey | None = None
    """All that it depends on; None where its file does not say it."""

    def line(self) -> str:
        """Return the row for a human."""
        state = f"{self.state}: {self.why}" if self.why else self.state
        size = f"{self.size / 1e6:.1f} MB"
        if self.what is None:
            return f"{self.path}  {size}  {_ago(self.age)}  {state}"
        what = self.what
        kind = "edge" if what.edge else "interior"
        return (
            f"{what.architecture} {what.width}  {times(what.core)}  {kind}  "
            f"{what.precision}  {what.card or what.target}  {what.library} "
            f"{what.version}  {size}  {_ago(self.age)}  {state}"
        )


def build_engines(
    weights: Path | None = None,
    core: Zyx = (128, 128, 128),
    precision: str = "float16",
    targets: Sequence[str] = (),
    library: str | None = None,
    find: Callable[[str | None], EngineLibrary] = find_library,
) -> list[EngineRow]:
    """Build the engines that a run would, unless they are there.

    Parameters
    ----------
    weights
        Safetensors file; the shipped one if not given.
    core
        Voxels along (z, y, x) that a window writes.
    precision
        ``float16`` or ``float32``.
    targets
        Architectures such as ``sm89``; this machine's card if none is given.
    library
        ``tensorrt`` or ``tensorrt_rtx``; the first of them installed if not given.
    find
        Returns a library.

    Raises
    ------
    BlocksegError
        As :class:`~blockseg.inference.backends.tensorrt.backend.TensorRtBackend` does.
    """
    chosen = find(library)
    order = order_engines(str(weights_path(weights)), core, precision)
    engines = Engines(chosen, EngineCache())
    architectures = targets or (_own(chosen),)
    here = _card(find)
    names = set()
    for target in architectures:
        own = here is not None and here.architecture == target
        for edge in (False, True):
            given = None if own else target
            engines.find(order, edge=edge, target=given)
            names.add(engines.key(order, edge=edge, target=given).filename)
    return [row for row in list_engines(find) if row.path.endswith(tuple(names))]


def list_engines(
    find: Callable[[str | None], EngineLibrary] = find_library,
) -> list[EngineRow]:
    """Return every engine of the cache; loads none.

    Parameters
    ----------
    find
        Returns a library by its name.
    """
    card = _card(find)
    return [_row(entry, *state_of(entry, find, card)) for entry in _entries()]


def verify_engines(
    weights: Path | None = None,
    find: Callable[[str | None], EngineLibrary] = find_library,
    device: Any = None,
) -> list[EngineRow]:
    """Check every engine, and run those for here on a synthetic window.

    Parameters
    ----------
    weights
        Safetensors file that they should agree with; the shipped one if not given.
    find
        Returns a library by its name.
    device
        Where it runs; the process's CUDA device if None.

    Raises
    ------
    WeightsError
        If the weights cannot be read.
    BackendError
        If a file vanishes meanwhile.
    """
    path, card = str(weights_path(weights)), _card(find)
    load_info(path)  # before any work
    rows = []
    for entry in _entries():
        state, why = state_of(entry, find, card)
        if state == "valid" and entry.header is not None:
            key = entry.header.key
            _, engine = read_engine(entry.path)
            why = parity_problem(engine, key, path, find(key.library), device)
            if why and not why.startswith("not compared"):
                state = "wrong"
        rows.append(_row(entry, state, why))
    return rows


def clean_engines(
    *,
    everything: bool = False,
    find: Callable[[str | None], EngineLibrary] = find_library,
) -> list[EngineRow]:
    """Remove the engines that are stale or damaged, or all; return what was removed.

    Parameters
    ----------
    everything
        Sound ones too, those for other machines included.
    find
        Returns a library by its name.

    Raises
    ------
    BackendError
        If one cannot be removed.
    """
    rows = list_engines(find)
    if not everything:
        rows = [row for row in rows if row.state in ("stale", "damaged")]
    gone = {row.path for row in rows}
    EngineCache().remove([e.path for e in _entries() if str(e.path) in gone])
    return rows


def parse_targets(text: str) -> tuple[str, ...]:
    """Read ``sm86,sm89``; 8.6 and 86 mean the same.

    Raises
    ------
    ConfigError
        If a part is no architecture.
    """
    targets = []
    for part in text.split(","):
        digits = part.strip().lower().removeprefix("sm").replace(".", "")
        if not digits.isdigit() or not 2 <= len(digits) <= 3:
            message = (
                f"--arch {part.strip()!r} is none; give such as sm89 or sm86,sm120"
            )
            raise ConfigError(message)
        targets.append(f"sm{digits}")
    return tuple(targets)


def _entries() -> list[Entry]:
    return EngineCache().entries()


def _own(library: EngineLibrary) -> str:
    """Return the architecture of this machine's card."""
    try:
        return library.card().architecture
    except BackendError as error:
        message = (
            f"there is no NVIDIA GPU here to build engines for by {library.name}; name "
            "what they are for, as in --arch sm86,sm89 (TensorRT-RTX can)"
        )
        raise BackendError(message) from error


def _card(find: Callable[[str | None], EngineLibrary]) -> Card | None:
    for name in LIBRARIES:
        try:
            return find(name).card()
        except BlocksegError:
            continue
    return None


def _row(entry: Entry, state: str, why: str) -> EngineRow:
    header = entry.header
    built = entry.modified if header is None else header.built
    what = None if header is None else header.key
    age = max(time.time() - built, 0.0)
    return EngineRow(str(entry.path), entry.size, age, state, why, what)


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} old"
    return f"{seconds:.0f} seconds old"
