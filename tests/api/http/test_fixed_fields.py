"""Header fields that are rendered once for all answers of a kind: the same bytes, and never stale ones."""

from __future__ import annotations

import pytest
import trio

from retain.api.areas.answers import json_answer, text_answer
from retain.api.config.load import ServerConfig
from retain.api.http.message import FixedFields, Response, render_fields
from retain.api.server.serve import WireConfig

FIXED = FixedFields([("Content-Type", "text/plain"), ("Pragma", "no-cache")])


def whole(response: Response) -> str:
    fixed, lines = response.lines()
    return (fixed.lines if fixed else "") + lines


@pytest.mark.parametrize("status", [200, 204, 304])
@pytest.mark.parametrize("own", [[], [("ETag", '"1"'), ("Vary", "Origin")]])
def test_the_lines_are_those_of_the_fields(status: int, own: list[tuple[str, str]]) -> None:
    response = Response(status, [*FIXED.fields, *own], b"body", fixed=FIXED)
    assert response.lines()[0] is FIXED
    assert whole(response) == render_fields(response.fields())


def test_answers_of_each_kind_use_it() -> None:
    for response in (json_answer({"id": 1}, headers=[("X-A", "b")]), text_answer(b"x")):
        assert response.lines()[0] is not None
        assert whole(response) == render_fields(response.fields())


def test_a_response_whose_headers_were_changed_is_rendered_anew() -> None:
    for changed in ([("Content-Type", "text/html"), FIXED.fields[1]], FIXED.fields[:1], FIXED.fields[::-1]):
        response = Response(200, FIXED.fields, b"body", fixed=FIXED)
        response.headers = list(changed)
        assert response.lines()[0] is None
        assert whole(response) == render_fields(response.fields())


def test_a_responses_own_headers_never_change_those_of_others() -> None:
    response = Response(200, FIXED.fields, b"", fixed=FIXED)
    response.headers.append(("Access-Control-Allow-Origin", "*"))
    assert Response(200, FIXED.fields, b"", fixed=FIXED).headers == FIXED.fields
    assert len(FIXED.fields) == 2


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\0", "\x7f"])
def test_a_field_that_breaks_out_of_its_line_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="X-A"):
        FixedFields([("X-A", value)])
    with pytest.raises(ValueError, match="X-A"):
        Response(200, [*FIXED.fields, ("X-A", value)], b"", fixed=FIXED).lines()


async def test_the_start_of_an_answer_has_the_date_of_its_second(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = 0
    monkeypatch.setattr("hypercorn.config.time", lambda: present)
    config = WireConfig(ServerConfig())
    first = config.head_start(200, FIXED)
    assert first == (
        b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        b"Content-Type: text/plain\r\nPragma: no-cache\r\n"
    )
    assert config.head_start(404, None).startswith(b"HTTP/1.1 404 Not Found\r\nDate: ")
    assert config.head_start(299, None).startswith(b"HTTP/1.1 299 \r\nDate: ")
    assert config.head_start(200, FIXED) is first
    present = 1
    await trio.sleep(1)
    assert b"00:00:01 GMT" in config.head_start(200, FIXED)
