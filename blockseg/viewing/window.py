"""Neuroglancer's server and viewer; the only module that imports its package."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from blockseg.core.errors import BackendError, ConfigError, MissingExtraError
from blockseg.web.guard import Guard
from blockseg.web.stores import mount, store_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockseg.viewing.layers import View

_READERS = 8
_TOO_LONG = 300.0  # seconds for a picture


class Window:
    """A viewer that is served to browsers on this machine.

    Parameters
    ----------
    view
        What it shows at first.
    port
        To listen on; any free one if 0.
    state
        JSON of an earlier window, whose layers and place win where both have them.

    Raises
    ------
    MissingExtraError
        If Neuroglancer is not installed.
    ConfigError
        If the port cannot be used.
    """

    def __init__(self, view: View, port: int = 0, state: Any = None) -> None:
        try:
            import neuroglancer
            from neuroglancer import server
        except ImportError as error:
            what = "Neuroglancer"
            raise MissingExtraError(what, "view") from error

        self._view, self._server = view, server
        self._generation = 0
        server.set_server_bind_address("127.0.0.1", port)
        self.guard = Guard()
        try:
            self._viewer = neuroglancer.Viewer(
                token=self.guard.token, allow_credentials=False
            )
        except OSError as error:
            message = f"--port {port} cannot be used: {error.strerror or error}"
            raise ConfigError(message) from error
        running: Any = server.global_server
        self.guard.port = running.port
        self._readers = ThreadPoolExecutor(_READERS)
        self._predictor = ThreadPoolExecutor(1)
        slow = {layer.name for layer in view.layers if layer.slow}
        stores = {one.name: one.store for one in view.layers if one.store is not None}
        mount(
            running.app,
            self.guard,
            stores,
            lambda name: self._predictor if name in slow else self._readers,
        )
        shown = view.to_plain(self.addresses())
        self._viewer.set_state(shown if state is None else _restored(state, shown))

    @property
    def url(self) -> str:
        """Address of the page, with its secret."""
        url: str = self._viewer.get_viewer_url()
        return url

    def addresses(self) -> dict[str, str]:
        """Return where the stores are, for a browser, by the names of their layers."""
        return {
            layer.name: store_address(
                self.guard,
                layer.name,
                self._generation if layer.live else 0,
                # A browser asks one host for six things at a time: what is slow must not
                # hold up the rest.
                host="localhost" if layer.slow else "127.0.0.1",
            )
            for layer in self._view.layers
            if layer.store is not None
        }

    def renew(self) -> None:
        """Make the browser reload what a run has written since."""
        self._generation += 1
        addresses = self.addresses()
        live = {layer.name: layer for layer in self._view.layers if layer.live}
        with self._viewer.txn() as state:
            for layer in state.layers:
                if layer.name in live:
                    plain = live[layer.name].to_plain(addresses[layer.name])
                    layer.layer.source = plain["source"]

    def state_plain(self) -> Any:
        """Return the state of the browser, as JSON values without secrets."""
        by_address = {f"blockseg:{n}": a for n, a in self.addresses().items()}
        return _replaced(
            self._viewer.state.to_json(), {a: n for n, a in by_address.items()}
        )

    def picture(self, width: int, height: int) -> bytes:
        """Return a picture of the page in the browser that has it open, as PNG.

        Raises
        ------
        BackendError
            If none draws it within five minutes.
        """
        done = threading.Event()
        found: list[bytes] = []

        def take(reply: Any) -> None:
            found.append(reply.screenshot.image)
            done.set()

        with self._viewer.config_state.txn() as config:
            config.show_ui_controls = False
            config.show_panel_borders = False
            config.viewer_size = [width, height]
        self._viewer.async_screenshot(take)
        if not done.wait(_TOO_LONG):
            message = f"no picture came from the browser within {_TOO_LONG:g} s"
            raise BackendError(message)
        return found[0]

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()
        for pool in (self._readers, self._predictor):
            pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _restored(state: Any, shown: Mapping[str, Any]) -> Any:
    """Return a saved state with the addresses of this window's stores."""
    places = {
        f"blockseg:{layer['name']}": str(layer["source"]).partition("://")[2]
        for layer in shown["layers"]
        if isinstance(layer.get("source"), str)
    }
    return _replaced(state, places)


def _replaced(value: Any, texts: Mapping[str, str]) -> Any:
    """Return JSON values in which texts are replaced wherever they stand."""
    if isinstance(value, dict):
        return {name: _replaced(entry, texts) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(entry, texts) for entry in value]
    if isinstance(value, str):
        for old, new in texts.items():
            value = value.replace(old, new)
    return value
