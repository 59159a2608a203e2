"""A selection of the settings interface's own tests, each request answered by one of three nodes.

`make nodes` runs all of them so.
"""

from __future__ import annotations

import pytest

from retain.journal.testing.memory import MemoryDisk
from tests.api.settings.conftest import client  # noqa: F401 - a fixture of theirs
from tests.api.settings.test_watching import (  # noqa: F401 - the tests
    test_a_poll_ends_with_the_change_of_any_level_it_shows,
    test_a_poll_is_judged_again_before_it_is_answered,
)
from tests.kit.settings import settings_client


@pytest.fixture(autouse=True)
def _nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIN_NODES", "1")


async def test_every_node_has_what_the_folder_had_before() -> None:
    disk = MemoryDisk()
    async with settings_client(disk) as client:  # noqa: F811 - not the fixture's
        assert (await client.call("POST", "global", {"c": {"x": 1}})).status == 201
    async with settings_client(disk) as client:
        for _ in range(12):  # of three nodes
            assert (await client.call("GET", "global/c")).json() == {"x": 1}
