"""A selection of the settings interface's own tests, each request answered by the next of two followers.

`make workers` runs all of them so.
"""

from __future__ import annotations

import pytest

from tests.api.settings.conftest import client  # noqa: F401 - a fixture of theirs
from tests.api.settings.test_conditions import *  # noqa: F403 - the tests


@pytest.fixture(autouse=True)
def _followers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIN_FOLLOWERS", "1")
