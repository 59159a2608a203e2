"""The story of the Genesys page *Blob Storage*, with each client: tokens, list, download, find, revoke."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote
from xml.etree.ElementTree import fromstring

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.kit.passwords import cheap_hash
from tests.kit.server import running
from tests.kit.site import AT_ONCE, PASSWORD, Site, Token

CONFIG = f"""
[[users]]
name = "operator"
password = '{cheap_hash(PASSWORD)}'
roles = ["admin"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server without host suffixes: the addresses that it names are its own, which every client finds."""
    with running(tmp_path_factory.mktemp("seed"), CONFIG) as server:
        yield Site(server)
        assert "unhandled exception" not in server.log()


RECORDINGS = {
    f"8888/0004C06AN88TN2MP904S02LAES0000{number:02}_2022-01-{number:02}.mp3.bin": number
    for number in range(8, 13)
}
WHERE = (
    "@container='recordings' AND RecordingType = 'CALL'"
    " AND StoredTime >= '2022-01-09T00:00:00Z' AND StoredTime < '2022-01-12T00:00:00Z'"
)
FOUND = [name for name, day in sorted(RECORDINGS.items()) if 9 <= day < 12 and day != 10]


class RefusedError(Exception):
    """The server refused, with this status or error code."""


class Client(Protocol):
    def names(self, token: Token) -> list[str]: ...
    def download(self, token: Token, name: str) -> bytes: ...
    def find(self, token: Token, where: str) -> list[str]: ...


class Curl:
    """curl with the page's own command lines, their lost halves restored."""

    def _run(self, *arguments: str) -> bytes:
        command = ["curl", "-qsS", "--max-time", "30", "-w", "%{stderr}%{http_code}", *arguments]
        done = subprocess.run(command, capture_output=True, timeout=200, check=True)
        if done.stderr[-3:] != b"200":
            raise RefusedError(done.stderr.decode(), done.stdout)
        return done.stdout

    def names(self, token: Token) -> list[str]:
        url = f"{token['url']}?{token['token']}&comp=list&restype=container"
        found = fromstring(self._run("--request", "GET", url)).iterfind("Blobs/Blob/Name")
        return [element.text or "" for element in found]

    def download(self, token: Token, name: str) -> bytes:
        return self._run("--request", "GET", f"{token['url']}/{quote(name)}?{token['token']}")

    def find(self, token: Token, where: str) -> list[str]:
        data = ("-G", "-d", token["token"], "-d", "comp=blobs", "--data-urlencode", f"where={where}")
        found = fromstring(self._run(*data, token["url"].rstrip("/") + "/")).iterfind("Blobs/Blob/Name")
        return [element.text or "" for element in found]


@contextmanager
def sdk_refusals() -> Iterator[None]:
    """The SDK's refusals as ours."""
    try:
        yield
    except HttpResponseError as error:
        raise RefusedError(error.error_code) from error


class Python:
    """azure-storage-blob."""

    def names(self, token: Token) -> list[str]:
        with sdk_refusals(), self._container(token) as container:
            return [blob.name for blob in container.list_blobs()]

    def download(self, token: Token, name: str) -> bytes:
        with sdk_refusals(), self._container(token) as container:
            return container.download_blob(name).readall()

    def find(self, token: Token, where: str) -> list[str]:
        with sdk_refusals(), BlobServiceClient(f"{token['url']}?{token['token']}", **AT_ONCE) as service:
            return [blob.name for blob in service.find_blobs_by_tags(where)]

    def _container(self, token: Token) -> ContainerClient:
        return ContainerClient.from_container_url(f"{token['url']}?{token['token']}", **AT_ONCE)


class Rclone(Curl):
    """rclone's azureblob, which cannot search: curl does that for it."""

    def _rclone(self, token: Token, *arguments: str) -> bytes:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.devnull,
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_OURS_TYPE": "azureblob",
            "RCLONE_CONFIG_OURS_SAS_URL": f"{token['url']}?{token['token']}",
        }
        command = ["rclone", "--retries", "1", "--low-level-retries", "1", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=200, check=False)
        if done.returncode:
            raise RefusedError(done.stderr.decode())
        return done.stdout

    def names(self, token: Token) -> list[str]:
        where = f"ours:{token['container'] or 'recordings'}"
        return self._rclone(token, "lsf", "-R", "--files-only", where).decode().splitlines()

    def download(self, token: Token, name: str) -> bytes:
        return self._rclone(token, "cat", f"ours:{token['container'] or 'recordings'}/{name}")


