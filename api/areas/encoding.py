"""Decode forms: the Content-Type's parameters, and urlencoded fields."""

from __future__ import annotations

import re

from retain.api.areas.errors import OverLimit
from retain.api.http import percent
from retain.api.http.message import BadRequest

_TYPE_PARAMETER = re.compile(r';\s*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*("[^"]*"|[^;\s]*)')


def unescape(raw: bytes) -> bytes:
    """Return one half of an urlencoded field, or a stretch of it that cuts no escape, decoded.

    Raises:
        BadRequest: A bad escape.

    """
    try:
        return percent.unescape(raw.replace(b"+", b" "))
    except ValueError as error:
        raise BadRequest(f"{error} in the form") from None


class UrlencodedDecoder:
    """Decodes one urlencoded form: `feed` it piece by piece, `finish` at its end.

    A field is checked against its limits while it arrives, and its encoded form is never stored.

    Args:
        max_fields: Most fields taken, empty ones included.
        max_name_bytes: Bytes of a name, decoded.
        max_value_bytes: Bytes of a value, decoded.

    """

    def __init__(self, max_fields: int, max_name_bytes: int, max_value_bytes: int) -> None:
        self._fields_left = max_fields - 1
        self._max_name_bytes = max_name_bytes
        self._max_value_bytes = max_value_bytes
        self._name = bytearray()
        self._value: bytearray | None = None
        self._escape = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Return the fields that `data` completes, as names and values.

        Raises:
            BadRequest: A bad escape.
            OverLimit: Too many fields, or one is too long.

        """
        ends = data.count(b"&")
        self._fields_left -= ends
        if self._fields_left < 0:
            raise OverLimit("too many keys in one request")
        *ending, rest = data.split(b"&")
        fields: list[tuple[bytes, bytes]] = []
        for raw in ending:
            self._take(raw)
            fields += self.finish()
        self._take(rest)
        return fields

    def finish(self) -> list[tuple[bytes, bytes]]:
        """Return the field that ends here; nothing between two separators is none.

        Raises:
            BadRequest: It ends within an escape.

        """
        self._end_of_half()
        name, value = bytes(self._name), self._value
        self._name, self._value = bytearray(), None
        return [(name, bytes(value or b""))] if name or value is not None else []

    def _take(self, raw: bytes) -> None:
        """Take a piece of the current field."""
        if self._value is None:
            name, equals, raw = raw.partition(b"=")
            self._name += self._decoded(name)
            if len(self._name) > self._max_name_bytes:
                raise OverLimit("a key is too long")
            if not equals:
                return
            self._end_of_half()
            self._value = bytearray()
        self._value += self._decoded(raw)
        if len(self._value) > self._max_value_bytes:
            raise OverLimit("a value is too long")

    def _decoded(self, raw: bytes) -> bytes:
        raw = self._escape + raw
        cut = raw.find(b"%", max(0, len(raw) - 2))
        self._escape, raw = (raw[cut:], raw[:cut]) if cut >= 0 else (b"", raw)
        return unescape(raw)

    def _end_of_half(self) -> None:
        if self._escape:
            raise BadRequest("bad percent escape in the form")


def type_parameter(rest: str, wanted: str) -> str | None:
    """Return a parameter of the Content-Type, quoted or not.

    Raises:
        BadRequest: The parameter occurs twice.
    """
    found = [value for name, value in _TYPE_PARAMETER.findall(rest) if name.lower() == wanted]
    if len(found) > 1:
        raise BadRequest(f"the Content-Type has {wanted} twice")
    if not found:
        return None
    value: str = found[0]
    return value[1:-1] if value[:1] == '"' else value
