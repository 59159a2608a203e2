"""Requests as the server builds them, made by hand."""

from __future__ import annotations

from collections.abc import Iterable

from retain.api.http.message import Request, Response

Pairs = Iterable[tuple[str, str]]


def make_request(
    method: str = "GET",
    target: str = "/",
    headers: Pairs = (),
    body: bytes = b"",
    *,
    peer: str = "192.0.2.1",
    scheme: str = "http",
) -> Request:
    """A request for `target` (raw path, optionally with a query), whose whole body has arrived."""
    path, _, query = target.partition("?")
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    if body and not any(name in {b"content-length", b"transfer-encoding"} for name, _ in raw):
        raw.append((b"content-length", str(len(body)).encode()))
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, object]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": method,
        "scheme": scheme,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": raw,
        "client": (peer, 40000),
        "server": ("127.0.0.1", 8080),
        "http_version": "1.1",
    }
    return Request(scope, receive)


async def content_of(response: Response) -> bytes:
    """All of a response's body; its head is one that can be sent."""
    response.head_message()
    body = response.body
    return body if isinstance(body, bytes) else b"".join([chunk async for chunk in body])
