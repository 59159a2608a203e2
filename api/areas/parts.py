"""The headers of one part of a multipart form (RFC 7578 section 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from retain.api.areas.charsets import codec_of
from retain.api.http.message import BadRequest

_PARAMETER = re.compile(
    rb';[ \t]*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)[ \t]*=[ \t]*("(?:\\.|[^"\\])*"|[^;"]*)[ \t]*'
)
_RAW_QUOTED = re.compile(rb';[ \t]*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)[ \t]*=[ \t]*("[^"]*"|[^;"]*)[ \t]*')
# The usual head of a text field, parsed on a fast path with the same result.
_PLAIN_FIELD = re.compile(rb'Content-Disposition: form-data; name="([^\x00-\x1f"\\\x7f]*)"')
_HEADER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
MAX_HEADER_LINES = 32
"""Most lines of the headers of one part, continuations included; RFC 7578 knows three headers."""

_IDENTITY_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary"})


@dataclass(frozen=True, slots=True)
class PartHead:
    """The headers of a part.

    Attributes:
        name: The field's name: the key.
        filename: The file's name without folders; None if the part has none.
        media_type: Content-Type exactly as sent (bytes as ISO-8859-1), None if there is none.
        codec: Python's codec for the charset that the Content-Type declares, None if it declares none.

    """

    name: str
    filename: str | None
    media_type: str | None
    codec: str | None

    @property
    def is_file(self) -> bool:
        """Whether the bytes are kept as they came: the part has a file name, or a type that is no text's.

        A text without a declared charset is decoded by a guess; a part declared as binary never is.
        """
        return self.filename is not None or not _is_text(self.media_type)


_TEXT_TYPE = re.compile(r"text/.*|[^/]+/(?:[^/]*\+)?(?:json|xml)|application/x-www-form-urlencoded")


def _is_text(media_type: str | None) -> bool:
    """Return whether a part without a file name is a text: it has no type, `text/*`, JSON or XML."""
    essence = (media_type or "").partition(";")[0].strip().lower()
    return "/" not in essence or _TEXT_TYPE.fullmatch(essence) is not None


def parse_head(block: bytes) -> PartHead:
    """Return the headers of one part.

    Raises:
        BadRequest: A header breaks RFC 7578, or requests a transfer encoding that its section 4.7 abolished.
    """
    plain = _PLAIN_FIELD.fullmatch(block)
    if plain is not None:
        return PartHead(_unescaped(plain[1]), None, None, None)
    disposition = media_type = None
    for name, value in _header_lines(block):
        if name == b"content-disposition":
            if disposition is not None:
                raise BadRequest("a part has two Content-Disposition headers")
            disposition = value
        elif name == b"content-type":
            media_type = value
        elif name == b"content-transfer-encoding" and value.lower() not in _IDENTITY_ENCODINGS:
            raise BadRequest("a part has a Content-Transfer-Encoding")
    if disposition is None:
        raise BadRequest("a part has no Content-Disposition header")
    field, filename = _disposition(disposition)
    if media_type is None:
        return PartHead(field, filename, None, None)
    codec = None
    if filename is None and b"charset" in media_type.lower():
        charset = _parameters(media_type[media_type.find(b";") :]).get(b"charset")
        codec = codec_of(charset.decode("latin-1")) if charset is not None else None
    return PartHead(field, filename, media_type.decode("latin-1"), codec)


def _header_lines(block: bytes) -> list[tuple[bytes, bytes]]:
    """Return names in lower case and values.

    A line that begins with a blank continues the one before it (RFC 5322).
    """
    sent = block.split(b"\r\n")
    if len(sent) > MAX_HEADER_LINES:
        raise BadRequest("a part has too many headers")
    lines: list[list[bytes]] = []
    for line in sent:
        if lines and line[:1] in (b" ", b"\t"):
            lines[-1].append(line.strip(b" \t"))
        else:
            lines.append([line])
    headers = []
    for pieces in lines:
        name, colon, value = b" ".join(pieces).partition(b":")
        if not colon or not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
            raise BadRequest("a part has a malformed header")
        headers.append((name.lower(), value.strip(b" \t")))
    return headers


def _disposition(value: bytes) -> tuple[str, str | None]:
    """Return field name and file name of a Content-Disposition."""
    kind, semicolon, rest = value.partition(b";")
    if kind.strip(b" \t").lower() != b"form-data":
        raise BadRequest("a part is not form-data")
    parameters = _parameters(semicolon + rest)
    name = parameters.get(b"name")
    if name is None:
        raise BadRequest("a part has no name")
    filename = _extended(parameters.get(b"filename*", b""))
    if filename is None and b"filename" in parameters:
        filename = _unescaped(parameters[b"filename"])
    if filename is None:
        return _unescaped(name), None
    return _unescaped(name), _CONTROL_TEXT.sub(" ", re.split(r"[/\\]", filename)[-1])


def _unescaped(value: bytes) -> str:
    """Return a name as its form had it.

    Browsers escape three characters, and nothing else (WHATWG HTML, multipart/form-data encoding).
    """
    text = _text(value)
    return text if "%" not in text else _BROWSERS.sub(lambda escape: _ESCAPED[escape[0]], text)


_ESCAPED = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_BROWSERS = re.compile("|".join(_ESCAPED))
_CONTROL_TEXT = re.compile(r"[\x00-\x1f\x7f]")


def _parameters(rest: bytes) -> dict[bytes, bytes]:
    """Return the parameters of a `; name=value` list.

    A backslash escapes a quote or a backslash; before anything else it is literal, as in the paths that old
    browsers send.

    Raises:
        BadRequest: The list is malformed, or contains a parameter twice.
    """
    try:
        return _matched(_PARAMETER, rest)
    except BadRequest:
        # A quoted path that ends in a backslash: `filename="C:\"`.
        return _matched(_RAW_QUOTED, rest)


def _matched(pattern: re.Pattern[bytes], rest: bytes) -> dict[bytes, bytes]:
    parameters: dict[bytes, bytes] = {}
    position = 0
    while position < len(rest):
        match = pattern.match(rest, position)
        if match is None:
            if not rest[position:].strip(b"; \t"):
                break
            raise BadRequest("a part has a malformed header")
        name, value = match[1].lower(), match[2]
        if name in parameters:
            raise BadRequest("a part's header has a parameter twice")
        quoted = value[:1] == b'"'
        parameters[name] = re.sub(rb'\\(["\\])', rb"\1", value[1:-1]) if quoted else value.rstrip(b" \t")
        position = match.end()
    return parameters


def _text(value: bytes) -> str:
    """Decode UTF-8, as all browsers send it, else ISO-8859-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _extended(value: bytes) -> str | None:
    """Return the value of `filename*` (RFC 8187).

    None if it is malformed: section 4.3 of RFC 6266 says to ignore it then.
    """
    charset, _, rest = value.partition(b"'")
    _, quote, encoded = rest.partition(b"'")
    codec = charset.lower().decode("latin-1")
    if not quote or codec not in ("utf-8", "iso-8859-1"):
        return None
    try:
        return unquote_to_bytes(encoded).decode(codec)
    except UnicodeDecodeError:
        return None
