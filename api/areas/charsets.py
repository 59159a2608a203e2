"""Bytes to text, by the charsets that forms come in.

Only charsets of the web (WHATWG Encoding, IANA) are known here: Python's registry also holds
transformations such as ``hex``, ``zlib`` or ``unicode_escape``, which no client's label may reach.
"""

import codecs

from api.http import BadRequest

_KNOWN = frozenset(
    codecs.lookup(label).name
    for label in (
        *("us-ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be"),
        *(f"iso-8859-{number}" for number in (*range(1, 12), *range(13, 17))),
        *(f"windows-{number}" for number in range(1250, 1259)),
        *("cp874", "koi8-r", "koi8-u", "macintosh", "ibm866", "shift_jis", "euc-jp", "iso-2022-jp"),
        *("euc-kr", "gbk", "gb2312", "gb18030", "big5"),
    )
)


def codec_of(label: str) -> str:
    """The codec for a charset label of a client.

    Raises:
        BadRequest: An unknown charset.
    """
    try:
        name = codecs.lookup(label.strip().strip("\"'")).name
    except (LookupError, ValueError):
        name = ""
    if name not in _KNOWN:
        raise BadRequest("unknown charset")
    return name


def decode(data: bytes, codec: str | None) -> str:
    """The text of ``data``; without a declared codec UTF-8, and ISO-8859-1 where that fails (spec section 4).

    Raises:
        BadRequest: The bytes are not of the declared charset.
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
