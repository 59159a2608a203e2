"""`/docs` and the OpenAPI documents: what is served, as what, and nothing besides."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from retain.api.config.load import Config, ServerConfig
from retain.api.http.external import ExternalUrl
from retain.api.http.message import RequestError, Response
from retain.api.web.documentation import HEADERS, Documentation
from tests.kit.requests import make_request

HOST = ("host", "retain.example:8080")
PAGES = {"index.html": "home", "areas/index.html": "areas", "assets/a.css": "css", "secret.key": "no"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, text in PAGES.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "outside.txt").write_text("outside")
    return tmp_path / "site"


def change(site: Path) -> None:
    """As a new build does."""
    (site / "index.html").write_text("changed")
    os.utime(site, ns=(1, 1))


def moved(site: Path, place: Path) -> Path:
    """The site somewhere else."""
    return site.rename(place)


async def ask(
    target: str, site: Path, *headers: tuple[str, str], method: str = "GET", config: Config | None = None
) -> Response:
    server = (config or Config()).server
    documentation = Documentation(["areas"], ExternalUrl(server), site)
    request = make_request(method, target, [HOST, *headers])
    try:
        return await documentation.handle(request)
    except RequestError as error:
        return documentation.mount().error(request, error)


async def test_pages_are_served_with_their_types_and_a_strict_policy(site: Path) -> None:
    for target, kind, text in (
        ("/docs/", "text/html;charset=utf-8", b"home"),
        ("/docs/areas/", "text/html;charset=utf-8", b"areas"),
        ("/docs/areas/index.html", "text/html;charset=utf-8", b"areas"),
        ("/docs/assets/a.css", "text/css;charset=utf-8", b"css"),
    ):
        found = await ask(target, site)
        headers = dict(found.headers)
        assert (found.status, headers["Content-Type"], found.body) == (200, kind, text)
        assert HEADERS.items() <= headers.items()
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


async def test_a_page_without_its_slash_leads_to_the_one_with_it_below_any_prefix(site: Path) -> None:
    for target, place in (("/docs", "docs/"), ("/docs/areas", "areas/")):
        found = await ask(target, site)
        assert (found.status, dict(found.headers)["Location"]) == (308, place)


@pytest.mark.parametrize(
    "target",
    [
        "/docs/missing",
        "/docs/missing/",
        "/docs//",
        "/docs/../outside.txt",
        "/docs/%2e%2e/outside.txt",
        "/docs/..%2Foutside.txt",
        "/docs/secret.key",
        "/docs/assets/",
        "/docs/assets",
        "/openapi/settings.json",
        "/openapi/",
        "/openapi.json/x",
    ],
)
async def test_nothing_else_is_served(target: str, site: Path) -> None:
    assert (await ask(target, site)).status == 404


async def test_what_a_browser_has_already_is_not_sent_again(site: Path) -> None:
    tag = dict((await ask("/docs/", site)).headers)["ETag"]
    again = await ask("/docs/", site, ("if-none-match", tag))
    assert (again.status, again.body) == (304, b"")
    change(site)
    assert (await ask("/docs/", site, ("if-none-match", tag))).body == b"changed"


async def test_a_checkout_without_the_site_says_how_to_build_it(tmp_path: Path) -> None:
    for target, link in (("/docs", b'"openapi.json"'), ("/docs/areas/", b'"../../openapi.json"')):
        found = await ask(target, tmp_path / "none")
        assert found.status == 404
        assert isinstance(found.body, bytes)
        assert b"make docs" in found.body
        assert link in found.body


async def test_a_site_built_later_is_served_without_a_restart(site: Path) -> None:
    documentation = Documentation([], ExternalUrl(Config().server), site)
    hidden = moved(site, site.parent / "hidden")
    assert (await documentation.handle(make_request("GET", "/docs/", [HOST]))).status == 404
    moved(hidden, site)
    assert (await documentation.handle(make_request("GET", "/docs/", [HOST]))).status == 200


async def test_other_methods_are_refused(site: Path) -> None:
    found = await ask("/docs/", site, method="POST")
    assert (found.status, dict(found.headers)["Allow"]) == (405, "GET, HEAD")


async def test_the_descriptions_name_the_address_that_clients_use(site: Path) -> None:
    config = Config(server=ServerConfig(external_url="https://retain.example.org/below/"))
    for target, paths in (("/openapi/areas.json", 8), ("/openapi.json", 13)):
        found = await ask(target, site, config=config)
        assert isinstance(found.body, bytes)
        made = json.loads(found.body)
        assert made["openapi"].startswith("3.1")
        assert made["servers"] == [{"url": "https://retain.example.org/below"}]
        assert len(made["paths"]) == paths
        headers = dict(found.headers)
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Content-Type"] == "application/json"
    here = await ask("/openapi/areas.json", site)
    assert isinstance(here.body, bytes)
    assert json.loads(here.body)["servers"] == [{"url": "http://retain.example:8080"}]
