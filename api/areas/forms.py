"""Request bodies: multipart and urlencoded forms, streamed into values for the engine.

See docs/wire/areas.md, section 4. Texts are short and stay in memory up to a bound for all of them together;
files are streamed into the engine's uploads, so a body of any size costs a few mebibytes. Leaving the
reader's block discards every upload that no event references by then.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import trio

from retain.api.areas.charsets import codec_of, decode
from retain.api.areas.encoding import UrlencodedDecoder, type_parameter
from retain.api.areas.errors import OverLimit, UnsupportedBody
from retain.api.areas.mime import HEAD_BYTES, FileControl
from retain.api.areas.multipart import MultipartDecoder
from retain.api.areas.parts import PartHead
from retain.api.http.body import STREAMED_BYTES
from retain.api.http.message import BadRequest, Request
from retain.engine.areas import LONG_TEXT_BYTES, NewFile, NewValue
from retain.engine.core.body import Inline
from retain.engine.writing.bodies import Upload

FORM_TEXT_BYTES = 3 * 1024 * 1024
"""Most bytes of all texts of a request together, unless a single one may be longer: one request is one frame
of the journal, which holds 4 MiB. Small files share this room; beyond it they become payload files."""

FORM_NAME_BYTES = 512 * 1024
"""Most bytes of one key on its way in: no area holds more of all its keys together."""

STEP_BYTES = 64 * 1024
"""Bytes of a body that are decoded before other tasks run."""

FALLBACK_TYPE = "application/octet-stream"
"""The type of a file whose part declares none (docs/wire/areas.md, section 4)."""

CHARSET_FIELD = "_charset_"
"""Sets the default charset of a form's texts; neither stored nor refused (RFC 7578 section 4.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRules:
    """The limits of a form.

    Attributes:
        max_request_bytes: Bytes of the body.
        max_file_bytes: Bytes of one file.
        max_text_bytes: Bytes of one text, as sent.
        max_keys: Parts or fields.
        ignore_underscore: A key that begins with an underscore is left out instead of refused
            (docs/wire/areas.md, section 4).
        control: The file control; None accepts all files.

    """

    max_request_bytes: int
    max_file_bytes: int
    max_text_bytes: int
    max_keys: int
    ignore_underscore: bool
    control: FileControl | None

    @property
    def max_form_text_bytes(self) -> int:
        """Bytes of all texts of one request together."""
        return max(FORM_TEXT_BYTES, self.max_text_bytes)


@dataclass(slots=True)
class _Text:
    """A text field while the default charset may still change."""

    name: str
    data: bytes
    codec: str | None


@dataclass(slots=True)
class _Part:
    """The part being received."""

    head: PartHead
    skipped: bool
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    upload: Upload | None = None
    judged: bool = False


