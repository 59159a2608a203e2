"""Users added beside those of the configuration: kept, known at once, and gone at once."""

from __future__ import annotations

import os
from typing import Any

import pytest

from retain.api.admin.users import FILE, Users
from retain.api.config.load import Config
from retain.api.identity import User
from retain.engine import Command, Conflict, EngineError, Invalid, NotFound, StorageFailed
from retain.engine.audit.backups import others
from retain.engine.audit.log import Filter, log
from retain.journal.testing.memory import MemoryDisk
from tests.kit.console import PASSWORD, USERS, console
from tests.kit.passwords import cheap_hash

HASH = USERS[0].password
CONFIGURED = User("ann", HASH, frozenset({"Auditor"}))


async def unrecorded(_command: Command[None]) -> None:
    """What is recorded of it is for the tests with an engine."""


def users(disk: MemoryDisk | None = None) -> Users:
    made = Users(disk or MemoryDisk(), [CONFIGURED], unrecorded, os.urandom)
    made.load()
    return made


async def add(to: Users, name: str = "bob", **changes: Any) -> dict[str, Any]:
    return await to.add(**{"actor": "cli", "name": name, "password": HASH, "roles": ["Role1"], **changes})


async def test_a_user_is_known_at_once_and_after_a_restart() -> None:
    disk = MemoryDisk()
    first = users(disk)
    assert await add(first) == {"name": "bob", "roles": ["Role1"], "source": "command line"}
    assert first.known["bob"] == User("bob", HASH, frozenset({"Role1"}))
    assert users(disk).known == first.known
    assert [(one["name"], one["source"]) for one in await first.listed(actor="cli")] == [
        ("ann", "configuration"),
        ("bob", "command line"),
    ]
    assert HASH not in str(await first.listed(actor="cli"))


async def test_a_user_who_is_removed_is_gone_from_the_file_too() -> None:
    disk = MemoryDisk()
    first = users(disk)
    await add(first)
    await first.remove(actor="cli", name="bob")
    assert "bob" not in first.known
    assert "bob" not in users(disk).known
    with pytest.raises(NotFound):
        await first.remove(actor="cli", name="bob")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": ""}, Invalid),
        ({"name": "a:b"}, Invalid),
        ({"name": "a\nb"}, Invalid),
        ({"password": "secret"}, Invalid),
        ({"roles": [" "]}, Invalid),
        ({"name": "ann"}, Conflict),
    ],
)
async def test_what_is_wrong_is_refused_and_changes_nothing(
    changes: dict[str, Any], error: type[EngineError]
) -> None:
    disk = MemoryDisk()
    with pytest.raises(error):
        await add(users(disk), **changes)
    assert not disk.exists(FILE)


async def test_a_user_of_the_configuration_is_changed_only_there() -> None:
    with pytest.raises(Conflict, match="configuration"):
        await users().remove(actor="cli", name="ann")


async def test_the_configuration_wins_over_the_file() -> None:
    disk = MemoryDisk()
    other = Users(disk, [], unrecorded, os.urandom)
    await add(other, "ann", roles=["Administrator"])
    assert users(disk).known["ann"].roles == {"Auditor"}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"x": 1}', b'{"x": {"password": "y", "roles": []}}', b"\xff"]
)
def test_a_file_of_others_stops_the_start(content: bytes) -> None:
    disk = MemoryDisk()
    disk.write_atomic(FILE, content)
    with pytest.raises(Invalid, match="users"):
        users(disk)


async def test_a_backup_holds_the_users() -> None:
    disk = MemoryDisk()
    await add(users(disk))
    assert FILE in others(disk)


async def test_both_actions_stand_in_the_audit_log_without_the_hash() -> None:
    async with console() as server:
        await server.administration.users.add(actor="cli:eve", name="nina", password=HASH, roles=["B", "A"])
        await server.administration.users.remove(actor="cli:eve", name="nina")
        found = list(log(server.engine.disk, Filter()))[-2:]
    assert [(one.event, one.subject, one.actor) for one in found] == [
        ("user-added", "user:nina", "cli:eve"),
        ("user-removed", "user:nina", "cli:eve"),
    ]
    assert found[0].details == {"name": "nina", "roles": ["A", "B"]}


async def test_a_user_is_removed_even_where_nothing_can_be_recorded() -> None:
    async def fails(_command: Command[None]) -> None:
        raise StorageFailed("the journal takes nothing")

    disk = MemoryDisk()
    await add(users(disk))
    broken = Users(disk, [], fails, os.urandom)
    broken.load()
    with pytest.raises(StorageFailed):
        await broken.remove(actor="cli", name="bob")
    assert "bob" not in broken.known
    with pytest.raises(StorageFailed):
        await add(broken)
    assert "bob" not in broken.known
    assert "bob" not in users(disk).known


async def test_who_is_added_signs_in_at_once_and_who_is_removed_is_out_at_once() -> None:
    async with console(Config()) as server:
        browser = server.browser()
        assert "Nobody can sign in yet" in (await browser.get("/console/sign-in")).text
        await server.administration.users.add(
            actor="cli", name="nina", password=HASH, roles=["Administrator"]
        )
        assert (await browser.sign_in("nina")).status == 303
        assert "<b>nina</b>" in (await browser.get("/console")).text
        await server.administration.users.remove(actor="cli", name="nina")
        assert (await browser.get("/console")).status == 303
        await server.administration.users.add(actor="cli", name="olaf", password=HASH, roles=[])
        again = await server.browser().sign_in("nina", PASSWORD)
        assert again.status == 403, "nothing is remembered of the password that was right"


async def test_a_user_whose_role_was_taken_signs_in_anew() -> None:
    async with console(Config()) as server:
        users = server.administration.users
        await users.add(actor="cli", name="nina", password=HASH, roles=["Administrator"])
        browser = server.browser()
        await browser.sign_in("nina")
        await users.remove(actor="cli", name="nina")
        await users.add(actor="cli", name="nina", password=HASH, roles=["Auditor"])
        assert (await browser.get("/console/tokens")).status == 303


async def test_a_user_with_another_password_signs_in_anew() -> None:
    """Who removes a user and adds them again, with no request in between, wants the old sessions to end."""
    async with console(Config()) as server:
        users = server.administration.users
        await users.add(actor="cli", name="nina", password=HASH, roles=["Administrator"])
        browser = server.browser()
        await browser.sign_in("nina")
        assert (await browser.get("/console/tokens")).status == 200
        await users.remove(actor="cli", name="nina")
        await users.add(actor="cli", name="nina", password=cheap_hash("another"), roles=["Administrator"])
        assert (await browser.get("/console/tokens")).status == 303
        assert (await browser.sign_in("nina")).status == 403
        assert (await browser.sign_in("nina", "another")).status == 303
