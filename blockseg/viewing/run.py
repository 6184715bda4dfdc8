"""``blockseg view``: a run or a volume, in a browser on this machine."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.outputs import absolute
from blockseg.config.settings import RunSettings
from blockseg.config.view_settings import ViewSettings
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.io.output.atomic_files import replace_file
from blockseg.viewing.browser import hidden, show
from blockseg.viewing.live import follow
from blockseg.viewing.of_run import is_running, run_of, view_of_run
from blockseg.viewing.of_source import view_of_source
from blockseg.viewing.picks import picks_layer
from blockseg.viewing.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.reports.facts import JobFacts
    from blockseg.viewing.layers import View


def view(
    place: str,
    settings: ViewSettings | None = None,
    source: RunSettings | None = None,
    *,
    said: Callable[[str], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> None:
    """Show a run or a volume until the user ends the viewer.

    Parameters
    ----------
    place
        Output of ``blockseg run``, finished or not, or any volume that it takes.
    settings
        What is shown, and where.
    source
        Options of ``run`` for a volume; with weights its probability is predicted where it
        is looked at.
    said
        Takes what a user wants to read, a line at a time.
    stop
        Ends it when it is set; Ctrl-C does, too.

    Raises
    ------
    BlocksegError
        With one line, if there is nothing to show or it cannot be shown.
    """
    settings, source = settings or ViewSettings(), source or RunSettings()
    run = run_of(absolute(place))
    if run is not None and source.weights is not None:
        message = (
            f"--weights: {place} is the output of a run, which has its probability; give "
            "the image to see what other weights predict"
        )
        raise ConfigError(message)
    state = _state(settings.state)
    with ExitStack() as stack:
        shown = (
            view_of_source(place, source, stack) if run is None else view_of_run(run)
        )
        if settings.picks is not None:
            kept = None if run is None else run.record.source
            space = shown.space if kept is None else kept.space
            picks = picks_layer(absolute(settings.picks), space)
            shown = replace(shown, layers=(*shown.layers, picks))
        shown = _only(shown, settings.layers)
        if settings.napari:
            from blockseg.viewing.napari_window import show_in_napari

            show_in_napari(shown)
            return
        window = stack.enter_context(Window(shown, settings.port, state))
        if settings.screenshot is not None:
            _draw(window, settings)
            said(settings.screenshot)
            return
        for line in shown.remarks:
            said(line)
        _wait(window, run, settings, said, stop or threading.Event())


def _wait(
    window: Window,
    run: JobFacts | None,
    settings: ViewSettings,
    said: Callable[[str], None],
    stop: threading.Event,
) -> None:
    said(f"Look at it: {window.url}")
    if run is not None and is_running(run):
        said("The run is in progress; blocks appear as they are written.")
        follow(run, window.renew, stop)
    if settings.browser and not show(window.url):
        said("No browser could be opened; open that address yourself.")
    said("Ctrl-C ends it.")
    try:
        while not stop.wait(3600):
            pass
    except KeyboardInterrupt:
        pass
    finally:
        stop.set()
        if settings.state is not None:
            text = json.dumps(window.state_plain(), indent=1) + "\n"
            replace_file(absolute(settings.state), text.encode())
            said(f"What was shown: {settings.state}")


def _draw(window: Window, settings: ViewSettings) -> None:
    target = absolute(settings.screenshot or "")
    if not target.parent.is_dir():
        message = f"{target} cannot be written: there is no folder {target.parent}"
        raise VolumeError(message)
    with hidden(window.url, *settings.size):
        replace_file(target, window.picture(*settings.size))


def _only(shown: View, names: tuple[str, ...] | None) -> View:
    """Return the view with some of its layers, all of them visible."""
    if names is None:
        return shown
    known = {layer.name: layer for layer in shown.layers}
    if strange := [name for name in names if name not in known]:
        message = (
            f"--layers: there is no layer {strange[0]!r}; there are {', '.join(known)}"
        )
        raise ConfigError(message)
    chosen = tuple(
        replace(layer, visible=True) for layer in shown.layers if layer.name in names
    )
    return replace(shown, layers=chosen)


def _state(name: str | None) -> Any:
    """Return the state of an earlier window; None if there is no such file."""
    if name is None or not absolute(name).exists():
        return None
    try:
        state = json.loads(Path(absolute(name)).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"--state {name} cannot be read: {error}"
        raise ConfigError(message) from error
    if not isinstance(state, dict):
        message = f"--state {name} holds no state of a viewer"
        raise ConfigError(message)
    return state
