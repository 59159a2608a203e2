"""The console's cookies: signed by Quart-Auth, unreadable to scripts, and never sent along by other sites.

There are two. One names the session. The other names the browser that fills in the sign-in form, so that the
form is protected before there is a session; it is apart because a page that another site links to is asked
for without cookies, and must not replace the session's.
"""

from __future__ import annotations

from quart import Response
from quart_auth import Action, QuartAuth

from retain.api.config.load import ServerConfig


def is_secure(server: ServerConfig) -> bool:
    """Return whether clients reach the server by TLS, its own or a proxy's."""
    external = server.external_url or ""
    return bool(server.tls_certificate) or server.behind_proxy or external.startswith("https:")


def cookie_name(name: str, *, secure: bool) -> str:
    """Return the name to use: over TLS with the prefix that ties a cookie to this host (RFC 6265bis)."""
    return f"__Host-{name}" if secure else name


class Cookies(QuartAuth):
    """Quart-Auth, with a cookie for the browser's session only, `SameSite=Strict` and `HttpOnly`."""

    def __init__(self, name: str, *, secure: bool, longest_s: float) -> None:
        self._name = cookie_name(name, secure=secure)
        self._secure = secure
        super().__init__(
            attribute_name=f"_{name}",
            cookie_name=self._name,
            cookie_path="/",
            cookie_http_only=True,
            cookie_samesite="Strict",
            cookie_secure=secure,
            duration=int(longest_s),
            mode="cookie",
            salt=name,
            singleton=False,
        )

    async def after_request(self, response: Response) -> Response:
        """Write or end the cookie if the request asked for it.

        The base class does the same and warns besides: of `Strict` on a redirect, which browsers store, and
        of `Secure` on what a proxy forwards without TLS.
        """
        user = self.load_user()
        if user.action is Action.PASS:
            return response
        if user.action is Action.DELETE or user.auth_id is None:
            response.delete_cookie(
                self._name, path="/", secure=self._secure, httponly=True, samesite="Strict"
            )
        else:
            response.set_cookie(
                self._name,
                self.dump_token(user.auth_id),
                path="/",
                secure=self._secure,
                httponly=True,
                samesite="Strict",
            )
        return response
