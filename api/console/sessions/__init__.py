"""Sessions of signed-in users, stored by the server, and the signed cookies that name them.

Nothing here decides what a user may do: each route lists its roles (`api.console.routing.route`).
"""

from __future__ import annotations

from retain.api.console.sessions.cookies import Cookies, cookie_name, is_secure
from retain.api.console.sessions.sessions import Notice, Session, Sessions

__all__ = ["Cookies", "Notice", "Session", "Sessions", "cookie_name", "is_secure"]
