"""The campaign at a small scale: bounds of memory, descriptors and threads hold, and all is well after."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.attacks import ATTACKS
from tests.hostile.campaign import Innocent, attack, target, watch
from tests.kit.server import Server

MEBIBYTE = 1 << 20
SCALE = 0.05


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with target(tmp_path_factory.mktemp("hostile")) as server:
        yield server


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_an_attack_stays_within_bounds(attacked: Server, name: str) -> None:
    server = attacked
    outcome = attack(server, name, scale=SCALE, seconds=0.7, calm_s=0.2)
    assert outcome.done, f"the server refused all of it: {outcome.answers}"
    assert outcome.before.failures == outcome.after.failures == []
    assert outcome.during.resident < 300 * MEBIBYTE
    assert outcome.during.descriptors < 700
    assert outcome.during.threads < 60
    assert server.process.poll() is None
    for word in ("unhandled exception", "writing has ended"):
        assert word not in server.log()


def test_the_server_is_well_after_all_of_them(attacked: Server) -> None:
    server = attacked
    with Innocent(server.port) as innocent:
        figures = watch(server, innocent, 1)
    assert figures.failures == []
    assert figures.descriptors < 150
