"""The request to a webhook: where it may go, and what ends it."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from typing import Any

import pytest

from retain.api.config.load import ConfigError, load
from retain.api.notifications import post as module
from retain.api.notifications.post import NOT_PUBLIC, Outcome, is_allowed, post

ANSWER = b"what the receiver answers"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the path: `/200`, `/503`, `/302`."""

    def do_POST(self) -> None:
        self.server.seen.append(  # type: ignore[attr-defined]
            (self.path, self.rfile.read(int(self.headers["Content-Length"])), self.headers["webhook-id"])
        )
        self.send_response(int(self.path.partition("?")[0][1:]))
        self.send_header("Retry-After", "17")
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[tuple[int, list[tuple[str, bytes, str]]]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port, server.seen  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "accepted"), [(200, True), (202, True), (302, False), (503, False)])
def test_an_answer_is_accepted_or_not_and_no_redirect_is_followed(status: int, accepted: bool) -> None:
    with receiving() as (port, seen):
        url = f"http://127.0.0.1:{port}/{status}?code=1"
        outcome = post(url, {"webhook-id": "0-1"}, b"{}", allow_private=True)
    assert (outcome.status, outcome.accepted, outcome.pause_s) == (status, accepted, 17.0)
    assert seen == [(f"/{status}?code=1", b"{}", "0-1")]


@pytest.mark.parametrize("most", [0, 4, 4096])
def test_no_more_of_an_answer_is_read_than_asked_for(most: int) -> None:
    with receiving() as (port, _):
        outcome = post(f"http://127.0.0.1:{port}/200", {}, b"[]", allow_private=True, answer_bytes=most)
    assert outcome == Outcome(200, "", 17.0, ANSWER[:most])


def test_this_machine_is_asked_only_where_that_is_allowed() -> None:
    with receiving() as (port, seen):
        outcome = post(f"http://localhost:{port}/200", {}, b"{}", allow_private=False)
    assert outcome.word == NOT_PUBLIC
    assert seen == []


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.216.34", True, True),
        ("10.0.0.5", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("::ffff:10.0.0.5", False, True),
        ("fd00::1", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("224.0.0.1", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
    ],
)
def test_which_addresses_are_allowed(address: str, public: bool, private: bool) -> None:
    assert is_allowed(address, allow_private=False) is public
    assert is_allowed(address, allow_private=True) is private


def test_a_name_that_leads_to_a_forbidden_address_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of two addresses is enough: the choice would be the name server's."""

    def resolve(*_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))
            for address in ("93.184.216.34", "169.254.169.254")
        ]

    monkeypatch.setattr(module.socket, "getaddrinfo", resolve)
    outcome = post("https://pipeline.example/", {}, b"", allow_private=True)
    assert outcome.word == NOT_PUBLIC


def test_nobody_there_and_nonsense_are_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/", {}, b"", allow_private=True).word.startswith(
        "it cannot be reached"
    )
    assert post("https://x.invalid/", {}, b"", allow_private=True).word == "its name cannot be resolved"
    monkeypatch.setattr(module, "STEP_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert post(url, {}, b"", allow_private=True).word == "it does not answer in time"
    with receiving() as (port, _):
        outcome = post(f"https://127.0.0.1:{port}/", {}, b"", allow_private=True)
    assert outcome.status == 0


@contextmanager
def answering(data: Iterator[bytes], pause_s: float = 0) -> Iterator[str]:
    """A receiver that answers each request with pieces of `data`, until nobody reads them any longer."""

    def answer() -> None:
        with suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                for piece in data:
                    peer.sendall(piece)
                    if over.wait(pause_s):
                        return

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


def test_a_receiver_that_trickles_its_answer_does_not_keep_the_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each step is fast enough; it is all of them that are not."""
    monkeypatch.setattr(module, "REQUEST_S", 0.3)
    for begin in (b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"):
        with answering(chain([begin], repeat(b"x")), 0.01) as url:
            outcome = post(url, {}, b"", allow_private=True, answer_bytes=4096)
        assert outcome.word == "it does not answer in time"


@pytest.mark.parametrize("piece", [b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, b"X: " + b"x" * 60_000 + b"\r\n"])
def test_a_receiver_that_never_ends_its_head_is_not_read_for_ever(piece: bytes) -> None:
    with answering(chain([b"HTTP/1.1 100 Continue\r\n"], repeat(piece))) as url:
        outcome = post(url, {}, b"", allow_private=True)
    assert outcome.word == "it cannot be reached, or does not answer with HTTP"


def test_a_receiver_that_answers_with_a_gigabyte_has_accepted_the_event() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    for most in (0, 4096):
        with answering(chain([head], repeat(b"y" * 65536, 16_000))) as url:
            outcome = post(url, {}, b"", allow_private=True, answer_bytes=most)
        assert outcome == Outcome(200, "", None, b"y" * most)


SECRET = "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
GOOD = {"name": '"hook"', "url": '"https://h.example/x?code=1"', "secret": f'"{SECRET}"'}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"url": '"http://h.example/"'}, "https"),
        ({"url": '"http://127.0.0.1:9/x"'}, ""),
        ({"url": '"https://user:x@h.example/"'}, "credentials"),
        ({"url": '"https://h.example/#x"'}, "fragment"),
        ({"name": '"Bad Name"'}, "a-z"),
        ({"secret": '"x"'}, "whsec_"),
        ({"secret": None}, "is missing"),
        ({"events": '["blob.*", "token.issued"]'}, ""),
        ({"events": '["blob.made"]'}, "is not an event"),
        ({"events": '["*"]'}, "is not an event"),
        ({"interfaces": '["blob"]'}, "must contain only"),
        ({"schema": '"eventgrid"'}, "must be true"),
        ({"schema": '"eventgrid"', "names": "true"}, ""),
    ],
)
def test_a_webhook_of_the_configuration(tmp_path: Any, changes: dict[str, str | None], reason: str) -> None:
    lines = [f"{name} = {value}" for name, value in {**GOOD, **changes}.items() if value is not None]
    path = tmp_path / "retain.toml"
    path.write_text("[[webhooks]]\n" + "\n".join(lines))
    if reason:
        with pytest.raises(ConfigError, match=reason):
            load(path, {})
    else:
        assert load(path, {}).webhooks[0].name == "hook"
