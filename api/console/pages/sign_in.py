"""Signing in and out: `/console/sign-in`, `/console/sign-out`.

Passwords are checked by the same code as on the interfaces, so that guesses are slowed everywhere.
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from typing import Final

from quart import Response
from quart import request as quart_request

from retain.api.admin.command_line import FIRST_USER, command_line
from retain.api.admin.moments import zone_of
from retain.api.console.forms.sign_in import PasswordForm, TokenForm
from retain.api.console.routing.call import SIGN_IN, PageCall
from retain.api.console.routing.route import Route
from retain.api.html.filters import counted
from retain.api.identity import Caller, IdentityError, IdentityUnavailable, TooManyAttempts
from retain.api.identity.roles import EVERYBODY, role_of
from retain.engine import Invalid

WRONG: Final = "User name or password is wrong."
REFUSED: Final = "This token is expired, not signed for this server, or incomplete."
WAY_BEARER: Final = "bearer"
WAY_PROXY: Final = "proxy"


async def show(call: PageCall) -> Response:
    """Return the form, or instructions to add the first user."""
    wanted = call.next_page(call.args.get("next", ""))
    if call.session is not None:
        return call.go(wanted)
    return _page(call, PasswordForm(data={"next": wanted}), TokenForm(data={"next": wanted}))


async def submit(call: PageCall) -> Response:
    """Sign in with the values of the form."""
    sent = await call.form()
    way = sent.get("way", "")
    if way == WAY_BEARER:
        return await _by_token(call, TokenForm(sent))
    if way == WAY_PROXY:
        return _by_proxy(call, PasswordForm(sent))
    return await _by_password(call, PasswordForm(sent))


async def leave(call: PageCall) -> Response:
    """Sign out."""
    call.sign_out()
    return call.go(SIGN_IN)


async def _by_password(call: PageCall, form: PasswordForm) -> Response:
    token_form = TokenForm(data={"next": form.next.data})
    if not form.validate():
        return _page(call, form, token_form, 400)
    name, password = form.user.data or "", form.password.data or ""
    try:
        caller = await call.desk.identity.login(name, password, call.asked)
    except TooManyAttempts as error:
        wait = counted(error.retry_after, "second")
        form.refuse("password", f"Too many failed sign-ins from here, or for this name. Try again in {wait}.")
        return _page(call, form, token_form, error.status, error)
    if caller is None:
        form.refuse("password", WRONG)
        return _page(call, form, token_form, 403)
    return _welcome(call, caller, form)


async def _by_token(call: PageCall, form: TokenForm) -> Response:
    password_form = PasswordForm(data={"next": form.next.data})
    if not form.validate():
        return _page(call, password_form, form, 400)
    try:
        found = await call.desk.identity.token_login(_token_in(form.bearer.data or ""))
    except IdentityUnavailable as error:
        form.refuse("bearer", "The keys that verify tokens cannot be read now. Try again shortly.")
        return _page(call, password_form, form, error.status, error)
    if found is None:
        form.refuse("bearer", REFUSED)
        return _page(call, password_form, form, 403)
    caller, valid_s = found
    return _welcome(call, caller, form, valid_s)


def _token_in(text: str) -> str:
    """Return the token in what was pasted, which may be a whole header or its value."""
    return re.sub(r"^(authorization:\s*)?bearer\s+", "", text.strip(), flags=re.IGNORECASE)


def _by_proxy(call: PageCall, form: PasswordForm) -> Response:
    caller = _named_by_proxy(call)
    if caller is None:
        form.refuse("user", "No proxy that this server trusts names a user.")
        return _page(call, form, TokenForm(data={"next": form.next.data}), 403)
    return _welcome(call, caller, form)


def _welcome(
    call: PageCall, caller: Caller, form: PasswordForm | TokenForm, at_most_s: float = float("inf")
) -> Response:
    call.sign_in(caller, role_of(caller, call.desk.config), _zone(form.zone.data or ""), at_most_s)
    return call.go(call.next_page(form.next.data or ""))


def _zone(name: str) -> tzinfo:
    """Return the browser's time zone; UTC if it named none that is known here."""
    try:
        return zone_of(name)
    except Invalid:
        return UTC


def _named_by_proxy(call: PageCall) -> Caller | None:
    try:
        return call.desk.identity.named_by_proxy(call.asked)
    except IdentityError:
        return None


def _page(
    call: PageCall,
    form: PasswordForm,
    token_form: TokenForm,
    status: int = 200,
    error: IdentityError | None = None,
) -> Response:
    identity, console = call.desk.identity, call.desk.config.console
    named = _named_by_proxy(call)
    can = identity.has_users or identity.has_tokens or call.desk.config.identity.proxy_user_header is not None
    # A page that another site links to is requested without cookies. Requested again by itself, it has them.
    elsewhere = status == 200 and quart_request.headers.get("Sec-Fetch-Site") == "cross-site"
    return call.page(
        "sign-in.html" if can else "sign-in-first.html",
        status=status,
        headers=dict(error.headers) if error is not None else None,
        csrf_input=call.csrf_field(),
        form=form,
        token_form=token_form,
        users=identity.has_users,
        tokens=identity.has_tokens,
        issuer=call.desk.config.identity.jwt_issuer,
        named=named,
        again=elsewhere,
        ended=status == 200 and call.ended,
        idle=console.idle_minutes,
        longest=console.session_hours,
        line=command_line(FIRST_USER, call.desk.config.storage.data),
    )


ROUTES: Final = (
    Route(path=SIGN_IN, view=show, roles=None),
    Route(path=SIGN_IN, view=submit, methods=("POST",), roles=None),
    Route(path="/console/sign-out", view=leave, methods=("POST",), roles=EVERYBODY),
)
