"""What the engine cannot do at present is no fault of the server's code: clients are told to come again."""

from __future__ import annotations

import pytest

from retain.api.blobs.wire.engine_errors import from_engine
from retain.engine.core.errors import EngineError, Exhausted, Unavailable


def kinds(base: type[EngineError]) -> list[type[EngineError]]:
    return [base, *(found for kind in base.__subclasses__() for found in kinds(kind))]


@pytest.mark.parametrize("kind", kinds(Unavailable), ids=lambda kind: kind.code)
def test_whatever_is_unavailable_is_answered_503_or_507(kind: type[EngineError]) -> None:
    answer = from_engine(kind("not now"))
    assert (answer.status, answer.code) in (
        (503, "ServerBusy"),
        (507, "InsufficientAccountStorage"),
    )
    assert (("Retry-After", "1") in answer.headers) == issubclass(kind, Exhausted)
