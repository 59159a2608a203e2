"""The answers of the interface: headers on all of them, JSON, texts, files and ranges of files."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

from retain.api.http.message import FixedFields, HeaderFields, Request, Response
from retain.api.http.send import close_iterator
from retain.engine.writing.bodies import Download

COMMON: HeaderFields = (
    ("Cache-Control", "no-cache, no-store"),
    ("Pragma", "no-cache"),
    ("X-Content-Type-Options", "nosniff"),
)
"""On every answer, errors and files included (docs/wire/areas.md, section 9)."""

JSON_TYPE = "application/json;charset=utf-8"
TEXT_TYPE = "text/plain;charset=utf-8"

_JSON = FixedFields([("Content-Type", JSON_TYPE), *COMMON])
_TEXT = FixedFields([("Content-Type", TEXT_TYPE), *COMMON])
_BINARY_HEADERS = [
    *COMMON,
    ("Content-Security-Policy", "sandbox; default-src 'none'"),
    ("Accept-Ranges", "bytes"),
]

_INLINE = re.compile(
    r"(image/(png|jpeg|gif|webp)|application/pdf|audio/[\w.+-]+|video/[\w.+-]+|text/plain)", re.ASCII
)
"""Types a browser may show in place; anything else is a download (docs/wire/areas.md, section 7)."""

encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def json_answer(value: object, *, status: int = 200, headers: HeaderFields = ()) -> Response:
    """Return a JSON response; a lone surrogate, which no client can have sent, is escaped."""
    text = encode_json(value).encode("utf-8", "backslashreplace")
    return Response(status, [*_JSON.fields, *headers], text, fixed=_JSON)


def json_stream(chunks: AsyncIterator[bytes]) -> Response:
    """Return a JSON response in pieces."""
    return Response(200, _JSON.fields, chunks)


def text_answer(text: bytes) -> Response:
    """Return the bare value, without quotes or newline (docs/wire/areas.md, section 1)."""
    return Response(200, _TEXT.fields, text, fixed=_TEXT)


class Stream:
    """A stored body as a response's body.

    Closes the file when it ends or is closed, even if it never began.
    """

    def __init__(self, download: Download, start: int, stop: int) -> None:
        self._download = download
        self._chunks = download.chunks(start, stop)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            await self._download.aclose()
            raise

    async def aclose(self) -> None:
        """Close the file."""
        await close_iterator(self._chunks)
        await self._download.aclose()


def stored_text(download: Download) -> Response:
    """Return a long text, as `text_answer` does."""
    return Response(200, _TEXT.fields, Stream(download, 0, download.size), length=download.size)


_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,1000})-([0-9]{0,1000})[ \t]*", re.IGNORECASE)


def byte_range(request: Request, size: int) -> tuple[int, int] | None:
    """Return the one range of bytes that a GET requests (RFC 9110, section 14); None for the whole file.

    The range is (start, stop). Several ranges, other units and malformed ones are ignored, as the RFC allows;
    so is any range under If-Range, since responses carry no validator that it could match. The last bytes of
    an empty file are all of it, which no Content-Range could express.

    Raises:
        ValueError: The range contains no byte of the file.
    """
    header = request.header("Range")
    if header is None or request.method != "GET" or request.header("If-Range") is not None:
        return None
    match = _ONE_RANGE.fullmatch(header)
    if match is None or match[1] + match[2] == "":
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
        satisfiable = int(last) > 0
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
        satisfiable = start < size
    if not satisfiable:
        raise ValueError("unsatisfiable range")
    return (start, stop) if size else None


def file_answer(download: Download, media_type: str, filename: str, span: tuple[int, int] | None) -> Response:
    """Return a file with its own type and name, inline only if that is harmless.

    See docs/wire/areas.md, section 7.
    """
    headers = [("Content-Type", media_type), *_BINARY_HEADERS]
    headers.append(("Content-Disposition", _disposition(media_type, filename)))
    start, stop = span or (0, download.size)
    if span is not None:
        headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{download.size}"))
    status = 200 if span is None else 206
    return Response(status, headers, Stream(download, start, stop), length=stop - start)


def _disposition(media_type: str, filename: str) -> str:
    essence = media_type.partition(";")[0].strip().lower()
    kind = "inline" if _INLINE.fullmatch(essence) else "attachment"
    if not filename:
        return kind
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", filename)
    value = f'{kind}; filename="{plain}"'
    return value if plain == filename else f"{value}; filename*=UTF-8''{quote(filename, safe='')}"
