"""How forms are encoded: the Content-Type's parameters, and urlencoded fields."""

import re
from urllib.parse import unquote_to_bytes

from retain.api.http.message import BadRequest

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_TYPE_PARAMETER = re.compile(r';\s*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*("[^"]*"|[^;\s]*)')


def unescape(raw: bytes) -> bytes:
    """One half of an urlencoded field.

    Raises:
        BadRequest: A bad escape.
    """
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        if _BAD_ESCAPE.search(raw):
            raise BadRequest("bad percent escape in the form")
        raw = unquote_to_bytes(raw)
    return raw


def type_parameter(rest: str, wanted: str) -> str | None:
    """A parameter of the Content-Type, quoted or not.

    Raises:
        BadRequest: It is there twice.
    """
    found = [value for name, value in _TYPE_PARAMETER.findall(rest) if name.lower() == wanted]
    if len(found) > 1:
        raise BadRequest(f"the Content-Type has {wanted} twice")
    if not found:
        return None
    value: str = found[0]
    return value[1:-1] if value[:1] == '"' else value
