"""``blockseg annotate``: serving of the page until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.annotation.handlers import routes
from blockseg.annotation.learning import Learning
from blockseg.annotation.session import Session
from blockseg.annotation.traces import Placed, Traces
from blockseg.core.places import local_path
from blockseg.runtime.run_lock import RunLock
from blockseg.web.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.annotation.learning import TrainingCommand
    from blockseg.config.propose_settings import AnnotateSettings
    from blockseg.proposals.manifest import ManifestRow


def annotate(
    folder: str,
    settings: AnnotateSettings,
    *,
    on_address: Callable[[str, Session], None],
    training: TrainingCommand | None = None,
) -> Session:
    """Serve the page on which picks are corrected, until Ctrl-C.

    Parameters
    ----------
    folder
        ``PICKS``, which ``blockseg propose-annotations`` made.
    settings
        What the page offers.
    on_address
        Told the address of the page when it can be opened.
    training
        What its button starts; there is none without.

    Returns
    -------
    Session
        The picks, as they are in the end.

    Raises
    ------
    BlocksegError
        With one line, before the page is up: if the folder holds no picks, somebody else
        writes to it, traces cannot be read, or the port is taken.
    """
    root = Path(local_path(folder)).expanduser().absolute()
    session = Session.open(root)
    lock = session.folder.lock
    lock.parent.mkdir(exist_ok=True)
    with RunLock(lock, "annotation"):
        traces = _traces(session, settings.traces)
        learning = None if training is None else Learning(training)

        async def end() -> None:
            if learning is not None:
                await learning.stop()

        serve(
            routes(session, traces, learning),
            port=settings.port,
            browser=settings.browser,
            on_address=lambda address: on_address(address, session),
            on_end=end,
        )
    return session


def _traces(session: Session, source: str | None) -> Traces | None:
    if source is None:
        return None
    root = session.folder.root
    places = [_place(session, row) for row in session.rows]
    backup = root / ".blockseg" / "traces"
    return Traces.open(root / "traces", backup, source, places)


def _place(session: Session, row: ManifestRow) -> Placed:
    shape, space = session.extent(row.name)
    return Placed.of(row, space.voxel_size, shape)