class FormReader:
    """Reads one request's form: `async with FormReader(...) as reader: values = await reader.read()`.

    Args:
        request: The request; its body is read once.
        new_upload: Makes an upload of the engine.
        rules: The limits of the form.
        system: If given, takes the text fields that begin with an underscore (the sample page's own), which
            are then neither refused nor stored.

    """

    def __init__(
        self,
        request: Request,
        new_upload: Callable[[], Upload],
        rules: FormRules,
        system: dict[str, str] | None = None,
    ) -> None:
        self._request = request
        self._new_upload = new_upload
        self._rules = rules
        self._system = system
        self._uploads: AsyncExitStack | None = None
        self._fields: list[_Text | tuple[str, NewFile]] = []
        self._text_size = 0
        self._inline_size = 0
        self._codec: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._uploads is not None:
            await self._uploads.__aexit__(kind, error, traceback)

    async def read(self) -> dict[str, NewValue]:
        """Return the values by key; of a key that occurs twice, the last one counts.

        Raises:
            BadRequest: The body is not what its type says, or holds a key that is empty or begins with an
                underscore.
            OverLimit, BodyTooLarge, TooManyParts: A bound is exceeded.
            UnsupportedBody: The type is no form, the body is compressed, or a file's type is not taken.
            StorageFull, StorageFailed: A file could not be kept.

        """
        request = self._request
        kinds = request.header_values("content-type")
        if len(kinds) > 1:
            raise BadRequest("two Content-Type headers")
        encoding = request.header("content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            raise UnsupportedBody("compressed bodies are not taken")
        request.body.limit = self._rules.max_request_bytes
        if not kinds:
            await self._expect_nothing()
            return {}
        kind, _, rest = kinds[0].partition(";")
        kind = kind.strip().lower()
        if kind == "application/x-www-form-urlencoded":
            await self._read_urlencoded(type_parameter(";" + rest, "charset") if rest else None)
        elif kind == "multipart/form-data":
            await self._read_multipart(type_parameter(";" + rest, "boundary") or "")
        else:
            raise UnsupportedBody("the body must be a multipart or an urlencoded form")
        return await self._values()

    async def _expect_nothing(self) -> None:
        async for _ in self._request.body:
            raise UnsupportedBody("the body has no Content-Type")

    async def _read_urlencoded(self, charset: str | None) -> None:
        rules = self._rules
        codec = "utf-8" if charset is None else codec_of(charset)
        # Percent-encoding triples a byte at most.
        self._request.body.limit = min(rules.max_request_bytes, 3 * rules.max_form_text_bytes)
        self._codec = codec
        decoder = UrlencodedDecoder(rules.max_keys, FORM_NAME_BYTES, rules.max_text_bytes)
        async for chunk in self._request.body:
            for start in range(0, len(chunk), STEP_BYTES):
                self._take_fields(decoder.feed(chunk[start : start + STEP_BYTES]), codec)
                if len(chunk) > STEP_BYTES:  # beside a shorter one, others run while the next is awaited
                    await trio.lowlevel.checkpoint()
        self._take_fields(decoder.finish(), codec)

    def _take_fields(self, fields: list[tuple[bytes, bytes]], codec: str) -> None:
        for name, value in fields:
            self._take_text(decode(name, codec), value, None)

    async def _read_multipart(self, boundary: str) -> None:
        decoder = MultipartDecoder(boundary, self._rules.max_keys)
        part: _Part | None = None
        self._request.body.streams(self._rules.max_form_text_bytes + STREAMED_BYTES)
        async for chunk in self._request.body:
            for start in range(0, len(chunk), STEP_BYTES):
                for event in decoder.feed(chunk[start : start + STEP_BYTES]):
                    if isinstance(event, PartHead):
                        part = self._begin(event)
                        continue
                    assert part is not None
                    if isinstance(event, bytes):
                        await self._take(part, event)
                    else:
                        await self._end(part)
                        part = None
                if len(chunk) > STEP_BYTES:
                    await trio.lowlevel.checkpoint()
        decoder.finish()

    def _begin(self, head: PartHead) -> _Part:
        skipped = self._is_left_out(head.name) and head.is_file
        control = self._rules.control
        if control is not None and head.filename:
            control.check_declared(head.media_type or FALLBACK_TYPE)
        return _Part(head, skipped)

    def _is_left_out(self, name: str) -> bool:
        """Return whether a key is not to be stored: the underscore rule (docs/wire/areas.md, section 4).

        Raises:
            BadRequest: It is refused, or it is empty.
        """
        if not name:
            raise BadRequest("a key is empty")
        if name[0] != "_":
            return False
        if name != CHARSET_FIELD and self._system is None and not self._rules.ignore_underscore:
            raise BadRequest("keys may not begin with an underscore")
        return True

    async def _take(self, part: _Part, data: bytes) -> None:
        part.size += len(data)
        if not part.head.is_file:
            if part.size > self._rules.max_text_bytes:
                raise OverLimit("a value is too long")
            if self._text_size + part.size > self._rules.max_form_text_bytes:
                raise OverLimit("the values of this request are too long together")
            part.pieces.append(data)
            return
        if part.size > self._rules.max_file_bytes:
            raise OverLimit("a file is too long")
        if part.skipped:
            return
        if not part.judged:
            part.pieces.append(data)
            if part.size < HEAD_BYTES:
                return
            data = self._judge(part)
        await (part.upload or await self._start_upload(part)).write(data)

    def _judge(self, part: _Part) -> bytes:
        """Check the first bytes of a file against its declared type; return all that arrived so far."""
        data = b"".join(part.pieces)
        part.pieces.clear()
        part.judged = True
        if self._rules.control is not None:
            media_type = part.head.media_type or FALLBACK_TYPE
            if not part.head.filename:
                self._rules.control.check_declared(media_type)
            self._rules.control.check_content(media_type, data[:HEAD_BYTES])
        return data

    async def _start_upload(self, part: _Part | None) -> Upload:
        if self._uploads is None:
            self._uploads = AsyncExitStack()
        upload = await self._uploads.enter_async_context(self._new_upload())
        if part is not None:
            part.upload = upload
        return upload

    async def _end(self, part: _Part) -> None:
        head = part.head
        if not head.is_file:
            self._take_text(head.name, b"".join(part.pieces), head.codec)
            return
        # Browsers send this if no file was chosen.
        if part.skipped or (head.filename == "" and not part.size):
            return
        upload = part.upload or await self._start_upload(part)
        if not part.judged:
            await upload.write(self._judge(part))
        self._fields.append(
            (head.name, await self._finish(upload, head.filename or "", head.media_type or FALLBACK_TYPE))
        )

    async def _finish(self, upload: Upload, filename: str, media_type: str | None) -> NewFile:
        room = FORM_TEXT_BYTES - self._text_size - self._inline_size
        body = await upload.finish(inline=upload.size <= room)
        if isinstance(body, Inline):
            self._inline_size += body.size
        return NewFile(filename, media_type, body)

    def _take_text(self, name: str, data: bytes, codec: str | None) -> None:
        self._text_size += len(data)
        if len(data) > self._rules.max_text_bytes:
            raise OverLimit("a value is too long")
        if self._text_size > self._rules.max_form_text_bytes:
            raise OverLimit("the values of this request are too long together")
        if not self._is_left_out(name):
            self._fields.append(_Text(name, data, codec))
        elif name == CHARSET_FIELD:
            label = data.decode("latin-1").strip()
            if label:
                self._codec = codec_of(label)
        elif self._system is not None:
            self._system[name] = decode(data, codec)

    async def _values(self) -> dict[str, NewValue]:
        values: dict[str, NewValue] = {}
        for entry in self._fields:
            if isinstance(entry, tuple):
                values[entry[0]] = entry[1]
                continue
            text = decode(entry.data, entry.codec or self._codec)
            if len(text) * 4 > LONG_TEXT_BYTES and len(encoded := text.encode()) > LONG_TEXT_BYTES:
                upload = await self._start_upload(None)
                await upload.write(encoded)
                values[entry.name] = await self._finish(upload, "", None)
            else:
                values[entry.name] = text
        return values
