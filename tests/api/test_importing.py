"""Importing leaves the collector as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from retain.api.importing import importing


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    yield
    gc.enable()


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_rests_meanwhile_and_is_as_it_was_afterwards(collects: bool) -> None:
    (gc.enable if collects else gc.disable)()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled() is collects
    with pytest.raises(ImportError), importing():
        raise ImportError("no such module")
    assert gc.isenabled() is collects
