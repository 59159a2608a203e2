"""Keys and users as workers see them: the next look after a change shows it; counts add up."""

from __future__ import annotations

from retain.api.admin.tenants import Tenants
from retain.api.admin.users import Users
from retain.api.cli.worker import divided
from retain.api.config.load import Config, ServerConfig, SettingsConfig, TenantConfig
from retain.api.web.metrics import Counters
from retain.api.workers.registries import Registries
from retain.engine.following.board import Board
from retain.journal import Disk
from retain.journal.testing.memory import MemoryDisk
from tests.kit.journals import counting_entropy
from tests.kit.passwords import cheap_hash


async def recorded(command: object) -> None:
    """Stand for the engine: nothing is looked at there."""


def registries(disk: Disk) -> tuple[Tenants, Users]:
    configured = (TenantConfig(name="acme"),)
    return Tenants(disk, configured, counting_entropy()), Users(disk, [], recorded, counting_entropy())


async def test_the_next_look_after_a_change_shows_it() -> None:
    disk, board = MemoryDisk(), Board.create()
    tenants, users = registries(disk)
    tenants.load()
    users.load()
    tenants.changed = users.changed = board.publish_registries
    seen = Registries(board, *registries(disk))

    assert seen.keys_of("acme") == tenants.keys_of("acme")
    before = seen.keys_of("acme")
    tenants.rotate("acme", 1)
    assert before != seen.keys_of("acme") == tenants.keys_of("acme")
    assert seen.keys_of("other") is None
    tenants.add("other")
    assert seen.keys_of("other") == tenants.keys_of("other")
    tenants.remove("other")
    assert seen.keys_of("other") is None

    assert dict(seen.users) == {}
    await users.add(actor="a", name="ann", password=cheap_hash("x"), roles=["R"])
    assert seen.users["ann"].roles == {"R"}
    assert (len(seen.users), list(seen.users), bool(seen.users)) == (1, ["ann"], True)
    await users.remove(actor="a", name="ann")
    assert seen.users.get("ann") is None
    board.close()


async def test_files_are_read_again_only_where_something_has_changed() -> None:
    disk, board = MemoryDisk(count_reads=True), Board.create()
    tenants, _ = registries(disk)
    tenants.load()
    seen = Registries(board, *registries(disk))
    seen.keys_of("acme")
    operations = disk.operations
    for _ in range(100):
        assert seen.keys_of("acme") is not None
    assert disk.operations == operations
    board.close()


def test_what_a_server_may_hold_is_divided_and_rounded_up() -> None:
    config = Config(
        server=ServerConfig(max_connections=100, connections_per_peer=10),
        settings=SettingsConfig(max_watchers=7, max_watchers_per_user=2),
    )
    third = divided(config, 3)

    assert (third.server.max_connections, third.server.connections_per_peer) == (34, 4)
    assert (third.settings.max_watchers, third.settings.max_watchers_per_user) == (3, 1)
    assert divided(config, 1) == config


def test_counts_of_all_processes_add_up() -> None:
    one, two, whole = Counters(), Counters(), Counters()
    one.request("areas", "GET", 200, 0.002, "read")
    two.request("areas", "GET", 200, 0.2, "read")
    two.request("areas", "PUT", 404, 0.2, "update")
    two.cut("idle")
    whole.request("areas", "GET", 200, 0.002, "read")
    whole.elsewhere = lambda: [one.tallies(), two.tallies()]

    totals = whole.totals()["areas"]
    assert (totals.requests, totals.refused, totals.within[-1][1]) == (4, 1, 4)
    assert dict(totals.within)[0.0025] == 2
    assert whole.tallies().cuts == {"idle": 1}
    assert one.tallies().requests == {
        ("areas", "GET", 200): 1
    }  # what was added is not added to what it came from
