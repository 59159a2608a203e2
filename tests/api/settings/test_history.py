"""Earlier versions: who changed what, how it was, and putting it back."""

from __future__ import annotations

import re

import pytest

from retain.api.settings.history import check_readable
from retain.engine import Forbidden, Invalid
from retain.engine.settings import Asker, ImportDocument, Level, Place, SettingsPolicy
from tests.kit.settings import ADMIN, ANN, Client, User, settings_client


async def test_history_tells_who_when_and_how(client: Client) -> None:
    bob = User("bob")
    await client.call("POST", "global", {"c": {"x": 1}, "d": {}}, user=ANN)
    await client.call("PUT", "global/c/x", 2, user=bob)
    await client.call("PATCH", "global/d", {"y": 1}, user=ANN)
    await client.call("DELETE", "global/c/x", user=bob)
    rows = (await client.call("GET", "global?history")).json()
    assert [(row["revision"], row["actor"], row["method"], row["path"]) for row in rows] == [
        (4, "user:bob", "DELETE", ["c", "x"]),
        (3, "user:ann", "PATCH", ["d"]),
        (2, "user:bob", "PUT", ["c", "x"]),
        (1, "user:ann", "POST", []),
    ]
    assert f'"{rows[0]["etag"]}"' == (await client.call("GET", "global")).tag
    assert re.fullmatch(r"2026-01-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows[0]["time"])
    assert [row["revision"] for row in (await client.call("GET", "global/c?history")).json()] == [4, 2, 1]
    assert [row["revision"] for row in (await client.call("GET", "global?history=2")).json()] == [4, 3]


async def test_an_earlier_version_is_shown(client: Client) -> None:
    await client.call("POST", "currentuser", {"c": {"x": 1}})
    await client.call("PUT", "currentuser/c", {"x": 2, "y": 2})
    await client.call("DELETE", "currentuser/c")
    for revision, value in [(1, {"c": {"x": 1}}), (2, {"c": {"x": 2, "y": 2}}), (3, {})]:
        assert (await client.call("GET", f"currentuser?version={revision}")).json() == value
    assert (await client.call("GET", "currentuser/c/x?version=1")).json() == 1
    for tail in [
        "currentuser?version=9",
        "currentuser?version=0",
        "currentuser/c?version=3",
        "global?version=1",
    ]:
        assert (await client.call("GET", tail)).status == 404
    assert (await client.call("GET", "currentuser?version=x")).status == 400


async def test_an_earlier_version_is_put_back(client: Client) -> None:
    await client.call("POST", "currentuser", {"c": {"x": 1, "n": None}, "d": {"z": 1}})
    await client.call("PATCH", "currentuser", {"c": {"x": 2}, "d": None})
    answer = await client.call("POST", "currentuser/c?restore=1")
    assert answer.status == 204
    assert (await client.call("GET", "currentuser")).json() == {"c": {"x": 1, "n": None}}
    assert (await client.call("POST", "currentuser?restore=1")).status == 204
    assert (await client.call("GET", "currentuser")).json() == {"c": {"x": 1, "n": None}, "d": {"z": 1}}
    rows = (await client.call("GET", "currentuser?history")).json()
    assert [row["method"] for row in rows] == ["RESTORE", "RESTORE", "PATCH", "POST"]
    for query in ["restore=99", "restore=x", "restore="]:
        assert (await client.call("POST", f"currentuser/c?{query}")).status in {400, 404}
    assert (await client.call("POST", "currentuser/none?restore=1")).status == 404


async def test_putting_back_needs_the_right_to_write_and_to_read(client: Client) -> None:
    lists = {"readRoles": ["R"], "writeRoles": ["W"]}
    await client.call("POST", "global/c", {"x": 1, "__metadata": lists}, user=ADMIN)
    await client.call("PUT", "global/c/x", 2, user=ADMIN)
    for user, status in [
        (ANN, 403),
        (User("r", ("R",)), 403),
        (User("w", ("W",)), 403),
        (User("b", ("R", "W")), 204),
    ]:
        assert (await client.call("POST", "global/c?restore=1", user=user)).status == status
    assert (await client.call("GET", "global/c/x", user=ADMIN)).json() == 1


async def test_putting_a_whole_document_back_needs_the_right_to_all_it_changes(client: Client) -> None:
    """A member that the earlier version did not have is removed: its list of writers decides, too."""
    guarded = {"writeRoles": ["W"]}
    await client.call("POST", "global", {"free": {"x": 1}}, user=ADMIN)
    await client.call("POST", "global/guarded", {"y": 1, "__metadata": guarded}, user=ADMIN)
    assert (await client.call("POST", "global?restore=1", user=ANN)).status == 403
    assert (await client.call("GET", "global/guarded/y", user=ADMIN)).json() == 1
    writer = User("w", ("W",))
    assert (await client.call("POST", "global?restore=1", user=writer)).status == 204
    assert (await client.call("GET", "global/guarded", user=ADMIN)).status == 404


async def test_the_lists_of_then_guard_the_values_of_then(client: Client) -> None:
    """Opening a configuration does not open what it held while it was closed."""
    await client.call("POST", "global/c", {"secret": 1, "__metadata": {"readRoles": ["R"]}}, user=ADMIN)
    await client.call("PUT", "global/c", {"open": 1, "__metadata": {}}, user=ADMIN)
    assert (await client.call("GET", "global/c")).status == 200
    assert (await client.call("GET", "global/c?version=1")).status == 403
    assert (await client.call("GET", "global/c?version=1", user=User("r", ("R",)))).status == 200
    assert (await client.call("GET", "global?version=1")).status == 403


async def test_a_level_s_history_needs_all_of_it_readable(client: Client) -> None:
    await client.call("POST", "global", {"g": {"__metadata": {"readRoles": ["R"]}}, "o": {}}, user=ADMIN)
    assert (await client.call("GET", "global?history")).status == 403
    assert (await client.call("GET", "global/g?history")).status == 403
    assert (await client.call("GET", "global/o?history")).status == 200


async def test_another_user_s_history_is_his_own(client: Client) -> None:
    await client.call("POST", "currentuser/c", {}, user=ANN)
    assert (await client.call("GET", "user/ann?history", user=User("bob"))).status == 403
    assert (await client.call("GET", "user/ann?history", user=ADMIN)).status == 200


async def test_history_begins_anew_with_the_document(client: Client) -> None:
    await client.call("POST", "currentuser/c", {"x": 1})
    await client.call("DELETE", "currentuser")
    await client.call("POST", "currentuser/c", {"x": 2})
    assert len((await client.call("GET", "currentuser?history")).json()) == 1
    assert (await client.call("GET", "currentuser/c/x?version=1")).json() == 2


async def test_large_changes_have_a_history_too(client: Client) -> None:
    import os

    async with settings_client(max_body_bytes=4 << 20) as large:
        for number in range(2):
            value = {"n": number, "blob": os.urandom(700_000).hex()}
            assert (await large.call("PUT", "device/d/c", value)).status in {201, 204}
        assert [row["revision"] for row in (await large.call("GET", "device/d?history")).json()] == [2, 1]
        assert (await large.call("GET", "device/d/c/n?version=1")).json() == 0


async def test_only_so_many_may_wait_for_history(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.call("POST", "global", {"c": {"x": 1}})
    monkeypatch.setattr("retain.api.settings.history.HISTORY_WAITING_MAX", 0)
    refused = await client.call("GET", "global?history")
    assert refused.status == 429
    assert refused.json()["code"] == "too-many-requests"
    assert refused.headers["Retry-After"] == "5"
    assert (await client.call("GET", "global")).status == 200


async def test_the_history_of_a_configuration_s_lists_needs_the_right_to_read_it(client: Client) -> None:
    reader = User("r", ("R",))
    lists = {"readRoles": ["R"]}
    await client.call("POST", "global/c", {"x": 1}, user=ADMIN)
    await client.call("PATCH", "global/c", {"__metadata": lists}, user=ADMIN)
    for tail in ["global?history", "global/c?history", "global/c/__metadata?history", "global/c?version=2"]:
        assert (await client.call("GET", tail)).status == 403
        assert (await client.call("GET", tail, user=reader)).status == 200
    assert (await client.call("GET", "global/c/__metadata?version=2", user=reader)).json() == lists
    assert (await client.call("GET", "global/c/__metadata?version=1", user=reader)).status == 404


async def test_no_import_brings_a_document_a_metadata_member(client: Client) -> None:
    """It would have no history that anybody could be refused: lists stand in configurations only."""
    before = client.digest()
    for metadata in [{"readRoles": ["R"]}, {}, None]:
        command = ImportDocument(
            actor="operator",
            place=Place("app", Level.GLOBAL, "", ""),
            value={"__metadata": metadata, "c": {"x": 1}},
            policy=SettingsPolicy(),
            resource=bytes(16),
        )
        with pytest.raises(Invalid):
            await client.engine.submit(command)
    assert client.digest() == before


def test_a_setting_may_be_called_like_a_configuration_that_is_hidden() -> None:
    """Only the first name of a path is a configuration's."""
    value = {"a": {"b": 1}, "b": {"__metadata": {"readRoles": ["Boss"]}}}
    asker, place = Asker("ann"), Place("app", Level.GLOBAL)
    check_readable(asker, place, ("a", "b"), value)
    for path in (("b", "a"), ("b",), ()):
        with pytest.raises(Forbidden):
            check_readable(asker, place, path, value)
