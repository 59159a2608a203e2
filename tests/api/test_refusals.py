"""What ends a request, as a status."""

from __future__ import annotations

from retain.api.http.message import BadRequest, UnexpectedError
from retain.api.identity import Unauthenticated
from retain.api.refusals import STATUS, status_of, worded
from retain.engine import EngineClosed, EngineError, Refused, StorageFailed, StorageFull


def test_every_kind_of_refusal_has_a_status() -> None:
    leaves = {kind for family in EngineError.__subclasses__() for kind in family.__subclasses__()}
    assert all(status_of(kind("why")) != 500 for kind in leaves)
    assert set(STATUS) <= {*leaves, *EngineError.__subclasses__()}


def test_the_nearest_kind_counts_and_an_unknown_one_is_a_fault() -> None:
    class Fuller(StorageFull):
        pass

    assert [status_of(kind("why")) for kind in (Fuller, StorageFailed, EngineClosed)] == [507, 503, 503]
    assert [status_of(kind("why")) for kind in (Refused, EngineError)] == [500, 500]


def test_an_error_that_is_not_ours_tells_nothing_of_its_cause() -> None:
    assert worded(ValueError("secret")) == (500, "internal error", ())
    assert worded(UnexpectedError("f00d")) == (500, "internal error f00d", ())
    assert worded(BadRequest("why")) == (400, "why", ())
    challenge = [("WWW-Authenticate", "Basic")]
    assert worded(Unauthenticated("who", challenge)) == (401, "who", challenge)
