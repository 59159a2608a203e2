"""File control: which types of files the storage accepts.

Options `allow-file-control` and `allowed-mime-types`. A file's type must be allowed as declared, and its
first bytes must not contradict the declaration. The signatures are those of the WHATWG MIME Sniffing standard
(section 6) and of the formats' own documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from retain.api.areas.errors import UnsupportedBody

HEAD_BYTES = 1024
"""First bytes of a file that are looked at; a tar archive shows itself at offset 257."""

_SIGNATURES: tuple[tuple[int, bytes, frozenset[str]], ...] = tuple(
    (offset, magic, frozenset(types.split()))
    for offset, magic, types in (
        (0, b"\x89PNG\r\n\x1a\n", "image/png image/apng image/x-png image/vnd.mozilla.apng"),
        (0, b"\xff\xd8\xff", "image/jpeg image/jpg image/pjpeg"),
        (0, b"GIF87a", "image/gif"),
        (0, b"GIF89a", "image/gif"),
        (0, b"BM", "image/bmp image/x-ms-bmp image/x-bmp"),
        (0, b"II*\x00", "image/tiff image/x-canon-cr2 image/x-adobe-dng"),
        (0, b"MM\x00*", "image/tiff image/x-adobe-dng"),
        (0, b"\x00\x00\x01\x00", "image/x-icon image/vnd.microsoft.icon"),
        (0, b"8BPS", "image/vnd.adobe.photoshop application/x-photoshop"),
        (8, b"WEBP", "image/webp"),
        (8, b"WAVE", "audio/wav audio/x-wav audio/wave audio/vnd.wave"),
        (8, b"AVI ", "video/x-msvideo video/avi video/msvideo"),
        (0, b"%PDF-", "application/pdf application/x-pdf"),
        (0, b"%!PS-Adobe-", "application/postscript application/eps image/x-eps"),
        (0, b"{\\rtf", "application/rtf text/rtf"),
        (0, b"ID3", "audio/mpeg audio/mp3 audio/aac"),
        (0, b"\xff\xfb", "audio/mpeg audio/mp3"),
        (0, b"OggS", "audio/ogg video/ogg application/ogg audio/opus audio/x-speex"),
        (0, b"fLaC", "audio/flac audio/x-flac"),
        (0, b"MThd", "audio/midi audio/x-midi"),
        (0, b"FORM", "audio/aiff audio/x-aiff"),
        (0, b"#!AMR", "audio/amr audio/amr-wb"),
        (0, b"\x1aE\xdf\xa3", "video/webm audio/webm video/x-matroska audio/x-matroska"),
        (0, b"FLV\x01", "video/x-flv"),
        (0, b"\x1f\x8b", "application/gzip application/x-gzip application/x-tgz"),
        (0, b"BZh", "application/x-bzip2 application/x-bzip"),
        (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (0, b"Rar!\x1a\x07", "application/vnd.rar application/x-rar-compressed application/x-rar"),
        (0, b"\xfd7zXZ\x00", "application/x-xz"),
        (257, b"ustar", "application/x-tar application/tar"),
        (0, b"MZ", "application/x-msdownload application/vnd.microsoft.portable-executable"),
        (0, b"\x7fELF", "application/x-elf application/x-executable application/x-sharedlib"),
        (0, b"\xca\xfe\xba\xbe", "application/java-vm application/x-java-class application/x-mach-binary"),
        (0, b"#!/", "text/x-shellscript application/x-sh text/x-sh text/x-python application/x-perl"),
        (0, b"wOFF", "font/woff application/font-woff"),
        (0, b"wOF2", "font/woff2"),
        (0, b"\x00asm", "application/wasm"),
    )
)  # fmt: skip

_ZIP = re.compile(
    r"application/(zip|x-zip-compressed|x-zip|epub\+zip|java-archive|x-java-archive|vnd\.android\.package-archive"
    r"|vnd\.openxmlformats-officedocument\..+|vnd\.oasis\.opendocument\..+|vnd\.ms-(word|excel|powerpoint)\..*12"
    r"|vnd\.apple\.(pages|numbers|keynote)|vnd\.google-earth\.kmz|.+\+zip)"
)
_OLE = re.compile(
    r"application/(msword|vnd\.ms-(excel|powerpoint|outlook|project|works)|x-msi|vnd\.visio|x-ole-storage)"
)
_ISO_MEDIA = re.compile(
    r"(video/(mp4|quicktime|3gpp2?|x-m4v)|audio/(mp4|x-m4a|3gpp2?|aac)|image/(heic|heif|avif)(-sequence)?)"
)
_MARKUP = re.compile(r"(text|application)/(html|xml|xhtml\+xml|[\w.+-]+\+xml)|image/svg\+xml")
_HTML = re.compile(
    rb"(?i)\A(?:\xef\xbb\xbf)?[\t\n\f\r ]*"
    rb"<(?:!doctype html|html|head|script|iframe|body|style|svg|h1|div|table|a|br|p|!--|\?xml)[\t\n\f\r />-]"
)
_FTYP_ALWAYS = frozenset({"image/heic", "image/heif", "image/avif", "video/mp4", "audio/mp4"})
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_BYTE_ORDER_MARKS = (b"\xfe\xff", b"\xff\xfe")
_KNOWN_TYPES = frozenset().union(*(types for _, _, types in _SIGNATURES))


def essence(media_type: str) -> str:
    """Return `type/subtype` in lower case, without parameters."""
    return media_type.partition(";")[0].strip().lower()


def contradicts(declared: str, head: bytes) -> bool:
    """Return whether the first bytes of a file contradict its declared type (an `essence`).

    They do if they are the signature of another type, if the declared type has a signature that they lack, or
    if it is a text and they contain bytes that no text has. An empty file contradicts nothing, and a type
    without a signature of its own agrees with bytes that are no known signature.
    """
    if not head:
        return False
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return not _ZIP.fullmatch(declared)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return not _OLE.fullmatch(declared)
    if head[4:8] == b"ftyp":
        return not _ISO_MEDIA.fullmatch(declared)
    if _HTML.match(head):
        return not _MARKUP.fullmatch(declared)
    for offset, magic, types in _SIGNATURES:
        if head.startswith(magic, offset) and (len(magic) > 2 or declared in types):
            return declared not in types
    if declared.startswith("text/"):
        return bool(_BINARY.search(head)) and not head.startswith(_BYTE_ORDER_MARKS)
    return (
        declared in _KNOWN_TYPES
        or declared in _FTYP_ALWAYS
        or bool(_ZIP.fullmatch(declared) or _OLE.fullmatch(declared))
    )


class FileControl:
    """The rules for the files of a request.

    Args:
        allowed: MIME types, compared without case and parameters; `image/*` allows all of a kind. None of
            them: no file.

    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(map(essence, allowed))

    def check_declared(self, media_type: str) -> None:
        """Check the type that a part declares.

        Raises:
            UnsupportedBody: It is not allowed.
        """
        declared = essence(media_type)
        if declared not in self._allowed and f"{declared.partition('/')[0]}/*" not in self._allowed:
            raise UnsupportedBody("files of this type are not taken here")

    def check_content(self, media_type: str, head: bytes) -> None:
        """Check the first bytes of a file against its declared type.

        Raises:
            UnsupportedBody: They belong to another type.
        """
        if contradicts(essence(media_type), head):
            raise UnsupportedBody("the content of a file does not match its declared type")