CLIENTS = [
    pytest.param(
        Curl(),
        id="curl",
        marks=pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
    ),
    pytest.param(Python(), id="python"),
    pytest.param(
        Rclone(),
        id="rclone",
        marks=pytest.mark.skipif(
            None in (shutil.which("rclone"), shutil.which("curl")), reason="rclone or curl is not installed"
        ),
    ),
]


def from_cli(site: Site, tenant: str, *, revoke: bool) -> list[Token]:
    more = ("--revoke-existing",) if revoke else ()
    tokens: list[Token] = site.retain(
        "token",
        "create",
        tenant,
        "--start",
        "2020-05-08",
        "--expiry",
        "2060-05-13",
        "--timezone",
        "UTC-08:00",
        *more,
    )
    return tokens


def from_console(site: Site, tenant: str, *, revoke: bool) -> list[Token]:
    return site.console(
        {
            "tenant": tenant,
            "start": "2020-05-08",
            "expiry": "2060-05-13",
            "timezone": "UTC-08:00",
            "revoke_existing": revoke,
        }
    )


def content(name: str) -> bytes:
    """Some are small, one is a payload file."""
    return name.encode() * (2000 if "10_" in name else 10)


def record(site: Site, tenant: str) -> None:
    """What the recorder does, with the account's key."""
    shown = site.retain("tenant", "show", tenant, "--keys")
    service = BlobServiceClient(
        shown["url"], {"account_name": tenant, "account_key": shown["keys"][0]}, **AT_ONCE
    )
    with service:
        container = service.get_container_client("recordings")
        for name, day in RECORDINGS.items():
            kind = "CALL" if day != 10 else "SCREEN"
            tags = {"RecordingType": kind, "StoredTime": f"2022-01-{day:02}T06:01:34Z"}
            container.upload_blob(name, content(name), tags=tags)


@pytest.mark.parametrize("make", [from_cli, from_console], ids=["cli", "console"])
@pytest.mark.parametrize("client", CLIENTS)
def test_tokens_are_made_used_and_revoked(
    site: Site, client: Client, make: Callable[..., list[Token]], request: pytest.FixtureRequest
) -> None:
    tenant = "t" + "".join(filter(str.isalnum, request.node.callspec.id))
    site.retain("tenant", "add", tenant)
    record(site, tenant)
    account, recordings, export = make(site, tenant, revoke=False)
    assert [token["container"] for token in (account, recordings, export)] == [
        None,
        "recordings",
        "gim-export",
    ]
    assert (account["permissions"], recordings["permissions"]) == ("f", "rl")

    assert sorted(client.names(recordings)) == sorted(RECORDINGS)
    assert client.names(export) == []
    for name in RECORDINGS:
        assert client.download(recordings, name) == content(name)
    assert client.find(account, WHERE) == FOUND

    with pytest.raises(RefusedError):
        client.find({**recordings, "url": account["url"]}, WHERE)
    for refused in ({**account, "url": recordings["url"]}, {**export, "url": recordings["url"]}):
        with pytest.raises(RefusedError):
            client.names(refused)
        with pytest.raises(RefusedError):
            client.download(refused, next(iter(RECORDINGS)))

    _, renewed, _ = make(site, tenant, revoke=True)
    with pytest.raises(RefusedError):
        client.names(recordings)
    with pytest.raises(RefusedError):
        client.download(recordings, next(iter(RECORDINGS)))
    assert sorted(client.names(renewed)) == sorted(RECORDINGS)

    site.retain("token", "revoke", tenant, "--all")
    with pytest.raises(RefusedError):
        client.names(renewed)
    assert client.find(account, WHERE) == FOUND  # names no policy: ends with its expiry only
