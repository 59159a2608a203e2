"""Receive webhooks: check each signature, and handle each event once, also after a restart."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

LARGEST = 1 << 20
TOLERANCE_S = 300


def is_signed(key: bytes, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Return whether Retain signed this request in the last five minutes (Standard Webhooks)."""
    name, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent.isdecimal() or abs(now - int(sent)) > TOLERANCE_S:
        return False
    digest = hmac.digest(key, f"{name}.{sent}.".encode() + body, "sha256")
    wanted = b"v1," + base64.b64encode(digest)
    # There are several signatures while a secret is replaced.
    return any(
        hmac.compare_digest(wanted, one.encode()) for one in headers.get("webhook-signature", "").split(" ")
    )


class Inbox:
    """The ids of the events that were handled, in a database that survives a restart."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS handled (source TEXT, id TEXT, UNIQUE (source, id))"
        )

    def take(self, event: Mapping[str, Any], handle: Callable[[Mapping[str, Any]], None]) -> None:
        """Handle an event unless it was handled before. If `handle` fails, the id is not kept."""
        with self._database:
            added = self._database.execute(
                "INSERT OR IGNORE INTO handled VALUES (?, ?)", (event["source"], event["id"])
            )
            if added.rowcount:
                handle(event)


def show(event: Mapping[str, Any]) -> None:
    """Do what your program does with an event; here: print it."""
    print(event["type"], event["subject"], flush=True)


def handler(key: bytes, inbox: Inbox) -> type[BaseHTTPRequestHandler]:
    """Return the handler of requests."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 30  # a caller that stalls does not stop the others

        def do_POST(self) -> None:
            self.send_response(self._status())
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _status(self) -> int:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal():
                return 411
            if int(length) > LARGEST:
                return 413
            body = self.rfile.read(int(length))
            if not is_signed(key, self.headers, body, time.time()):
                return 401
            inbox.take(json.loads(body), show)
            return 204

        def log_message(self, format: str, *args: object) -> None:
            """Print events only."""

    return Handler


def main() -> None:
    """Listen until Ctrl-C, on port 9000 unless PORT names another."""
    key = base64.b64decode(os.environ["RETAIN_WEBHOOK_SECRET"].removeprefix("whsec_"), validate=True)
    address = ("127.0.0.1", int(os.environ.get("PORT", "9000")))
    with HTTPServer(address, handler(key, Inbox("handled.sqlite"))) as server:
        print(f"waiting at http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
