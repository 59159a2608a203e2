"""URLs: every form of docs/wire/settings.md, section 2, raw paths, and names that need care."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.api.http.message import RequestError
from retain.api.settings.address import Address, Me, parse
from retain.engine import Forbidden
from retain.engine.settings import Asker, Level, Place
from tests.kit.requests import make_request
from tests.kit.settings import ROOT, Client, path

TAILS = {
    "/global/c/p": Address("app", Level.GLOBAL, path=("c", "p")),
    "/global": Address("app", Level.GLOBAL),
    "/currentuser/c": Address("app", Level.USER, path=("c",)),
    "/currentuser": Address("app", Level.USER),
    "/user/ab01/ep1": Address("app", Level.USER, user="ab01", path=("ep1",)),
    "/user/ab01": Address("app", Level.USER, user="ab01"),
    "/device/d1/c": Address("app", Level.DEVICE, device="d1", path=("c",)),
    "/device/d1": Address("app", Level.DEVICE, device="d1"),
    "": Address("app", Level.GLOBAL),
    "/endpoints/__metadata/readRoles": Address(
        "app", Level.GLOBAL, path=("endpoints", "__metadata", "readRoles")
    ),
    "/endpoints/ep1/url": Address("app", Level.GLOBAL, path=("endpoints", "ep1", "url")),
    "/global/device/x": Address("app", Level.GLOBAL, path=("device", "x")),
    "/Global/x": Address("app", Level.GLOBAL, path=("Global", "x")),
    "/device/device/device": Address("app", Level.DEVICE, device="device", path=("device",)),
}
PREFIXES = [
    "/mobileservices/origin/hcpms/Storage/v1/runtime/application/app",
    "/mobileservices/application/app/Storage/v1/runtime/application/app",
    "/mobileservices/Storage/v1/runtime/application/app",
    "/Storage/v1/runtime/application/app",
]


def parsed(target: str) -> Address | Me:
    return parse(make_request("GET", target).segments(), "hcpms", 255)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("tail", TAILS, ids=lambda tail: tail or "root")
def test_every_tail_behind_every_prefix(prefix: str, tail: str) -> None:
    """docs/wire/settings.md, sections 2, 11.9, 11.10 and 11.12."""
    assert parsed(prefix + tail) == TAILS[tail]
    assert parsed(f"/{prefix}//{tail}/".replace("app/", "app//")) == TAILS[tail]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/mobileservices",
        "/mobileservices/origin/other/Storage/v1/runtime/application/app/global",
        "/mobileservices/origin/HCPMS/Storage/v1/runtime/application/app/global",
        "/mobileservices/origin",
        "/mobileservices/application/app/Other/v1/runtime/application/app",
        "/mobileservices/storage/v1/runtime/application/app",
        "/mobileservices/Storage/v2/runtime/application/app",
        "/mobileservices/Storage/v1/runtime/application",
        "/mobileservices/application/app/roleservice/application/app/v2/You",
        "/mobileservices/application/app/roleservice",
        f"{ROOT}/app/device",
        f"{ROOT}/app/user",
        f"{ROOT}/app/device/",
    ],
)
def test_what_is_no_form_is_not_found(target: str) -> None:
    with pytest.raises(RequestError) as caught:
        parsed(target)
    assert caught.value.status == 404


def test_one_application_s_address_cannot_reach_another() -> None:
    for rest in ["Storage/v1/runtime/application/b/global", "roleservice/application/b/v2/Me"]:
        with pytest.raises(Forbidden):
            parsed(f"/mobileservices/application/a/{rest}")


def test_me_is_a_neighbour() -> None:
    assert parsed("/mobileservices/application/a/roleservice/application/a/v2/Me") == Me("a")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("100%25", "100%"),
        ("a+b", "a+b"),
        ("a%20b", "a b"),
        ("%E4%BD%A0", "你"),
        ("e%CC%81", "e\u0301"),
        ("%C3%A9", "é"),
        ("%F0%9F%98%80", "😀"),
        ("a%3Fb%23c", "a?b#c"),
        ("%5C..%5C", "\\..\\"),
        ("...", "..."),
        ("%0D%0A", "\r\n"),
        ("%7F", "\x7f"),
        ("%E2%80%AE", "\u202e"),
        ("CON", "CON"),
        ("__proto__", "__proto__"),
        ("a;b=c", "a;b=c"),
    ],
)
async def test_names_are_decoded_exactly_once(client: Client, raw: str, name: str) -> None:
    """docs/wire/settings.md, section 2."""
    assert (await client.call("POST", f"global/{raw}", {raw: 1})).status == 201
    assert (await client.call("GET", "global")).json() == {name: {raw: 1}}
    assert (await client.call("GET", f"global/{raw}/{path(raw)}")).json() == 1


@pytest.mark.parametrize(
    "raw",
    [
        "%",
        "%2",
        "%zz",
        "%ff",
        "%C3",
        "%C0%AF",
        "%ED%A0%80",
        "%00",
        "a%00b",
        ".",
        "..",
        "%2e",
        "%2E%2e",
        ".%2e",
    ],
)
async def test_names_that_cannot_be_are_refused(client: Client, raw: str) -> None:
    before = client.digest()
    for target in [f"{ROOT}/app/global/{raw}", f"{ROOT}/app/global/c/{raw}/d", f"{ROOT}/{raw}/global/x"]:
        answer = await client.send("PUT", target, [], b"{}")
        assert answer.status == 400
    assert client.digest() == before


async def test_a_name_that_is_too_long(client: Client) -> None:
    assert (await client.call("POST", "global/" + "a" * 255, {})).status == 201
    assert (await client.call("POST", "global/" + "a" * 256, {})).status == 413
    assert (await client.call("POST", "global/" + "%C3%A4" * 128, {})).status == 413
    assert (await client.call("POST", "global/" + "%C3%A4" * 127, {})).status == 201


def test_whose_place_it_is() -> None:
    ann, root = Asker("ann"), Asker("root", admin=True)
    assert Address("app", Level.USER).place(ann) == Place("app", Level.USER, user="ann")
    assert Address("app", Level.USER, user="ann").place(ann) == Place("app", Level.USER, user="ann")
    assert Address("app", Level.USER, user="ann").place(root) == Place("app", Level.USER, user="ann")
    assert Address("app", Level.DEVICE, device="d").place(ann) == Place("app", Level.DEVICE, "d", "ann")
    with pytest.raises(Forbidden):
        Address("app", Level.USER, user="bob").place(ann)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)


@given(st.lists(NAMES.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=4))
def test_any_names_come_back(names: list[str]) -> None:
    assert parsed(f"{ROOT}/app/global/{path(*names)}") == Address("app", Level.GLOBAL, path=tuple(names))
