"""Raw requests for the load generators, and a plain client for preparing data."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Collection, Mapping
from typing import Self


def request(method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Return an HTTP/1.1 request as bytes."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Client:
    """One keep-alive connection that raises if the status is not the expected one."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        expect: int = 200,
    ) -> bytes:
        """Send a request and return the body of the answer.

        Raises:
            RuntimeError: The status is not `expect`.
        """
        self._connection.request(method, target, body or None, dict(headers or {}))
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != expect:
            raise RuntimeError(f"{method} {target}: {answer.status} {content[:200]!r}")
        return content


def check(port: int, raw: bytes, expect: Collection[int]) -> None:
    """Send one raw request and check the status: wrk does not report the status of a refusal.

    Raises:
        RuntimeError: The status is none of `expect`.

    """
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(raw)
        head = b""
        while b"\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                raise RuntimeError("the server closed the connection without an answer")
            head += data
    if int(head[9:12]) not in expect:
        raise RuntimeError(f"answered {head[:300]!r}")
