"""A client on an interface with its default settings."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.kit.settings import Client, settings_client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with settings_client() as connected:
        yield connected
