"""A desk with one account and its two containers, verified after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.blobs import BlobDesk


@pytest.fixture
def desk() -> Iterator[BlobDesk]:
    desk = BlobDesk()
    desk.create("recordings")
    desk.create("gim-export")
    yield desk
    desk.verify()
