"""Strict readers of the XML that clients send (docs/wire/blobs.md, sections 2.3, 5.1, 5.5).

Through defusedxml: no document type, no entities; a cap on bytes and on depth, both checked while reading.
"""

from __future__ import annotations

from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.names import MAX_BLOCK_ID_BYTES, decode_base64
from retain.api.blobs.wire.tags import check_tags
from retain.engine.blobs.entries import MAX_BLOCKS

MAX_DEPTH: Final = 8
MAX_BLOCK_LIST_BYTES: Final = 8 * 1024 * 1024
MAX_SMALL_BYTES: Final = 256 * 1024

_KINDS: Final = {"Latest": "latest", "Committed": "committed", "Uncommitted": "uncommitted"}


class _ShallowBuilder(TreeBuilder):
    """Builds a tree and refuses one that is nested too deeply, before it is built."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise AzureError("InvalidXmlDocument")
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse_document(data: bytes, root: str, limit: int = MAX_SMALL_BYTES) -> Element:
    """Return the root element of a document, which must be called `root`. Raises AzureError.

    RequestBodyTooLarge over `limit` bytes; InvalidXmlDocument for a document that is not well formed, has a
    document type or entities of its own, is nested over MAX_DEPTH, or has another root.
    """
    if len(data) > limit:
        raise AzureError("RequestBodyTooLarge", extras=(("MaxLimit", str(limit)),))
    parser = DefusedXMLParser(target=_ShallowBuilder(), forbid_dtd=True)
    try:
        parser.feed(data)
        element = parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise AzureError("InvalidXmlDocument") from None
    if not isinstance(element, Element) or element.tag != root:
        raise AzureError("InvalidXmlDocument")
    return element


def parse_block_list(data: bytes) -> list[tuple[str, bytes]]:
    """Return the block list of Put Block List: (latest | committed | uncommitted, id) in order.

    An empty list is legal. Raises AzureError InvalidBlockList for a malformed id, BlockListTooLong, or as
    `parse_document`.
    """
    root = parse_document(data, "BlockList", MAX_BLOCK_LIST_BYTES)
    if len(root) > MAX_BLOCKS:
        raise AzureError("BlockListTooLong")
    blocks = []
    for child in root:
        kind = _KINDS.get(child.tag)
        if kind is None or len(child):
            raise AzureError("InvalidXmlDocument")
        block = decode_base64((child.text or "").strip())
        if not block or len(block) > MAX_BLOCK_ID_BYTES:
            raise AzureError("InvalidBlockList")
        blocks.append((kind, block))
    return blocks


def parse_tag_set(data: bytes) -> dict[str, str]:
    """Return the tags of Set Blob Tags; an empty TagSet clears.

    Raises AzureError as `parse_document` and `check_tags`.
    """
    sets = list(parse_document(data, "Tags"))
    if len(sets) != 1 or sets[0].tag != "TagSet":
        raise AzureError("InvalidXmlDocument")
    pairs = []
    for tag in sets[0]:
        texts = child_texts(tag)
        if tag.tag != "Tag" or texts.keys() != {"Key", "Value"}:
            raise AzureError("InvalidXmlDocument")
        pairs.append((texts["Key"], texts["Value"]))
    return check_tags(pairs)


def child_texts(element: Element) -> dict[str, str]:
    """Return the texts of an element's children by name.

    Raises AzureError InvalidXmlDocument for a child given twice.
    """
    texts: dict[str, str] = {}
    for child in element:
        if child.tag in texts or len(child):
            raise AzureError("InvalidXmlDocument")
        texts[child.tag] = child.text or ""
    return texts
