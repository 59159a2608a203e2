"""Each answer of an interface has an id of its own, in the header of its protocol; the log has it, too."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from retain.api.areas import areas_interface
from retain.api.blobs.interface import blobs_interface
from retain.api.config.load import Config, LogConfig, ServerConfig
from retain.api.http.message import Mounted, Request, Response, plain_error
from retain.api.http.request_ids import RequestIds
from retain.api.server.app import App
from retain.api.settings import settings_interface
from retain.engine.testing import open_memory_engine
from tests.kit.serving import app_serving, exchange

AREAS = "/genesys/1/storage/30"
SETTINGS = "/mobileservices/Storage/v1/runtime/application/app/global"
BLOBS = "/tenant/recordings?restype=container"
FORM = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n"


async def broken(_: Request) -> Response:
    raise ZeroDivisionError


@asynccontextmanager
async def served(*, fast: bool) -> AsyncIterator[int]:
    """The port of a server with the three interfaces, one that fails, and one without ids."""
    server = ServerConfig(bind="127.0.0.1:0", fast_http1=fast)
    config = Config(server=server, log=LogConfig(slow_seconds=0, requests=True))
    async with open_memory_engine() as engine:
        mounted = [
            areas_interface(engine, config),
            settings_interface(engine, config),
            blobs_interface(engine, config, {"tenant": (bytes(64),)}.get),
            Mounted(name="x", handle=broken, error=plain_error, prefixes=("x",), id_header="X-Request-Id"),
            Mounted(name="y", handle=broken, error=plain_error, prefixes=("y",)),
        ]
        async with app_serving(App(engine, config, mounted)) as there:
            yield there.port


def ids(answer: bytes) -> list[tuple[str, str]]:
    """(header, id) of the answer's headers that have one."""
    head = answer.partition(b"\r\n\r\n")[0].decode()
    return re.findall(r"(?im)^((?:x-ms|x)-request-id): (\S+)\r?$", head)


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [dict(r.facts) for r in caplog.records if r.name == "retain.requests"]  # type: ignore[attr-defined]


async def asked(port: int, method: str, target: str, more: str = "") -> bytes:
    end = f"{more}\r\nA=1" if more else "\r\n"
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: chosen\r\n"
    return await exchange(port, f"{head}{end}".encode())


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("method", "target", "more", "header", "status"),
    [
        ("POST", AREAS, FORM, "X-Request-Id", 200),
        ("GET", "/genesys/1/storage/unknown", "", "X-Request-Id", 404),
        ("GET", "/genesys/%ff", "", "X-Request-Id", 400),
        ("TRACE", AREAS, "", "X-Request-Id", 405),
        ("GET", SETTINGS, "", "X-Request-Id", 401),
        ("GET", BLOBS, "", "x-ms-request-id", 401),
        ("GET", "/x", "", "X-Request-Id", 500),
    ],
)
async def test_the_answer_and_the_log_have_the_same_new_id(
    caplog: pytest.LogCaptureFixture,
    fast: bool,
    method: str,
    target: str,
    more: str,
    header: str,
    status: int,
) -> None:
    with caplog.at_level("INFO"):
        async with served(fast=fast) as port:
            answers = [await asked(port, method, target, more) for _ in range(2)]
    found = [ids(answer) for answer in answers]
    assert [name for one in found for name, _ in one] == [header, header]
    (_, first), (_, second) = (one[0] for one in found)
    assert first != second
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first)
    assert [(one["status"], one["id"]) for one in logged(caplog)] == [(status, first), (status, second)]
    if status == 500:
        faults = [r.facts for r in caplog.records if r.name == "retain.http"]  # type: ignore[attr-defined]
        assert faults == [{"id": first}, {"id": second}]
        assert answers[0].endswith(f"internal error {first}\n".encode())
    if header.startswith("x-ms"):
        assert f"RequestId:{first}\n".encode() in answers[0]


async def test_the_id_of_a_change_leads_to_its_records(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "retain.requests"):
        async with served(fast=True) as port:
            [(_, found)] = ids(await asked(port, "POST", AREAS, FORM))
    assert [(one["id"], one["records"]) for one in logged(caplog)] == [(found, "1")]


async def test_pages_without_a_protocol_have_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        async with served(fast=True) as port:
            answer = await asked(port, "GET", "/y")
    assert ids(answer) == []
    (fault,) = (r.facts["id"] for r in caplog.records if r.name == "retain.http")  # type: ignore[attr-defined]
    assert answer.endswith(f"internal error {fault}\n".encode())


def test_randomness_is_taken_in_large_pieces_and_used_once() -> None:
    pieces: list[int] = []

    def entropy(size: int) -> bytes:
        pieces.append(size)
        return b"".join(number.to_bytes(8, "big") + bytes((len(pieces),)) * 8 for number in range(size // 16))

    ids = RequestIds(entropy)
    made = [ids.next() for _ in range(257)]
    assert pieces == [4096, 4096]
    assert made[0] == "00000000-0000-4000-8101-010101010101"
    assert made[256] == "00000000-0000-4000-8202-020202020202"
