"""SWC files over the picks: copied once, corrected in place, originals kept."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from blockseg.annotation.swc_edit import SwcTree
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.places import local_path
from blockseg.io.output.atomic_files import replace_file, replacing
from blockseg.morphology.swc import read_swc, swc_files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from blockseg.proposals.manifest import ManifestRow

_FOLDERS = ("traces/swc", "swc")  # of an output, and of its traces
_MOST_UNDONE = 100


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the image of a pick lies, axes (z, y, x), in µm."""

    corner: tuple[float, float, float]
    """Centre of its first voxel."""

    voxel_size: tuple[float, float, float]
    """Edge lengths of a voxel."""

    shape: tuple[int, int, int]
    """Voxels."""

    @classmethod
    def of(
        cls,
        row: ManifestRow,
        voxel_size: tuple[float, float, float],
        shape: tuple[int, int, int],
    ) -> Placed:
        """Return the place of a pick.

        Raises
        ------
        ConfigError
            If the manifest does not say it.
        """
        if row.centre is None or row.image_start is None:
            message = (
                f"the manifest does not say where {row.name} lies in µm, as its source "
                "states no voxel size; traces cannot be laid over it"
            )
            raise ConfigError(message)
        z, y, x = (
            centre - (start + (n - 1) / 2 - first) * size
            for centre, start, n, first, size in zip(
                row.centre,
                row.box.start,
                row.box.shape,
                row.image_start,
                voxel_size,
                strict=True,
            )
        )
        return cls((z, y, x), voxel_size, shape)

    def voxels(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return places (n, 3) in voxels of the image, 0 the centre of the first."""
        return np.asarray((place - np.array(self.corner)) / np.array(self.voxel_size))

    def holds(self, place: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which places (n, 3), in µm, lie in the image."""
        at = self.voxels(place)
        return np.asarray(((at > -0.5) & (at < np.array(self.shape) - 0.5)).all(axis=1))


@dataclass(frozen=True, slots=True)
class ShownTrace:
    """Part of an SWC file that lies in a pick."""

    name: str
    """Name of the file."""

    accepted: bool
    """Whether a person accepted the trace."""

    nodes: tuple[tuple[int, float, float, float, int], ...]
    """Id, place (z, y, x) in voxels, id of the parent: nodes inside, and those that an
    edge links to one inside."""


@dataclass(slots=True, eq=False)
class Traces:
    """The folder ``PICKS/traces``. Each edit is on the disk when its method returns.

    Parameters
    ----------
    root
        The folder; it exists.
    backup
        Where a file is kept as it was before its first edit.
    """

    root: Path
    """The folder."""

    backup: Path
    """Files as they were."""

    _trees: dict[str, SwcTree] = field(default_factory=dict)
    _undo: list[dict[str, SwcTree | None]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def open(
        cls, root: Path, backup: Path, source: str, places: Iterable[Placed]
    ) -> Traces:
        """Copy files that pass through a pick unless they exist, and open them.

        Parameters
        ----------
        root, backup
            The folder, and where files are kept as they were.
        source
            SWC files in µm: a folder, traces of ``blockseg skeletonize``, or its OUT.
        places
            The picks.

        Raises
        ------
        VolumeError
            If there are no SWC files, or one cannot be read.
        """
        folder = Path(local_path(source)).expanduser()
        inside = [folder / name for name in _FOLDERS if (folder / name).is_dir()]
        picks = list(places)
        root.mkdir(exist_ok=True)
        gone = backup / "deleted"
        for path in swc_files([inside[0] if inside else folder]):
            target = root / path.name
            if target.exists() or (gone / path.name).exists():
                continue
            position = read_swc(path).position
            if any(pick.holds(position).any() for pick in picks):
                with replacing(target) as part:
                    shutil.copyfile(path, part)
        return cls(root, backup)

    def shown(self, place: Placed) -> tuple[ShownTrace, ...]:
        """Return what lies in a pick, by name."""
        with self._lock:
            found = (self._shown(name, place) for name in self._names())
            return tuple(trace for trace in found if trace.nodes)

    def split(self, name: str, number: int) -> None:
        """Cut a tree above a node; the part below becomes a file of its own."""
        with self._lock:
            upper, lower = self._tree(name).split(number)
            self._replace({name: upper, self._free(name): lower})

    def join(self, name: str, number: int, other: str, its: int) -> None:
        """Attach another tree to a node, and remove that tree's file."""
        with self._lock:
            if name == other:
                message = "both nodes are of one tree: to join them would make a cycle"
                raise VolumeError(message)
            joined = self._tree(name).joined(number, self._tree(other), its)
            self._replace({name: joined, other: None})

    def delete(self, name: str) -> None:
        """Delete a tree."""
        with self._lock:
            self._tree(name)
            self._replace({name: None})

    def accept(self, name: str, *, yes: bool) -> None:
        """Accept a tree in its file, or revoke that."""
        with self._lock:
            self._replace({name: self._tree(name).accept(yes=yes)})

    def undo(self) -> bool:
        """Undo the last edit; False if there is none."""
        with self._lock:
            if not self._undo:
                return False
            self._write(self._undo.pop())
            return True

    def _names(self) -> list[str]:
        return sorted(p.stem for p in self.root.iterdir() if p.suffix.lower() == ".swc")

    def _tree(self, name: str) -> SwcTree:
        if name not in self._trees:
            if name not in self._names():
                message = f"there is no trace {name!r} any more; reload the page"
                raise VolumeError(message)
            self._trees[name] = SwcTree.read(self._path(name))
        return self._trees[name]

    def _path(self, name: str) -> Path:
        return self.root / f"{name}.swc"

    def _free(self, name: str) -> str:
        stem, taken, number = re.sub(r"-\d+$", "", name), set(self._names()), 2
        while f"{stem}-{number}" in taken:
            number += 1
        return f"{stem}-{number}"

    def _shown(self, name: str, place: Placed) -> ShownTrace:
        tree = self._tree(name)
        ids = list(tree.nodes)
        position = np.array([tree.nodes[n].zyx for n in ids]).reshape(-1, 3)
        inside = {
            n for n, is_in in zip(ids, place.holds(position), strict=True) if is_in
        }
        linked = set(inside)
        for n in ids:
            parent = tree.nodes[n].parent
            if parent in inside:
                linked.add(n)
            elif n in inside and parent in tree.nodes:
                linked.add(parent)
        voxels = np.round(place.voxels(position), 2)
        nodes = tuple(
            (n, float(z), float(y), float(x), tree.nodes[n].parent)
            for n, (z, y, x) in zip(ids, voxels, strict=True)
            if n in linked
        )
        return ShownTrace(name, tree.accepted, nodes if inside else ())

    def _replace(self, changes: dict[str, SwcTree | None]) -> None:
        """Write the files that an edit changes, and remember their previous content."""
        known = set(self._names())
        was = {n: self._tree(n) if n in known else None for n in changes}
        self._write(changes)
        self._undo = [*self._undo[-_MOST_UNDONE:], was]

    def _write(self, changes: dict[str, SwcTree | None]) -> None:
        # What appears comes first, what goes last: a kill between leaves a branch twice,
        # never none of it.
        def rank(change: tuple[str, SwcTree | None]) -> tuple[bool, bool]:
            return change[1] is None, self._path(change[0]).exists()

        for name, tree in sorted(changes.items(), key=rank):
            self._keep(name, gone=tree is None)
            if tree is None:
                self._path(name).unlink(missing_ok=True)
                self._trees.pop(name, None)
            else:
                replace_file(self._path(name), tree.text().encode())
                self._trees[name] = tree

    def _keep(self, name: str, *, gone: bool) -> None:
        path = self._path(name)
        kept = self.backup / ("deleted" if gone else "") / path.name
        if kept.exists() or not path.exists():
            return
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as part:
            shutil.copyfile(path, part)
