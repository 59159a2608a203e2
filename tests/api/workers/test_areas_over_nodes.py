"""A selection of the areas interface's own tests, each request answered by one of three nodes.

`make nodes` runs all of them so.
"""

from __future__ import annotations

import pytest

from tests.api.areas.conftest import client  # noqa: F401 - a fixture of theirs
from tests.api.areas.test_storage import (  # noqa: F401 - the tests
    test_a_small_file_of_a_server_without_inline_bodies,
    test_names_of_clients_are_no_names_of_files,
)


@pytest.fixture(autouse=True)
def _nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIN_NODES", "1")
