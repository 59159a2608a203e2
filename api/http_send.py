"""Putting a response on the wire, and noticing a client that went away where that matters."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import trio

from api.http import Receive, Request, Response, Send


async def send_response(request: Request, response: Response, receive: Receive, send: Send) -> None:
    """Put `response` on the wire.

    Bytes after a request that was read to its end take no task: the common case. Otherwise whatever is left
    of the request is thrown away beside the answer, because a peer that goes on sending would fill the queue
    towards us and hold the connection for ever; and a client that goes away ends a streaming answer.
    """
    head = response.head_message()
    if request.method == "HEAD" or response.status in (204, 304):
        await _close_iterator(response.body)
        response.body = b""
    if isinstance(response.body, bytes) and request.body.finished:
        await send(head)
        await send({"type": "http.response.body", "body": response.body, "more_body": False})
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_discard_until_gone, receive, nursery.cancel_scope)
        try:
            await send(head)
            if isinstance(response.body, bytes):
                await send({"type": "http.response.body", "body": response.body, "more_body": False})
            else:
                async for chunk in response.body:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            with trio.CancelScope(shield=True):
                await _close_iterator(response.body)
        nursery.cancel_scope.cancel()


async def _discard_until_gone(receive: Receive, answer: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    answer.cancel()


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> None: ...


async def _close_iterator(body: object) -> None:
    if isinstance(body, _Closable):
        await body.aclose()
