"""Proof that a form was sent from a page of the console: WTForms' token, bound to the session."""

from __future__ import annotations

from typing import Any, Final

from werkzeug.datastructures import MultiDict
from wtforms import Form
from wtforms.csrf.session import SessionCSRF

FIELD: Final = "csrf_token"
HEADER: Final = "X-CSRF-Token"


class _Proof(Form):
    """A form of nothing but the token."""

    class Meta:
        csrf = True
        csrf_class = SessionCSRF
        csrf_field_name = FIELD
        csrf_time_limit = None  # sessions have their own expiry


class Csrf:
    """Makes and checks tokens.

    Args:
        secret: Signs them.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def token(self, session_id: str) -> str:
        """Return the token of a session."""
        field: Any = self._form(session_id, None)[FIELD]
        return str(field.current_token)

    def proves(self, session_id: str, token: str) -> bool:
        """Return whether `token` is the session's."""
        return bool(self._form(session_id, MultiDict({FIELD: token})).validate())

    def _form(self, session_id: str, data: Any) -> _Proof:
        return _Proof(data, meta={"csrf_secret": self._secret, "csrf_context": {"csrf": session_id}})
