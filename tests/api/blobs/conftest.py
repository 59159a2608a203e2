"""A client on a Blob interface with its default settings and one container."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.kit.blob_client import BlobClient, blob_client


@pytest.fixture
async def client() -> AsyncIterator[BlobClient]:
    async with blob_client() as connected:
        await connected.create()
        yield connected
