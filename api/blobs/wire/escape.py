"""Text inside XML: escaping, and characters that XML 1.0 cannot represent (its section 2.2)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

_SPECIAL: Final = re.compile("[&<>\r]")
_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

DECLARATION: Final = '<?xml version="1.0" encoding="utf-8"?>'


def escape(text: str) -> str:
    """Escape for element content.

    A carriage return becomes a reference: parsers would turn it into a newline.
    """
    if _SPECIAL.search(text) is None:
        return text
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def escape_quotes(text: str) -> str:
    """Escape both kinds of quotes as well, as the service does in attributes and in `Where`."""
    return escape(text).replace("'", "&apos;").replace('"', "&quot;")


def echo(text: str) -> str:
    """Escape foreign input for an error body; what XML cannot hold becomes a question mark."""
    return escape(_ILLEGAL.sub("?", text))


def is_legal(text: str) -> bool:
    """Return whether XML 1.0 can hold every character of a text."""
    return _ILLEGAL.search(text) is None


def name_element(name: str) -> str:
    """Return `<Name>` of a blob or prefix.

    Percent-encoded and marked where XML cannot hold it (docs/wire/blobs.md, section 5.4).
    """
    return text_element("Name", name)


def text_element(tag: str, text: str) -> str:
    """Return an element that holds a name or a part of one; encoded as `name_element` says."""
    if _ILLEGAL.search(text) is None:
        return f"<{tag}>{escape(text)}</{tag}>"
    return f'<{tag} Encoded="true">{quote(text.encode("utf-8", "surrogatepass"), safe="/")}</{tag}>'
