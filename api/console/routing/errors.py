"""The console's error pages."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from quart import Response
from quart import request as quart_request

from retain.api.console.routing.call import HOME, PageCall
from retain.api.refusals import status_of
from retain.engine import EngineError

LOG = logging.getLogger("retain.http")


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    text: str


_WORDS: Final = {
    400: _Words("This request cannot be read", "Nothing was changed. Go back and try again from its page."),
    403: _Words(
        "Your role does not allow this page", "Nothing was changed. An administrator can give you the role."
    ),
    404: _Words("There is nothing here", "The address may be mistyped, or its contents were deleted."),
    405: _Words(
        "This page cannot do that", "Nothing was changed. Open the page from the menu and use its buttons."
    ),
    408: _Words("The request took too long", "Nothing was changed. Try it again."),
    413: _Words("That is too large", "Nothing was changed. Send less at once."),
    500: _Words(
        "Internal error",
        "The server's log has the details. Your request may not have been carried out.",
    ),
}
UNPROVEN: Final = _Words(
    "This form is no longer valid",
    "Nothing was changed. You may have signed in again since the page was opened. "
    "Open it anew and repeat what you did.",
)


def error_page(
    call: PageCall, status: int, *, allow: str | None = None, detail: str | None = None
) -> Response:
    """Return the page for `status`; `detail` replaces the usual sentence."""
    words = _WORDS.get(status) or _Words("This did not work", "Nothing was changed.")
    return _page(call, status, words.title, detail or words.text, {"Allow": allow} if allow else {})


def unproven(call: PageCall) -> Response:
    """Return the page for a form that does not come from a page of this session."""
    return _page(call, 400, UNPROVEN.title, UNPROVEN.text, {})


def refusal(call: PageCall, error: EngineError) -> Response:
    """Return the page for a refusal of the engine that no other page shows."""
    status = status_of(error)
    message = f"{error.message[:1].upper()}{error.message[1:]}."
    title = "There is nothing here" if status == 404 else "This was refused"
    return _page(call, status, title, f"{message} Nothing was changed.", {})


def fault(call: PageCall, error: Exception) -> Response:
    """Return the page for an internal error; the log has the details."""
    log_id = call.desk.engine.entropy(6).hex()
    LOG.error("unhandled exception in a page", exc_info=error, extra={"facts": {"id": log_id}})
    words = _WORDS[500]
    return _page(call, 500, words.title, f"{words.text} Its entry has the id {log_id}.", {})


def _page(call: PageCall, status: int, title: str, text: str, headers: dict[str, str]) -> Response:
    template = "error.html" if call.session is not None else "error-alone.html"
    return call.page(
        template, status=status, headers=headers, title=title, text=text, here="", back=_back(call)
    )


def _back(call: PageCall) -> tuple[str, str] | None:
    """Return the page of the rail that the address belongs to, with its name; None if it belongs to none."""
    path = quart_request.path
    entries = [(found, nav.label) for _, shown in call.rail() for found, nav in shown if found != HOME]
    return next((one for one in entries if path.startswith(f"{one[0]}/") or path == one[0]), None)
