"""The page at /: what is mounted, for anybody, without a script."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from retain.api.areas import SAMPLE_PAGE
from retain.api.cli.assemble import interfaces
from retain.api.config.load import (
    AreasConfig,
    BlobsConfig,
    Config,
    OperationsConfig,
    ServerConfig,
    SettingsConfig,
)
from retain.api.http.external import ExternalUrl
from retain.api.server.app import linked_pages
from retain.api.web.landing import DOCUMENTS, EXAMPLES, PROGRAMS, Landing, programs_of
from retain.engine.testing import open_memory_engine
from tests.kit.requests import make_request
from tests.kit.server import ROOT, Server
from tests.kit.serving import connected

HOST = [("host", "retain.example:8080")]


async def page(
    config: Config, target: str = "/", state: tuple[bool, str] = (True, "ok")
) -> tuple[dict[str, str], str]:
    async with open_memory_engine() as engine:
        mounted = interfaces(engine, replace(config, blobs=BlobsConfig(enabled=False)), {}.get)
        landing = Landing(mounted, linked_pages(config, mounted), ExternalUrl(config.server), lambda: state)
        response = await landing.handle(make_request("GET", target, HOST))
        assert isinstance(response.body, bytes)
        return dict(response.headers), response.body.decode()


async def test_it_says_what_is_mounted_where_and_how_to_begin() -> None:
    headers, text = await page(Config())
    assert headers["Content-Type"] == "text/html;charset=utf-8"
    assert "http://retain.example:8080/genesys/1/storage</code>" in text
    assert "curl -F Key1=Value1 http://retain.example:8080/genesys/1/storage/3600" in text
    assert "http://retain.example:8080/mobileservices/Storage/v1/runtime</code>" in text
    links = re.findall(r'<a [^>]*href="([^"]*)"', text)
    examples = [link for link in links if link.startswith(f"/{EXAMPLES}#")]
    pages = [link for link in links if link.startswith("/docs/") and link not in examples]
    assert [link for link in links if link not in examples and link not in pages] == [
        "/console/sign-in",
        f"/{SAMPLE_PAGE}",
        "/healthz",
        "/readyz",
        "/metrics",
    ]
    assert len(pages) == len(set(pages)) + 1  # all pages, once with words and once among the others
    copied = re.findall(r'data-copy="([^"]+)"', text)
    assert len(copied) == len(set(copied)) == 4 + len(examples)
    assert set(copied) <= set(re.findall(r' id="([^"]+)"', text))


async def test_whole_programs_have_the_readers_address_in_them() -> None:
    _, text = await page(Config())
    assert "RETAIN_URL=http://retain.example:8080 sh examples/curl/areas.sh</code>" in text
    shown = {name for interface in PROGRAMS for name, _, _ in programs_of(interface, "x")}
    shown.add("python/webhook_receiver.py")  # has no server's address: the server sends to it
    there = {path.relative_to(ROOT / "examples").as_posix() for path in (ROOT / "examples").glob("*/*.*")}
    assert shown == there
    titles = re.findall(r"^### \[([^\]]+)\]", (ROOT / "examples" / "README.md").read_text(), re.MULTILINE)
    assert shown == set(titles)


def test_every_page_that_it_names_is_there() -> None:
    for _, name in DOCUMENTS:
        assert (ROOT / "docs" / f"{name}.md").is_file(), name


async def test_what_is_switched_off_is_not_shown() -> None:
    off = Config(areas=AreasConfig(enabled=False), operations=OperationsConfig(metrics=False))
    _, text = await page(off)
    assert "genesys" not in text
    assert "metrics" not in text
    _, text = await page(replace(off, settings=SettingsConfig(enabled=False)))
    assert "Every interface is switched off" in text


async def test_it_goes_by_the_external_url() -> None:
    _, text = await page(Config(server=ServerConfig(external_url="https://retain.example.org/r/")))
    assert "https://retain.example.org/r/genesys/1/storage</code>" in text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ((True, "ok"), "Taking requests"),
        ((True, "degraded: the disk is full; reads and deletes work"), "Degraded: the disk is full"),
        ((False, "storage failed; check the disk, then restart"), "Storage failed"),
    ],
)
async def test_it_says_how_the_server_is(state: tuple[bool, str], words: str) -> None:
    _, text = await page(Config(), state=state)
    assert words in text


async def test_nothing_comes_from_elsewhere_and_no_code_stands_in_the_page() -> None:
    headers, text = await page(Config(server=ServerConfig(external_url="https://retain.example.org/r")))
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    assert not re.search(r"<style|style=|onload|<script(?! src)", text)
    loaded = re.findall(r'(?:src|link [^>]*href)="([^"]*)"', text)
    assert loaded
    assert all(path.startswith("/r/console/static/") for path in loaded)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/", 200), ("HEAD", "/", 200), ("POST", "/", 405), ("GET", "//", 404), ("GET", "//x/y", 404)],
)
async def test_only_looking_at_it_is_offered(server: Server, method: str, target: str, status: int) -> None:
    async with connected(server.port) as peer:
        await peer.send(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = await peer.answer(head_only=method == "HEAD")
        assert answer.status == status
        assert answer.header("Allow") == ("GET, HEAD" if status == 405 else None)
