"""A day of use with each client: writing, reading, listing, copying, renaming, deleting, signing; and
overwriting what another one wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient

from tests.kit.blob_clients import BLOCK, CLIENTS, Client
from tests.kit.site import Site

pytestmark = pytest.mark.slow

SMALL = b"small"
LARGE = bytes(range(256)) * (4 * BLOCK // 256) + b"and the rest"
"""More than four blocks."""
ODD = "dir/a b+ü%25.mp3"
MANY = [f"many/{number:03}" for number in range(300)]


@pytest.fixture
def container(site: Site, request: pytest.FixtureRequest) -> Iterator[ContainerClient]:
    """A container of the test's own, seen with the key by the SDK as witness."""
    name = request.node.name.translate(str.maketrans("_[", "--", "]")).removeprefix("test-")
    with site.container(name[:63].rstrip("-")) as found:
        yield found
        found.delete_container()


def fetched(site: Site, url: str) -> bytes:
    """What a URL answers to anybody, wherever its host is."""
    parts = urlsplit(url)
    request = Request(f"{site.server.url}{parts.path}?{parts.query}", headers={"Host": parts.netloc})
    with urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def test_a_day(kind: type[Client], site: Site, container: ContainerClient) -> None:
    client = kind(site, container.container_name)
    for name, data in (("dir/small", SMALL), ("dir/large", LARGE), (ODD, SMALL)):
        client.write(name, data)
        assert container.download_blob(name).readall() == data
        assert client.read(name) == data
    for start, count in ((0, 1), (BLOCK - 1, 2), (100, 2 * BLOCK), (len(LARGE) - 5, 5)):
        assert client.read("dir/large", start, count) == LARGE[start : start + count]
    assert sorted(client.list("dir")) == sorted(["dir/small", "dir/large", ODD])

    client.copy("dir/large", "dir/copy")
    client.rename("dir/copy", "dir/renamed")
    client.copy(ODD, "dir/plain")
    assert sorted(client.list("dir")) == sorted(["dir/small", "dir/large", "dir/renamed", "dir/plain", ODD])
    assert (client.read("dir/renamed"), client.read("dir/plain")) == (LARGE, SMALL)

    client.write("dir/small", LARGE)
    client.write("dir/large", SMALL)
    assert (client.read("dir/small"), client.read("dir/large")) == (LARGE, SMALL)

    for name in ("dir/plain", ODD) if client.PRESIGNS_ANY_NAME else ("dir/plain",):
        if client.PRESIGNS:
            assert fetched(site, client.presign(name)) == SMALL

    client.delete([ODD])
    with pytest.raises(ResourceNotFoundError):
        container.download_blob(ODD)
    for name in MANY:
        container.upload_blob(name, name.encode())
    client.delete(MANY)
    assert client.list("many") == []
    left = sorted(name for name in container.list_blob_names() if not name.endswith("/"))
    assert left == ["dir/large", "dir/plain", "dir/renamed", "dir/small"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", CLIENTS, ids=[kind.NAME for kind in CLIENTS])
    if "pair" in metafunc.fixturenames:
        pairs = [(first, second) for at, first in enumerate(CLIENTS) for second in CLIENTS[at + 1 :]]
        if "RETAIN_TEST_WORKERS" not in os.environ:
            # Each with its neighbours; `make workers` takes all pairs.
            pairs = list(pairwise((*CLIENTS, CLIENTS[0])))
        names = [f"{first.NAME}-{second.NAME}" for first, second in pairs]
        metafunc.parametrize("pair", pairs, ids=names)


def test_each_overwrites_in_blocks_what_the_other_wrote(
    pair: tuple[type[Client], type[Client]], site: Site, container: ContainerClient
) -> None:
    """Block ids of one client have another length than those of the other."""
    first, second = (kind(site, container.container_name) for kind in pair)
    for turn, client in enumerate((first, second, first)):
        data = LARGE[turn * 1000 : turn * 1000 + BLOCK + 10]
        client.write("shared", data)
        assert first.read("shared") == second.read("shared") == data
