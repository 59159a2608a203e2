"""Shared by the blob scenarios: one account on each server, its token, and blobs with tags."""

from __future__ import annotations

import threading
from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from retain.api.blobs.sas.issue import issue_account_sas
from retain.bench.load import Load
from retain.bench.load.requests import Client, request
from retain.bench.scenario import RunSettings

ACCOUNT = "devstoreaccount1"
#: The key that every emulator has: the only one Azurite takes unasked.
KEY_TEXT = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "recordings"
SMALL = 1024
LARGE = 64 << 20
FOUND = 20
READ = 1000
VERSION = "2021-12-02"
HEADERS = {"x-ms-version": VERSION}
PUT = {**HEADERS, "x-ms-blob-type": "BlockBlob"}
PREPARING = 8

CONFIGURATION = f"""
[[tenants]]
name = "{ACCOUNT}"
key = "{KEY_TEXT}"
"""


TOKEN = issue_account_sas(
    b64decode(KEY_TEXT),
    account=ACCOUNT,
    permissions="rwdlactf",
    expiry=4_000_000_000 * 10**9,
    version=VERSION,
)


@dataclass(frozen=True, slots=True)
class BlobPeer:
    """A server to measure: Retain or another, with the same account.

    Attributes:
        name: As in the report.
        port: On loopback.
        pid: Its process.
    """

    name: str
    port: int
    pid: int


def name_of(number: int) -> str:
    """Return a blob's name as call recorders build them; names sort as the numbers do."""
    return f"8888/0004C06AN88TN2MP904S02LAES{number:08}.mp3.bin"


def target(path: str, query: str = "") -> str:
    """Return a request target below the account, with the token."""
    return f"/{ACCOUNT}{path}?{query}{'&' if query else ''}{TOKEN}"


def blob_target(number: int) -> str:
    """Return a blob's request target."""
    return target(f"/{CONTAINER}/{name_of(number)}")


def body_of(number: int, size: int = SMALL) -> bytes:
    """Return a blob's content."""
    return (f"{number:016}" * -(-size // 16)).encode()[:size]


def tag_pairs(number: int, count: int) -> tuple[tuple[str, str], ...]:
    """Return a blob's tags: `FOUND` of `count` blobs, evenly spread, have one that the others lack."""
    every = max(1, count // FOUND)
    kind = "RARE" if number % every == every - 1 else "CALL"
    moment = f"2022-01-{number % 28 + 1:02}T{number % 24:02}:00:00Z"
    return (("RecordingType", kind), ("StoredTime", moment))


def tags_of(number: int, count: int) -> str:
    """Return a blob's tags as a header."""
    return "&".join(f"{key}={quote(value)}" for key, value in tag_pairs(number, count))


def gets(numbers: Iterable[int]) -> list[bytes]:
    """Return requests that read blobs."""
    return [request("GET", blob_target(number), headers=HEADERS) for number in numbers]


def puts(numbers: Iterable[int], count: int) -> list[bytes]:
    """Return requests that write blobs, with their tags."""
    return [
        request("PUT", blob_target(n), body_of(n), {**PUT, "x-ms-tags": tags_of(n, count)}) for n in numbers
    ]


def find_target() -> str:
    """Return the target of a search for the rare blobs, at the account."""
    where = quote(f"@container='{CONTAINER}' AND RecordingType='RARE'")
    return target("/", f"comp=blobs&where={where}")


def list_target(page: int) -> str:
    """Return the target of one page of the container's listing."""
    return target(f"/{CONTAINER}", f"restype=container&comp=list&maxresults={page}")


def create_container(port: int) -> None:
    """Create the one container."""
    with Client(port) as client:
        client.send("PUT", target(f"/{CONTAINER}", "restype=container"), headers=HEADERS, expect=201)


def fill(port: int, numbers: Sequence[int], count: int) -> None:
    """Write blobs over several connections.

    Raises:
        RuntimeError: A request was refused.
    """
    failures: list[Exception] = []

    def work(share: Sequence[int]) -> None:
        with Client(port) as client:
            try:
                for number in share:
                    headers = {**PUT, "x-ms-tags": tags_of(number, count)}
                    client.send("PUT", blob_target(number), body_of(number), headers, expect=201)
            except (OSError, RuntimeError) as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(numbers[start::PREPARING],)) for start in range(PREPARING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"a blob was refused: {failures[0]}")


def read_load(port: int, pid: int, processor: int | None, settings: RunSettings) -> Load:
    """Write `READ` blobs to a server, and return the load that reads them in turn from `processor`."""
    create_container(port)
    fill(port, range(READ), READ)
    return Load(
        port,
        gets(range(READ)),
        200,
        settings.connections,
        settings.seconds,
        pid=pid,
        processor=processor,
        seed=settings.seed,
    )


def configuration(folder: Path) -> Path:
    """Write a configuration file with the account, and return its path."""
    path = folder / "retain.toml"
    path.write_text(CONFIGURATION)
    return path
