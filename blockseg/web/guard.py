"""Guard of a page on loopback: a secret in its address, and no other site's requests.

Any program of the machine, and any page in the user's browser, can reach a port on
loopback. Who does not know the secret gets nothing; a page elsewhere that learned it, or
that has a name of its own point here (DNS rebinding), is told by Origin and Host.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tornado.web import HTTPError, RequestHandler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tornado.httputil import HTTPServerRequest

_NAMES = ("127.0.0.1", "localhost")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of whatever is answered: kept nowhere, told to nobody."""

_HEADERS = {
    **PRIVATE,
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(slots=True)
class Guard:
    """The secret of a server, and the hosts by which it may be called."""

    token: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)
    """Secret part of every path."""

    port: int = 0
    """Port that the server listens on."""

    @property
    def origin(self) -> str:
        """Origin of the server's own pages."""
        return f"http://{_NAMES[0]}:{self.port}"

    @property
    def address(self) -> str:
        """Address of the first page, with the secret."""
        return f"{self.origin}/{self.token}/"

    def knows(self, token: str) -> bool:
        """Say whether a part of a path is the secret, in the same time for any."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def foreign(self, request: HTTPServerRequest) -> str:
        """Return why a request is none of a page of ours on this machine; empty if it is.

        Parameters
        ----------
        request
            Its headers ``Host`` and ``Origin`` are looked at; the secret is in its path,
            which :meth:`knows` is asked about.
        """
        hosts = [f"{name}:{self.port}" for name in _NAMES]
        if request.headers.get("Host", "") not in hosts:
            return "this server answers on loopback only"
        origin = request.headers.get("Origin")
        if origin is not None and origin not in [f"http://{name}" for name in hosts]:
            return "requests of other pages are refused"
        return ""


class GuardedHandler(RequestHandler):
    """A request whose token, Host and Origin are checked before anything else."""

    def initialize(self, guard: Guard, **named: Any) -> None:
        """Take the guard, and what the handler serves by name."""
        self._guard = guard
        vars(self).update(named)

    def set_default_headers(self) -> None:
        """Keep what is shown out of caches, frames and other pages."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse what does not come from our own page."""
        headers = self.request.headers
        token = str(self.path_args.pop(0) if self.path_args else "")
        why = self._guard.foreign(self.request)
        if not why and not self._guard.knows(token):
            why = "the address lacks its secret: open the one that was printed"
        # A link from elsewhere may open the page, which needs the secret anyway; only
        # our own page asks for data.
        inner = headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
        if inner and headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            why = why or "requests of other pages are refused"
        if why:
            raise HTTPError(403, reason=why)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer in one line."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {self._reason}\n")


class NotHere(GuardedHandler):
    """Anything that is not served; the token is asked for first."""

    def prepare(self) -> None:
        """Refuse as any other request, and find nothing."""
        _, _, rest = self.request.path.partition("/")
        self.path_args = [rest.partition("/")[0]]
        super().prepare()
        raise HTTPError(404, reason="there is nothing here")


Route: TypeAlias = "tuple[str, type[GuardedHandler], dict[str, Any]]"
"""Pattern below the secret, handler, what it serves by name."""


def guarded_routes(guard: Guard, routes: Iterable[Route]) -> list[Route]:
    """Return routes with the secret before each pattern."""
    return [
        (rf"/([\w-]+)/{pattern}", handler, {"guard": guard, **named})
        for pattern, handler, named in routes
    ]
