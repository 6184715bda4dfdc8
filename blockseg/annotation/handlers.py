"""Handlers of the page's requests: voxels, strokes, states, traces, training.

Names are looked up among the picks of the manifest and the traces of the folder; nothing
that a request says becomes a path.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TypeVar

from blockseg.annotation.strokes import Stroke
from blockseg.annotation.traces import Placed
from blockseg.core.errors import BlocksegError
from blockseg.web.guard import GuardedHandler
from blockseg.web.server import PageFile, page_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.annotation.learning import Learning
    from blockseg.annotation.session import Session
    from blockseg.annotation.traces import Traces
    from blockseg.proposals.manifest import ManifestRow
    from blockseg.web.guard import Route

_Value = TypeVar("_Value")
_PART = 2**22  # bytes that are handed to the socket at a time


class _Api(GuardedHandler):
    """Base of handlers that answer in JSON, and with one line for expected errors."""

    session: Session
    traces: Traces | None
    learning: Learning | None

    async def work(self, call: Callable[..., _Value], *args: Any) -> _Value:
        """Run a function that reads or writes files outside the event loop."""
        return await asyncio.to_thread(call, *args)

    def said(self) -> dict[str, Any]:
        """Return the JSON object that came with the request."""
        found = json.loads(self.request.body or b"{}")
        return found if isinstance(found, dict) else {}

    def log_exception(self, *_: Any) -> None:
        """Log nothing to the terminal; the page shows errors."""

    def write_error(self, status_code: int, **named: Any) -> None:
        """Send an error as one line: an expected one in its own words."""
        error = named.get("exc_info", (None, None, None))[1]
        if isinstance(error, BlocksegError):
            self.set_status(409)
            self.finish({"error": str(error)})
        elif isinstance(error, ValueError | KeyError | TypeError):
            self.set_status(400)
            self.finish({"error": f"the request is damaged ({error!r})"})
        else:
            super().write_error(status_code, **named)


class PicksHandler(_Api):
    """List of picks, and of what the page can do."""

    def get(self) -> None:
        """Send all picks."""
        self.finish(
            {
                "folder": str(self.session.folder.root),
                "picks": [_row_to_plain(row) for row in self.session.rows],
                "traces": self.traces is not None,
                "training": None
                if self.learning is None
                else self.learning.command.text,
            }
        )


class PickHandler(_Api):
    """Description of a pick's voxels: shape, types, place."""

    async def get(self, name: str) -> None:
        """Send shapes and types; voxels are requested separately."""
        pick = await self.work(self.session.pick, name)
        grey, box = pick.grey, pick.box
        self.finish(
            {
                "pick": _row_to_plain(self.session.row(name)),
                "shape": list(pick.shape),
                "dtype": grey.codes.dtype.name,
                "low": grey.low,
                "step": grey.step,
                "voxel_size": list(grey.space.voxel_size),
                "unit": grey.space.unit,
                "box": [list(box.start), list(box.stop)],
                "probability": pick.probability is not None,
                "revision": pick.label.revision,
            }
        )


class VoxelsHandler(_Api):
    """Voxels of a pick, raw in C order, little endian."""

    async def get(self, name: str, what: str) -> None:
        """Send the image, the label, its draft or the probability."""
        pick = await self.work(self.session.pick, name)
        revision = pick.label.revision  # before the voxels: a stale one is refused
        array: NDArray[Any] | None = None
        match what:
            case "image":
                array = pick.grey.codes
            case "label":
                array = pick.label.voxels
                self.set_header("X-Revision", str(revision))
            case "probability":
                array = pick.probability
            case "draft":
                array = await self.work(self.session.draft, name)
        if array is None:
            self.send_error(404, reason="there is nothing here")
            return
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", str(array.nbytes))
        flat = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        for start in range(0, len(flat), _PART):
            self.write(flat[start : start + _PART])
            await self.flush()
        await self.finish()


class StrokeHandler(_Api):
    """A stroke, answered once it is on the disk."""

    async def post(self, name: str, revision: str) -> None:
        """Apply it."""
        done = await self.work(_drawn, self.session, name, self.request.body, revision)
        self.finish({"revision": done})


