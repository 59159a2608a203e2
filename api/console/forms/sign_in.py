"""The forms of the sign-in page."""

from __future__ import annotations

from typing import Final

from wtforms import HiddenField, PasswordField, StringField

from retain.api.console.forms.base import ConsoleForm, Filled, Within
from retain.api.identity.caller import NAME_BYTES_MAX
from retain.api.identity.passwords import CREDENTIAL_BYTES_MAX
from retain.api.identity.tokens import TOKEN_BYTES_MAX

ZONE_BYTES_MAX: Final = 64


class PasswordForm(ConsoleForm):
    """A user name and a password."""

    user = StringField("User name", [Filled("Type your user name."), Within(NAME_BYTES_MAX)])
    password = PasswordField(
        "Password", [Filled("Type your password."), Within(CREDENTIAL_BYTES_MAX - NAME_BYTES_MAX - 1)]
    )
    next = HiddenField()
    zone = HiddenField(validators=[Within(ZONE_BYTES_MAX)])


class TokenForm(ConsoleForm):
    """A bearer token."""

    bearer = PasswordField("Bearer token", [Filled("Paste a token."), Within(TOKEN_BYTES_MAX)])
    next = HiddenField()
    zone = HiddenField(validators=[Within(ZONE_BYTES_MAX)])
