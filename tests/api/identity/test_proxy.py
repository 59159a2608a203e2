"""A reverse proxy's headers: believed from listed peers, ignored from everybody else."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from retain.api.identity import (
    Caller,
    Identity,
    IdentityOptions,
    Method,
    ProxyOptions,
    Unauthenticated,
)
from tests.kit.requests import make_request

PEERS = (ip_network("127.0.0.1/32"), ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
OPTIONS = ProxyOptions(PEERS, groups_header="X-Forwarded-Groups")


def make(options: ProxyOptions = OPTIONS) -> Identity:
    return Identity(IdentityOptions(proxy=options), now=lambda: 0)


async def call(identity: Identity, peer: str, *headers: tuple[str, str]) -> Caller:
    return await identity.authenticate(make_request(headers=headers, peer=peer))


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", "fd00::1", "::ffff:10.1.2.3"])
async def test_a_listed_peer_names_the_caller(peer: str) -> None:
    caller = await call(
        make(), peer, ("X-Forwarded-User", "ann"), ("X-Forwarded-Groups", "Role1, Role2,,"),
        ("x-forwarded-groups", "Role3"),
    )  # fmt: skip
    assert caller == Caller("ann", frozenset({"Role1", "Role2", "Role3"}), Method.PROXY)


@pytest.mark.parametrize("peer", ["10.2.0.1", "127.0.0.2", "fe80::1", "", "unix", "::1"])
async def test_anybody_else_s_headers_mean_nothing(peer: str) -> None:
    with pytest.raises(Unauthenticated):
        await call(make(), peer, ("X-Forwarded-User", "ann"))


async def test_a_name_in_utf_8() -> None:
    name = "Jürgen".encode().decode("latin-1")
    assert (await call(make(), "127.0.0.1", ("X-Forwarded-User", name))).name == "Jürgen"


@pytest.mark.parametrize("name", ["", "\xff", "x" * 256, "a\tb"])
async def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Unauthenticated):
        await call(make(), "127.0.0.1", ("X-Forwarded-User", name))


@pytest.mark.parametrize("groups", ["Role1,\xff", "\xc3", "\xed\xa0\x80", "Role1\xe9"])
async def test_groups_that_are_not_utf_8_are_refused(groups: str) -> None:
    with pytest.raises(Unauthenticated, match="not UTF-8"):
        await call(make(), "127.0.0.1", ("X-Forwarded-User", "ann"), ("X-Forwarded-Groups", groups))


async def test_groups_in_utf_8() -> None:
    groups = "Führung, Büro".encode().decode("latin-1")
    caller = await call(make(), "127.0.0.1", ("X-Forwarded-User", "ann"), ("X-Forwarded-Groups", groups))
    assert caller.roles == {"Führung", "Büro"}


async def test_two_names_are_refused() -> None:
    with pytest.raises(Unauthenticated):
        await call(make(), "127.0.0.1", ("X-Forwarded-User", "ann"), ("X-Forwarded-User", "bob"))


async def test_without_a_name_the_proxy_s_own_credentials_would_count() -> None:
    with pytest.raises(Unauthenticated):
        await call(make(), "127.0.0.1", ("X-Forwarded-Groups", "admin"))


async def test_groups_are_believed_only_from_a_configured_header() -> None:
    identity = make(ProxyOptions(PEERS))
    caller = await call(identity, "127.0.0.1", ("X-Forwarded-User", "ann"), ("X-Forwarded-Groups", "admin"))
    assert caller.roles == frozenset()
