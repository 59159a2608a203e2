"""Bytes to text, by the charsets that forms come in.

Only charsets of the web (WHATWG Encoding, IANA) are known here: Python's registry also holds
transformations such as `hex`, `zlib` or `unicode_escape`, which no client's label may reach.
"""

from __future__ import annotations

import codecs

from retain.api.http.message import BadRequest

KNOWN = frozenset(
    (
        *("ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be"),
        *(f"iso8859-{number}" for number in (*range(1, 12), *range(13, 17))),
        *(f"cp{number}" for number in (866, 874, *range(1250, 1259))),
        *("koi8-r", "koi8-u", "mac-roman", "shift_jis", "euc_jp", "iso2022_jp"),
        *("euc_kr", "gbk", "gb2312", "gb18030", "big5"),
    )
)
"""By the names of Python's codecs: asking for each would import them all."""


def codec_of(label: str) -> str:
    """Return the codec for a client's charset label.

    Raises:
        BadRequest: An unknown charset.
    """
    try:
        name = codecs.lookup(label.strip().strip("\"'")).name
    except (LookupError, ValueError):
        name = ""
    if name not in KNOWN:
        raise BadRequest("unknown charset")
    return name


def decode(data: bytes, codec: str | None) -> str:
    """Return the text of `data`, decoded by `codec`.

    Without a declared codec it is UTF-8, and ISO-8859-1 where that fails (docs/wire/areas.md, section 4).

    Raises:
        BadRequest: The bytes are invalid in the declared charset.
    """
    if codec is None:
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("iso-8859-1")
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        raise BadRequest("a value is not of its declared charset") from None
