"""One real server with tenants for all tests with real clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.blob_clients import HOST_SUFFIX
from tests.kit.many import one_or_many
from tests.kit.passwords import cheap_hash
from tests.kit.site import EMULATOR_ACCOUNT, EMULATOR_KEY, PASSWORD, Site

CONFIG = f"""
[blobs]
host_suffixes = ["{HOST_SUFFIX}"]

[[users]]
name = "operator"
password = '{cheap_hash(PASSWORD)}'
roles = ["admin"]

[[tenants]]
name = "{EMULATOR_ACCOUNT}"
key = "{EMULATOR_KEY}"
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An account as emulators have it, without containers, and an administrator."""
    with one_or_many(tmp_path_factory.mktemp("clients"), CONFIG) as server:
        yield Site(server)
        assert "unhandled exception" not in server.log()
