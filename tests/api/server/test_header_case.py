"""The case of header names as the client wrote it: kept beside the lower-case names, for whom it matters."""

from __future__ import annotations

from retain.api.http.message import Mounted, Request, Response, plain_error
from tests.kit.requests import make_request
from tests.kit.serving import connected, serving


async def _shown(request: Request) -> Response:
    return Response.json(
        200, [request.cased_headers(), [name.decode("latin-1") for name, _ in request.raw_headers]]
    )


SHOW = Mounted(name="show", handle=_shown, error=plain_error, prefixes=("show",))


async def test_names_keep_their_case_over_http_1() -> None:
    async with serving(interfaces=(SHOW,)) as served, connected(served.port) as peer:
        for head in (b"", b"Expect: 100-continue\r\n"):
            await peer.send(
                b"GET /show HTTP/1.1\r\nhOST: a\r\nX-Ms-Meta-FooBar:  v \r\nx-ms-meta-B: 2\r\n"
                + head
                + b"\r\n"
            )
            answer = await peer.answer()
            assert b'[["hOST","a"],["X-Ms-Meta-FooBar","v"],["x-ms-meta-B","2"]' in answer.body
            assert b'["host","x-ms-meta-foobar","x-ms-meta-b"' in answer.body


def test_without_a_protocol_that_keeps_them_names_are_in_lower_case() -> None:
    request = make_request(headers=[("X-Ms-Meta-A", " v ")])
    assert request.cased_headers() == [("x-ms-meta-a", "v")]
