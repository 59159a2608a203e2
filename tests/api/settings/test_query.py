"""The parameters of a query: each value that is taken, each that is refused, and what stands for none."""

from __future__ import annotations

import pytest

from retain.api.http.message import BadRequest
from retain.api.settings.query import PLAIN, Query, read_query
from tests.kit.requests import make_request

LONGEST = 300


def query(text: str, *, merging: bool = True) -> Query:
    request = make_request("GET", f"/mobileservices/x{'?' if text else ''}{text}")
    return read_query(request, merging=merging, max_wait_s=LONGEST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", PLAIN),
        ("nonsense=1&Keys=true", PLAIN),
        ("overwrite=true", PLAIN),
        ("overwrite=FALSE", Query(merged=False)),
        ("OverWrite=false", Query(merged=False)),
        ("keys", Query(keys=True)),
        ("keys=", Query(keys=True)),
        ("keys=True", Query(keys=True)),
        ("keys=false", PLAIN),
        ("watch", Query(watch=True)),
        ("watch=FALSE", PLAIN),
        ("wait=0", PLAIN),
        ("wait=1", Query(wait_s=1)),
        ("wait=300", Query(wait_s=300)),
        ("wait=301", Query(wait_s=300)),
        ("wait=999999999", Query(wait_s=300)),
        ("history", Query(history=100)),
        ("history=", Query(history=100)),
        ("history=0", PLAIN),
        ("history=1", Query(history=1)),
        ("history=1000", Query(history=1000)),
        ("history=1001", Query(history=1000)),
        ("version=0", Query(version=0)),
        ("version=999999999", Query(version=999_999_999)),
        ("restore=7", Query(restore=7)),
        (
            "overwrite=false&keys&wait=2&history=3&version=4&restore=5",
            Query(merged=False, keys=True, wait_s=2, history=3, version=4, restore=5),
        ),
    ],
)
def test_what_a_query_asks_for(text: str, expected: Query) -> None:
    assert query(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("overwrite=", "overwrite must be true or false"),
        ("overwrite=yes", "overwrite must be true or false"),
        ("keys=1", "keys must be true or false"),
        ("watch=no", "watch must be true or false"),
        ("wait=", "wait must be a number"),
        ("wait=-1", "wait must be a number"),
        ("wait=1.5", "wait must be a number"),
        ("wait=1000000000", "wait must be a number"),
        ("history=all", "history must be a number"),
        ("history=%D9%A1", "history must be a number"),
        ("version=", "version must be a number"),
        ("version=1a", "version must be a number"),
        ("restore=", "restore must be a number"),
        ("restore=+1", "restore must be a number"),
        ("keys&keys", "keys is given twice"),
        ("wait=1&wait=1", "wait is given twice"),
        ("overwrite=true&Overwrite=true", "overwrite is given twice"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        query(text)
    assert caught.value.message == message


def test_where_no_levels_show_through_the_parameter_for_them_is_one_of_nobody() -> None:
    assert query("overwrite=false&overwrite=nonsense", merging=False) == PLAIN
