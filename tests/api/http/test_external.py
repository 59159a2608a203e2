"""The URL by which clients reach the server: configured, forwarded by who may, or the request's own."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from retain.api.config.load import ServerConfig
from retain.api.http.external import ExternalUrl, client_address, unusable
from tests.kit.requests import make_request

PEERS = (ip_network("127.0.0.1/32"), ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
PROXY = ServerConfig(trusted_proxies=("192.0.2.0/24",))


def base(server: ServerConfig, *headers: tuple[str, str], target: str = "/", peer: str = "192.0.2.1") -> str:
    return ExternalUrl(server).base(make_request(target=target, headers=headers, peer=peer))


def test_the_configured_url_wins() -> None:
    server = ServerConfig(external_url="https://retain.example/x/", trusted_proxies=("192.0.2.1",))
    assert base(server, ("Host", "other"), ("X-Forwarded-Host", "third")) == "https://retain.example/x"


def test_the_requests_host_is_used_without() -> None:
    assert base(ServerConfig(), ("Host", "a.example:81")) == "http://a.example:81"
    assert base(ServerConfig(), ("Host", "[::1]:81")) == "http://[::1]:81"
    assert base(ServerConfig(), ("Host", "a"), target="http://b:1/x") == "http://b:1"


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a\x0b", "ä", "a" * 300])
def test_a_host_that_is_none_is_never_repeated(host: str) -> None:
    assert base(ServerConfig(), ("Host", host)) == "http://127.0.0.1:8080"


def test_without_a_usable_host_it_is_the_address_that_was_connected_to() -> None:
    request = make_request()
    for server, expected in (
        (("::1", 8080), "http://[::1]:8080"),
        (("10.0.0.1", 80), "http://10.0.0.1:80"),
        (None, "http://localhost"),
    ):
        request.server = server
        assert ExternalUrl(ServerConfig()).base(request) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("X-Forwarded-Proto", "https")], "https://own"),
        ([("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "out")], "https://out"),
        ([("X-Forwarded-Host", "out"), ("X-Forwarded-Port", "444")], "http://out:444"),
        (
            [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "o"), ("X-Forwarded-Port", "443")],
            "https://o",
        ),
        ([("X-Forwarded-Host", "out:9"), ("X-Forwarded-Port", "444")], "http://out:9"),
        ([("X-Forwarded-Prefix", "/retain/")], "http://own/retain"),
        ([("X-Forwarded-Prefix", "/a b")], "http://own"),
        ([("X-Forwarded-Host", "invented, out")], "http://out"),
        ([("X-Forwarded-Host", "in vain"), ("X-Forwarded-Proto", "gopher")], "http://own"),
        ([("Forwarded", "for=1.2.3.4;proto=https;host=out")], "https://out"),
        ([("Forwarded", 'host=invented, proto=https; host="out:8443"')], "https://out:8443"),
        ([("Forwarded", "host=out"), ("X-Forwarded-Host", "other")], "http://out"),
        ([("Forwarded", "nonsense")], "http://own"),
    ],
)
def test_a_trusted_proxy_is_believed(headers: list[tuple[str, str]], expected: str) -> None:
    assert base(PROXY, ("Host", "own"), *headers) == expected
    assert base(PROXY, ("Host", "own"), *headers, peer="198.51.100.1") == "http://own"
    assert base(ServerConfig(), ("Host", "own"), *headers) == "http://own"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("X-Forwarded-Prefix", "/retain")], []),
        ([("X-Forwarded-Prefix", "retain")], ["prefix"]),
        ([("X-Forwarded-Prefix", "/a b"), ("X-Forwarded-Proto", "gopher")], ["proto", "prefix"]),
        ([("Forwarded", "host=out;proto=https")], []),
        ([("Forwarded", "host=out"), ("X-Forwarded-Prefix", "/retain")], ["prefix"]),
        ([], []),
    ],
)
def test_what_a_proxy_says_in_vain_is_known(headers: list[tuple[str, str]], expected: list[str]) -> None:
    assert unusable(make_request(headers=(("Host", "own"), *headers))) == expected


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 10.1.0.9", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, nonsense", "127.0.0.1"),
        ("127.0.0.1", "10.1.0.8, 10.1.0.9", "10.1.0.8"),
    ],
)
def test_the_caller_s_address_is_the_nearest_that_no_proxy_of_ours_has(
    peer: str, forwarded: str, address: str
) -> None:
    request = make_request(headers=[("X-Forwarded-For", forwarded)] if forwarded else [], peer=peer)
    assert client_address(request, PEERS) == address
    assert client_address(request, ()) == peer


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("192.0.2.9", True),
        ("::ffff:192.0.2.9", True),
        ("198.51.100.1", False),
        ("2001:db8::1", False),
        ("", False),
    ],
)
def test_a_proxy_is_trusted_in_either_form_of_its_address(peer: str, trusted: bool) -> None:
    assert ExternalUrl(PROXY).is_trusted(peer) is trusted


def test_a_peer_without_an_ip_address_is_no_proxy() -> None:
    assert not ExternalUrl(PROXY).is_trusted("local socket")
