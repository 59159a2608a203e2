"""One request to the console, and its answers: a page, or a redirect to another."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Mapping
from datetime import UTC, tzinfo
from typing import Any, Final
from urllib.parse import quote, urlsplit

from markupsafe import Markup
from quart import Response
from quart import request as quart_request
from quart.wrappers.response import IterableBody
from quart_auth import Action, AuthUser
from werkzeug.datastructures import MultiDict

from retain.api.console.forms.csrf import FIELD, HEADER
from retain.api.console.routing.desk import Desk
from retain.api.console.routing.nav import Nav
from retain.api.console.sessions import Notice, Session
from retain.api.html.rendering import HEADERS, render
from retain.api.http.message import Message, Request
from retain.api.identity import Caller
from retain.api.identity.roles import Role
from retain.api.web.readiness import readiness

HOME: Final = "/console"
SIGN_IN: Final = "/console/sign-in"
_NEXT = re.compile(r"/console(/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*/?(\?[A-Za-z0-9._~%!$&'()*+,;=:@/?-]*)?")
_NEXT_MAX: Final = 2000


Rail = Callable[[Role | None], list[tuple[str, list[tuple[str, Nav]]]]]
"""Returns the rail for a role: headings, each with its entries and their paths."""


class PageCall:
    """A request, its caller, and the means to respond.

    Attributes:
        desk: The objects that the pages of this server share.
        asked: The request in the form that the interfaces use.
        session: The caller's session; None if not signed in.
        ended: Whether the browser still has the cookie of a session that has ended.
        now: The engine's present, in nanoseconds since the epoch.
    """

    def __init__(self, desk: Desk, rail: Rail, *, use: bool = True) -> None:
        self.desk = desk
        self.asked = Request(dict(quart_request.scope), _nothing)
        self.session: Session | None = None
        self.now = desk.engine.now()
        self._rail = rail
        self._guest: str | None = None
        session_id = desk.cookie.load_user().auth_id
        if session_id is not None:
            self.session = desk.sessions.find(session_id, use=use)
        if self.session is not None and not desk.identity.is_known(self.session.caller):
            desk.sessions.close(self.session.id)
            self.session = None
        self.ended = session_id is not None and self.session is None

    # The caller

    @property
    def caller(self) -> Caller:
        """The signed-in caller. Use it only if the route requires a role."""
        assert self.session is not None
        return self.session.caller

    @property
    def role(self) -> Role | None:
        """The caller's role; None if not signed in."""
        return None if self.session is None else self.session.role

    @property
    def actor(self) -> str:
        """The caller's name, as recorded in the audit log."""
        return self.caller.actor

    @property
    def zone(self) -> tzinfo:
        """The time zone that pages are read in: the browser's at sign-in."""
        return UTC if self.session is None else self.session.zone

    def sign_in(self, caller: Caller, role: Role, zone: tzinfo, at_most_s: float = float("inf")) -> None:
        """Begin a session, and end the browser's earlier one."""
        if self.session is not None:
            self.desk.sessions.close(self.session.id)
        self.session = self.desk.sessions.open(caller, role, zone, at_most_s)
        self.desk.cookie.login_user(AuthUser(self.session.id, Action.WRITE))
        self.desk.guest.logout_user()

    def sign_out(self) -> None:
        """End the session."""
        if self.session is not None:
            self.desk.sessions.close(self.session.id)
            self.session = None
        self.desk.cookie.logout_user()

    # The request

    @property
    def args(self) -> MultiDict[str, str]:
        """The query of the address."""
        found: MultiDict[str, str] = quart_request.args
        return found

    async def form(self) -> MultiDict[str, str]:
        """Return the fields of the form that was sent."""
        found: MultiDict[str, str] = await quart_request.form
        return found

    async def proven(self) -> bool:
        """Return whether the request was sent from a page of the console.

        Browsers report where a request comes from (Fetch Metadata); for those that do not, the token proves
        it. Scripts send the token as a header, so that a long body need not be read for it.
        """
        if quart_request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        token = quart_request.headers.get(HEADER)
        if token is None:
            token = (await self.form()).get(FIELD, "")
        bound = self._bound()
        return bound is not None and self.desk.csrf.proves(bound, token)

    def _bound(self) -> str | None:
        """Return the id that forms are bound to: that of the session, or of the cookie before sign-in."""
        return self.session.id if self.session is not None else self.desk.guest.load_user().auth_id

    def csrf_token(self) -> str:
        """Return the form's token; a browser that is not signed in gets a matching cookie."""
        bound = self._bound()
        if bound is None:
            bound = self.desk.engine.entropy(32).hex()
            self.desk.guest.login_user(AuthUser(bound, Action.WRITE))
        return self.desk.csrf.token(bound)

    # Answers

    @property
    def base(self) -> str:
        """The URL by which the client reaches this server, without a slash at its end."""
        return self.desk.external.base(self.asked)

    def url(self, path: str) -> str:
        """Return a path of this server for the client, with a proxy's prefix."""
        return f"{urlsplit(self.base).path}{path}"

    def rail(self) -> list[tuple[str, list[tuple[str, Nav]]]]:
        """Return the rail: headings, each with its entries and their paths."""
        return self._rail(self.role)

    def page(
        self,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response:
        """Return a page."""
        ready, why = readiness(self.desk.engine.statistics())
        text = render(
            self.desk.templates,
            template,
            call=self,
            url=self.url,
            asset=self._asset,
            csrf=self._csrf_field(),
            csrf_token=self.csrf_token() if self.session else "",
            now=self.now,
            zone=self.zone,
            notes=[] if self.session is None else self.session.said(),
            rail=self.rail(),
            health=("broken" if not ready else "live" if why == "ok" else "due", why),
            server_name=urlsplit(self.base).netloc,
            **context,
        )
        return self.answer(text, status, "text/html;charset=utf-8", headers)

    def answer(
        self, body: str | bytes, status: int, content_type: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return any other answer, with the headers that pages have unless `headers` says otherwise."""
        response = Response(body, status, content_type=content_type)
        for name, value in {**HEADERS, **(headers or {})}.items():
            response.headers[name] = value
        return response

    def stream(
        self,
        body: AsyncIterable[bytes],
        length: int,
        status: int,
        content_type: str,
        headers: Mapping[str, str],
    ) -> Response:
        """Return a response whose bytes are sent one chunk after the other; `body` is closed in any case."""
        response = self.answer("", status, content_type, {**headers, "Content-Length": str(length)})
        response.response = IterableBody(body)
        return response

    def go(self, path: str, note: Notice | None = None) -> Response:
        """Redirect the browser to another page, which shows `note`."""
        if note is not None and self.session is not None:
            self.session.say(note)
        return self.answer("", 303, "text/plain;charset=utf-8", {"Location": self.url(path)})

    def to_sign_in(self) -> Response:
        """Redirect the browser to the sign-in page, and from there back to this page."""
        here = quart_request.full_path.rstrip("?") if quart_request.method in ("GET", "HEAD") else HOME
        return self.go(f"{SIGN_IN}?next={quote(here, safe='/')}" if here != HOME else SIGN_IN)

    def next_page(self, wanted: str) -> str:
        """Return `wanted` if it is a path of the console, else its first page: no open redirect."""
        if len(wanted) <= _NEXT_MAX and _NEXT.fullmatch(wanted) and not wanted.startswith(SIGN_IN):
            return wanted
        return HOME

    def _asset(self, name: str) -> str:
        return self.url(self.desk.templates.globals["asset_path"](name))  # type: ignore[operator]

    def _csrf_field(self) -> Markup:
        if self.session is None:
            return Markup()
        return self.csrf_field()

    def csrf_field(self) -> Markup:
        """Return the hidden field that each form begins with."""
        return Markup('<input type="hidden" name="{0}" value="{1}">').format(FIELD, self.csrf_token())


async def _nothing() -> Message:
    raise AssertionError("the body is read through Quart")