class StateHandler(_Api):
    """State that an annotator gave a pick, and the time spent on it."""

    async def post(self, name: str) -> None:
        """Set the state of a pick, or add to the time spent on it."""
        said = self.said()
        row = self.session.row(name)
        if "state" in said:
            row = await self.work(self.session.mark, name, str(said["state"]))
        if "seconds" in said:
            row = await self.work(self.session.spend, name, float(said["seconds"]))
        self.finish({"pick": _row_to_plain(row)})


class TracesHandler(_Api):
    """Traces that pass through a pick, and edits of them."""

    async def get(self, name: str) -> None:
        """Send the traces in the pick."""
        self.finish(await self.work(_traces_to_plain, self.traces, self.session, name))

    async def post(self, name: str) -> None:
        """Apply one edit, and send the traces in the pick."""
        await self.work(_edit, self.traces, self.said())
        self.finish(await self.work(_traces_to_plain, self.traces, self.session, name))


class TrainingHandler(_Api):
    """The training that the page offers."""

    async def get(self) -> None:
        """Send the curves of the training."""
        self.finish(_learning_to_plain(self.learning))

    async def post(self) -> None:
        """Start or stop the training."""
        if self.learning is not None:
            start = self.said().get("do") == "start"
            await (self.learning.start() if start else self.learning.stop())
        self.finish(_learning_to_plain(self.learning))


def routes(
    session: Session, traces: Traces | None, learning: Learning | None
) -> list[Route]:
    """Return the routes of the page: pattern, handler and its arguments."""
    served = {"session": session, "traces": traces, "learning": learning}
    name = r"([^/]+)"
    return [
        (r"api/picks", PicksHandler, served),
        (rf"api/pick/{name}", PickHandler, served),
        (
            rf"api/pick/{name}/(image|label|draft|probability)",
            VoxelsHandler,
            served,
        ),
        (rf"api/pick/{name}/stroke/(\d+)", StrokeHandler, served),
        (rf"api/pick/{name}/state", StateHandler, served),
        (rf"api/pick/{name}/traces", TracesHandler, served),
        (r"api/training", TrainingHandler, served),
        (r"([\w.]*)", PageFile, {"contents": page_files("blockseg.annotation")}),
    ]


def _drawn(session: Session, name: str, body: bytes, revision: str) -> int:
    label = session.pick(name).label
    return label.draw(Stroke.from_bytes(body, label.voxels.size), int(revision))


def _row_to_plain(row: ManifestRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "rank": row.rank,
        "round": row.round,
        "reason": row.reason,
        "state": row.state,
        "minutes": row.minutes,
        "measures": dict(row.measures),
        "start": list(row.box.start),
        "source": row.source,
    }


def _traces_to_plain(
    traces: Traces | None, session: Session, name: str
) -> dict[str, Any]:
    if traces is None:
        return {"traces": []}
    pick = session.pick(name)
    place = Placed.of(pick.row, pick.grey.space.voxel_size, pick.shape)
    return {
        "traces": [
            {"name": one.name, "accepted": one.accepted, "nodes": one.nodes}
            for one in traces.shown(place)
        ]
    }


def _edit(traces: Traces | None, said: dict[str, Any]) -> None:
    if traces is None:
        return
    name, node = str(said.get("trace", "")), int(said.get("node", -1))
    match said["do"]:
        case "split":
            traces.split(name, node)
        case "join":
            traces.join(name, node, str(said["other"]), int(said["other_node"]))
        case "delete":
            traces.delete(name)
        case "accept":
            traces.accept(name, yes=bool(said.get("yes", True)))
        case "undo":
            traces.undo()
        case other:
            message = f"there is no edit {other!r}"
            raise ValueError(message)


def _learning_to_plain(learning: Learning | None) -> dict[str, Any]:
    if learning is None:
        return {"state": "none"}
    return {
        "state": learning.state,
        "share": learning.share,
        "loss": learning.loss,
        "scores": learning.scores,
        "lines": learning.lines,
        "command": learning.command.text,
    }
