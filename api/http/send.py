"""Send a response, and notice a client that disconnects where that matters."""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

import trio

from retain.api.http.body import cancel_after
from retain.api.http.message import HeaderFields, Message, Receive, Response, Send

_DESCRIBES_A_BODY: Final = frozenset(
    (
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"content-language",
        b"content-disposition",
        b"content-md5",
    )
)
"""Header fields that describe a body. Arrow's client parses an empty body declared as XML, and aborts."""


def has_body(method: str, status: int) -> bool:
    """Return whether an answer may have a body (RFC 9110, section 6.4.1)."""
    return method != "HEAD" and status not in (204, 304)


def drop_description(head: Message, method: str) -> None:
    """Remove the headers that describe a body from an answer that has none.

    A successful HEAD keeps them: there they describe the body that GET would bring.
    """
    if describes_nothing(method, head["status"]):
        head["headers"] = [
            (name, value) for name, value in head["headers"] if name.lower() not in _DESCRIBES_A_BODY
        ]


def describes_nothing(method: str, status: int) -> bool:
    """Return whether a response must not describe a body: it has none, and represents none."""
    return not has_body(method, status) and (status >= 300 or status == 204)


def without_description(fields: HeaderFields) -> list[tuple[str, str]]:
    """Return the header fields that do not describe a body."""
    return [field for field in fields if field[0].lower().encode("ascii") not in _DESCRIBES_A_BODY]


async def send_response(
    head: Message,
    response: Response,
    receive: Receive,
    send: Send,
    *,
    method: str,
    unread: bool,
    stopping: trio.Event | None = None,
) -> None:
    """Send `response`, whose `head_message` is `head`.

    Sending after a request that was read to its end needs no task: the common case. Otherwise (`unread`) the
    rest of the request is discarded while the response is sent, because a peer that continues to send would
    fill the receive queue and hold the connection for ever; and a client that disconnects ends a streaming
    response. A stream of events, which has no end of its own, ends when the server is `stopping`.
    """
    body = response.body
    if not has_body(method, response.status):
        await close_iterator(body)
        body = b""
        drop_description(head, method)
    if isinstance(body, bytes) and not unread:
        await send(head)
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_discard_until_gone, receive, nursery.cancel_scope)
        try:
            await send(head)
            if isinstance(body, bytes):
                await send({"type": "http.response.body", "body": body, "more_body": False})
            else:
                with trio.CancelScope() as streaming:
                    if stopping is not None and _is_endless(response):
                        nursery.start_soon(cancel_after, stopping, streaming)
                    async for chunk in body:
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            with trio.CancelScope(shield=True):
                await close_iterator(body)
        nursery.cancel_scope.cancel()


def _is_endless(response: Response) -> bool:
    return any(
        name.lower() == "content-type" and value.startswith("text/event-stream")
        for name, value in response.headers
    )


async def _discard_until_gone(receive: Receive, answer: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    answer.cancel()


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> None: ...


async def close_iterator(body: object) -> None:
    """Close an answer's body that is an iterator, so that it releases its file."""
    if isinstance(body, _Closable):
        await body.aclose()
