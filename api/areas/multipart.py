"""multipart/form-data as it arrives (RFC 7578, RFC 2046 section 5.1): bytes in, parts out, no I/O.

Strict where leniency would be a guess: lines end in CRLF, the last delimiter must be there. Content is
exact to the byte however the body is cut into pieces, which a test checks for every cut. docs/decisions.md
says why no library's decoder is used.
"""

from __future__ import annotations

import re
from enum import Enum

from retain.api.areas.parts import PartHead, parse_head
from retain.api.http.message import BadRequest, RequestError

MAX_HEAD_BYTES = 16 * 1024
"""Most bytes of the headers of one part."""
MAX_PADDING = 64
"""Most blanks between a delimiter and the end of its line; no client sends any."""

_LINE_END = rb"(?:(?P<end>--)|(?P<next>[ \t]{0,%d}\r\n)|(?P<padded>[ \t]{%d})|(?P<open>-?\Z|[ \t]*\r?\Z))" % (
    MAX_PADDING,
    MAX_PADDING + 1,
)
"""The end of a delimiter line; `open` if it has not arrived yet. One search in C finds it, however often the
content only begins like a delimiter.
"""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


class TooManyParts(RequestError):
    """More parts than one request may have."""

    status = 413


class PartEnd(Enum):
    """The event after a part's last byte."""

    PART_END = "part end"


PART_END = PartEnd.PART_END


PartEvent = PartHead | bytes | PartEnd


class _State(Enum):
    PREAMBLE = 0
    HEAD = 1
    CONTENT = 2
    EPILOGUE = 3


class MultipartDecoder:
    """Decodes one body: `feed` it piece by piece, `finish` at its end.

    Never holds more than one piece and one part's headers.

    Args:
        boundary: The boundary parameter of the Content-Type.
        max_parts: Most parts taken.

    Raises:
        BadRequest: The boundary breaks RFC 2046.

    """

    def __init__(self, boundary: str, max_parts: int) -> None:
        if not _BOUNDARY.fullmatch(boundary):
            raise BadRequest("the multipart boundary is missing or invalid")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._line = re.compile(re.escape(self._delimiter) + _LINE_END)
        # The first delimiter needs no line break before it if it opens the body.
        self._buffer = bytearray(b"\r\n")
        self._state = _State.PREAMBLE
        self._parts_left = max_parts
        self._received = False

    def feed(self, data: bytes) -> list[PartEvent]:
        """Return what `data` completes, in order: a head, pieces of content, an end.

        Raises:
            BadRequest: The body is not a multipart form.
            TooManyParts: It has more parts than allowed.
        """
        self._received = True
        self._buffer += data
        events: list[PartEvent] = []
        position, more = 0, True
        while more:
            position, more = self._step(position, events)
        del self._buffer[:position]
        return events

    def _step(self, position: int, events: list[PartEvent]) -> tuple[int, bool]:
        """Continue from `position`; return how far it got, and whether it can continue without more data."""
        match self._state:
            case _State.HEAD:
                return self._head(position, events)
            case _State.EPILOGUE:
                return len(self._buffer), False
        return self._content(position, events)

    def finish(self) -> None:
        """End the body.

        Raises:
            BadRequest: The closing delimiter is missing. A body without a single byte is an empty form.
        """
        if self._state is not _State.EPILOGUE and self._received:
            raise BadRequest("the multipart body ends before its last delimiter")

    def _content(self, position: int, events: list[PartEvent]) -> tuple[int, bool]:
        """Consume content (or preamble) up to the next delimiter."""
        found = self._line.search(self._buffer, position)
        if found is not None:
            self._emit(events, position, found.start())
            line = self._after(found)
            if line is None:
                return found.start(), False
            if self._state is _State.CONTENT:
                events.append(PART_END)
            self._state, after = line
            return after, True
        end = max(position, len(self._buffer) - len(self._delimiter) + 1)
        self._emit(events, position, end)
        return end, False

    def _emit(self, events: list[PartEvent], start: int, stop: int) -> None:
        if self._state is _State.CONTENT and stop > start:
            events.append(bytes(self._buffer[start:stop]))

    def _after(self, delimiter: re.Match[bytes]) -> tuple[_State, int] | None:
        """Return what follows a delimiter, another part's head or the end, and where.

        None if that has not arrived yet.
        """
        match delimiter.lastgroup:
            case "end":
                return _State.EPILOGUE, delimiter.end()
            case "next":
                return _State.HEAD, delimiter.end()
            case "padded":
                raise BadRequest("too many blanks after a multipart delimiter")
        return None

    def _head(self, position: int, events: list[PartEvent]) -> tuple[int, bool]:
        end = self._buffer.find(b"\r\n\r\n", position)
        if (end if end >= 0 else len(self._buffer)) - position > MAX_HEAD_BYTES:
            raise BadRequest("the headers of a part are too long")
        content = self._content_start(end + 2) if end >= 0 else None
        if content is None:
            return position, False
        if self._parts_left <= 0:
            raise TooManyParts("too many keys in one request")
        self._parts_left -= 1
        events.append(parse_head(bytes(self._buffer[position:end])))
        self._state = _State.CONTENT
        return content, True

    def _content_start(self, blank_line: int) -> int | None:
        """Return where a part's content starts; None if that cannot be determined yet.

        It starts after the blank line, or on it if its CRLF already opens the next delimiter (a part without
        content, RFC 2046).
        """
        opening = self._buffer[blank_line : blank_line + len(self._delimiter)]
        if not self._delimiter.startswith(opening):
            return blank_line + 2
        if len(opening) < len(self._delimiter):
            return None
        found = self._line.match(self._buffer, blank_line)
        if found is None:
            return blank_line + 2
        return None if self._after(found) is None else blank_line
