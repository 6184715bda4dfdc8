"""SWC files kept as lines, so that an edit changes only the lines concerned.

Numbers keep their digits and lines their further columns. Comments stay, but for those
that say of the whole tree what is not so any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.core.errors import VolumeError
from blockseg.morphology.swc import read_swc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SOMA = "1"
_ROOT = -1
_COLUMNS = 7
_STALE = ("length:", "tips:", "branch_points:", "branch ")
_ACCEPTED = "# accepted: yes"


@dataclass(frozen=True, slots=True)
class Node:
    """One line of an SWC file."""

    kind: str
    """Type."""

    place: tuple[str, str, str]
    """x, y, z as they stand."""

    radius: str
    """Radius as it stands."""

    parent: int
    """Id of the parent, -1 at a root."""

    more: tuple[str, ...] = ()
    """Further columns."""

    @property
    def zyx(self) -> tuple[float, float, float]:
        """Place along (z, y, x), in the unit of the file."""
        x, y, z = map(float, self.place)
        return z, y, x


@dataclass(frozen=True, slots=True)
class SwcTree:
    """An SWC file; an edit is a new value."""

    comments: tuple[str, ...]
    """Comment lines, in order."""

    nodes: Mapping[int, Node]
    """Nodes by id, in order."""

    @classmethod
    def read(cls, path: Path) -> SwcTree:
        """Read a file.

        Raises
        ------
        VolumeError
            If it is no SWC file; names the line.
        """
        read_swc(path)  # which says what is wrong with it
        comments, nodes = [], {}
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            said = line.partition("#")[0].replace(",", " ").split()
            if len(said) < _COLUMNS:
                if line.strip():
                    comments.append(line.rstrip())
                continue
            number, kind, x, y, z, radius, parent = said[:_COLUMNS]
            above = int(float(parent))
            nodes[int(float(number))] = Node(
                kind, (x, y, z), radius, max(above, _ROOT), tuple(said[_COLUMNS:])
            )
        return cls(tuple(comments), nodes)

    def text(self) -> str:
        """Return the content of the file, parents before their children."""
        lines = list(self.comments)
        for number in self._downward():
            node = self.nodes[number]
            words = (number, node.kind, *node.place, node.radius, node.parent)
            lines.append(" ".join(map(str, (*words, *node.more))))
        return "\n".join(lines) + "\n"

    @property
    def accepted(self) -> bool:
        """Whether a person accepted the tree."""
        return _ACCEPTED in self.comments

    def accept(self, *, yes: bool) -> SwcTree:
        """Return the tree with or without the comment that says it is accepted."""
        others = tuple(line for line in self.comments if line != _ACCEPTED)
        return replace(self, comments=(*others, _ACCEPTED) if yes else others)

    def split(self, number: int) -> tuple[SwcTree, SwcTree]:
        """Cut the edge between a node and its parent; return the parts above and below.

        Raises
        ------
        VolumeError
            If the node is not there, or has no parent.
        """
        if self._node(number).parent == _ROOT:
            message = f"node {number} is a root: there is nothing to cut it from"
            raise VolumeError(message)
        below = self._below(number)
        lower = {n: node for n, node in self.nodes.items() if n in below}
        lower[number] = replace(lower[number], parent=_ROOT)
        upper = {n: node for n, node in self.nodes.items() if n not in below}
        comments = self._still_true()
        return SwcTree(comments, upper), SwcTree(comments, lower)

    def joined(self, number: int, other: SwcTree, its: int) -> SwcTree:
        """Return this tree with another one attached to a node.

        Parameters
        ----------
        number
            Node of this tree.
        other, its
            The other tree, and its node that becomes a child of ``number``. Its ids are
            raised above those of this tree.

        Raises
        ------
        VolumeError
            If a node is not there.
        """
        self._node(number)
        turned = other._rooted(its)
        offset = max(self.nodes)
        hung = {
            n + offset: replace(
                node, parent=number if node.parent == _ROOT else node.parent + offset
            )
            for n, node in turned.items()
        }
        return SwcTree(self._still_true(), {**self.nodes, **hung})

    def _rooted(self, number: int) -> dict[int, Node]:
        """Return the nodes with another root; one that stood in for a soma is left out."""
        self._node(number)
        nodes = dict(self.nodes)
        for root in [n for n, node in nodes.items() if node.parent == _ROOT]:
            children = [n for n, node in nodes.items() if node.parent == root]
            stands_in = (
                nodes[root].kind == _SOMA
                and len(children) == 1
                and nodes[children[0]].place == nodes[root].place
            )
            if stands_in and number != root:
                del nodes[root]
                nodes[children[0]] = replace(nodes[children[0]], parent=_ROOT)
        above, place = _ROOT, number
        while place != _ROOT:
            before = nodes[place].parent
            nodes[place] = replace(nodes[place], parent=above)
            above, place = place, before
        return nodes

    def _below(self, number: int) -> set[int]:
        children: dict[int, list[int]] = {}
        for n, node in self.nodes.items():
            children.setdefault(node.parent, []).append(n)
        found, waiting = set(), [number]
        while waiting:
            at = waiting.pop()
            found.add(at)
            waiting += children.get(at, ())
        return found

    def _downward(self) -> list[int]:
        """Return ids with parents before their children, else in their order."""
        seen: set[int] = set()
        order: list[int] = []
        for number in self.nodes:
            path, at = [], number
            while at != _ROOT and at not in seen:
                seen.add(at)
                path.append(at)
                at = self.nodes[at].parent
            order += reversed(path)
        return order

    def _still_true(self) -> tuple[str, ...]:
        return tuple(
            line
            for line in self.comments
            if not line.lstrip("# ").startswith(_STALE) and line != _ACCEPTED
        )

    def _node(self, number: int) -> Node:
        if number not in self.nodes:
            message = f"there is no node {number} any more; reload the page"
            raise VolumeError(message)
        return self.nodes[number]
