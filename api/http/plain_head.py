"""Plain request heads, which nearly all requests have, parsed with one regular expression.

A head is *plain* if it means one thing only and asks for nothing special: a method that the interfaces know,
a target in origin form, HTTP/1.1, one valid Host, no field twice, no Transfer-Encoding, Expect, Upgrade or
unusual Connection, a Content-Length of digits, fields in the common spelling `Name: value`. Every other head
is left to `api.server.http1`, so this module changes no leniency and no refusal. RFC 9112, sections 3, 5 and
6.
"""

from __future__ import annotations

import re
from typing import Final

HOST: Final = re.compile(
    rb"(?=.{0,261}$)(?:\[[0-9A-Za-z:.%]{2,64}\]|(?:[A-Za-z0-9_%-]{1,63}\.)*[A-Za-z0-9_%-]{0,63})(?::[0-9]{0,5})?"
)
"""A name of labels as DNS bounds them, or an address in brackets; a port. Looser forms have no meaning, and
Quart's routing fails on them.
"""

_REQUEST_LINE: Final = re.compile(rb"(GET|PUT|HEAD|POST|DELETE|PATCH) (/[\x21-\x7e]*) HTTP/1\.1\r\n")
_FIELD: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\x21-\x7e\x80-\xff][\x20-\x7e\x80-\xff]*)\r\n"
)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_FIELD_EXTRA: Final = 4  # ": " and CRLF

_SPECIAL: Final = (b"transfer-encoding", b"expect", b"upgrade", b"http2-settings", b"te", b"trailer")

_METHODS: Final = {name.encode(): name for name in ("GET", "PUT", "HEAD", "POST", "DELETE", "PATCH")}

_SEEN_MAX: Final = 256


class PlainHead:
    """A request's head: `headers` in order with names in lower case, `fields` the same by name.

    `length` is the Content-Length, None if there is none. `size` is the head's size in bytes.
    """

    __slots__ = ("_named", "fields", "headers", "length", "method", "target")

    def __init__(
        self,
        method: str,
        target: bytes,
        named: list[tuple[bytes, bytes]],
        headers: list[tuple[bytes, bytes]],
        fields: dict[bytes, bytes],
        length: int | None,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.fields = fields
        self.length = length
        self._named = named

    def cased(self) -> list[tuple[bytes, bytes]]:
        """Return the header fields with their names as the client wrote them."""
        return self._named


class PlainHeads:
    """Reads plain heads within the limits of a server.

    Args:
        max_headers: Most header fields.
        max_header_bytes: Most bytes of a whole head.

    """

    def __init__(self, max_headers: int, max_header_bytes: int) -> None:
        self._max_headers = max_headers
        self.max_bytes = max_header_bytes
        self._seen_hosts: set[bytes] = set()

    def read(self, data: bytes | bytearray, end: int) -> PlainHead | None:
        """Return the head in `data[:end]`, which ends with an empty line; None if it is not plain."""
        line = _REQUEST_LINE.match(data, 0, end)
        if line is None or end > self.max_bytes:
            return None
        start = line.end()
        named: list[tuple[bytes, bytes]] = _FIELD.findall(data, start, end)
        headers = [(name.lower(), value) for name, value in named]
        fields = dict(headers)
        count = len(headers)
        if len(fields) != count or count > self._max_headers:
            return None
        size = sum([len(name) + len(value) for name, value in named])
        if size + _FIELD_EXTRA * count + 2 != end - start or data.find(b" \r\n", start, end) >= 0:
            return None
        for name in _SPECIAL:
            if name in fields:
                return None
        if not self._is_host(fields.get(b"host")):
            return None
        connection = fields.get(b"connection")
        if connection is not None and connection.lower() != b"keep-alive":
            return None
        length = fields.get(b"content-length")
        if length is not None and _LENGTH.fullmatch(length) is None:
            return None
        method, target = line.groups()
        return PlainHead(
            _METHODS[bytes(method)],
            bytes(target),
            named,
            headers,
            fields,
            None if length is None else int(length),
        )

    def _is_host(self, host: bytes | None) -> bool:
        if host is None:
            return False
        if host in self._seen_hosts:
            return True
        if HOST.fullmatch(host) is None:
            return False
        if len(self._seen_hosts) >= _SEEN_MAX:
            self._seen_hosts.clear()
        self._seen_hosts.add(host)
        return True
