"""examples/python/webhook_receiver.py takes each event once, and only from Retain."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from retain.api.blobs.sas.issue import issue_account_sas
from retain.api.config.notifications import secret_bytes
from retain.api.notifications.payload import signed_headers
from tests.kit.server import ANSWER_S, ROOT, STOP_S, running

PROGRAM = ROOT / "examples" / "python" / "webhook_receiver.py"
PAGE = (ROOT / "examples" / "README.md").read_text()
SECRET = "whsec_YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcywgeWVzIQ=="
KEY = secret_bytes(SECRET)
EVENT = {"source": "urn:retain:log", "id": "0-1", "type": "retain.blob.created", "subject": "one"}
CONFIG = """
[[tenants]]
name = "mytenant"
containers = ["recordings"]
key = "dGhlIGtleSBvZiB0aGUgZXhhbXBsZXM="

[[webhooks]]
name = "example"
url = "{url}"
secret = "{secret}"
events = ["blob.*"]
names = true
allow_private = true
"""

pytestmark = pytest.mark.slow


@dataclass
class Receiver:
    """The running program; `line` waits for its next line."""

    process: subprocess.Popen[str]
    url: str = ""

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=ANSWER_S)
        with closing(connection):
            connection.request("POST", "/", body, dict(headers))
            return connection.getresponse().status


@contextmanager
def receiving(folder: Path) -> Iterator[Receiver]:
    environ = {**os.environ, "RETAIN_WEBHOOK_SECRET": SECRET, "PORT": "0"}
    command = [sys.executable, str(PROGRAM)]
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True) as process:
        found = Receiver(process)
        try:
            found.url = found.line().removeprefix("waiting at ").strip()
            yield found
        finally:
            process.terminate()
            process.wait(STOP_S)


def signed(event: Mapping[str, str], ago_s: int = 0) -> tuple[bytes, dict[str, str]]:
    """An event's body and headers as Retain sends them."""
    body = json.dumps(event).encode()
    now = (int(time.time()) - ago_s) * 10**9
    return body, dict(signed_headers(KEY, event["id"], now, body))


def test_an_event_is_taken_once_also_after_a_restart(tmp_path: Path) -> None:
    body, headers = signed(EVENT)
    replaced = {**headers, "webhook-signature": f"v1,b2xk {headers['webhook-signature']}"}
    with receiving(tmp_path) as receiver:
        assert [receiver.post(body, headers), receiver.post(body, replaced)] == [204, 204]
        assert receiver.post(*signed({**EVENT, "id": "0-2", "subject": "two"})) == 204
        assert [receiver.line(), receiver.line()] == [
            "retain.blob.created one\n",
            "retain.blob.created two\n",
        ]
    with receiving(tmp_path) as receiver:
        assert receiver.post(body, headers) == 204
        assert receiver.post(*signed({**EVENT, "source": "urn:retain:other", "subject": "three"})) == 204
        assert receiver.line() == "retain.blob.created three\n"


def test_what_retain_did_not_sign_is_refused(tmp_path: Path) -> None:
    body, headers = signed(EVENT)
    with receiving(tmp_path) as receiver:
        assert receiver.post(body + b" ", headers) == 401
        assert receiver.post(body, {**headers, "webhook-id": "0-2"}) == 401
        assert receiver.post(body, {**headers, "webhook-signature": "v1,\xe9"}) == 401
        assert receiver.post(body, {}) == 401
        assert receiver.post(*signed(EVENT, ago_s=3600)) == 401
        assert receiver.post(b"", {"Content-Length": str(1 << 30)}) == 413
        assert receiver.post(*signed({**EVENT, "subject": "real"})) == 204
        assert receiver.line() == "retain.blob.created real\n"


def test_a_server_notifies_it_and_the_page_shows_what_it_prints(tmp_path: Path) -> None:
    token = issue_account_sas(
        b"the key of the examples", account="mytenant", permissions="rwdlac", expiry=4_000_000_000 * 10**9
    )
    blob, kind = f"/mytenant/recordings/8888/call.mp3?{token}", {"x-ms-blob-type": "BlockBlob"}
    with receiving(tmp_path) as receiver:
        config = CONFIG.format(url=receiver.url, secret=SECRET)
        with running(tmp_path / "server", config) as server:
            assert server.ask("PUT", blob, b"sound", kind)[0] == 201
            created = receiver.line()
            assert server.ask("DELETE", blob)[0] == 202
            printed = created + receiver.line()
    section = PAGE.partition("(python/webhook_receiver.py)\n")[2].partition("\n### ")[0]
    [shown] = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    assert shown == f"waiting at http://127.0.0.1:9000\n{printed}"
    assert "unhandled exception" not in server.log()
