"""The listings of the interface, built fast as text in the exact order.

See docs/wire/blobs.md, sections 5.1, 5.4 and 6. A page of 5,000 blobs is the hottest XML there is, so
elements are plain strings built from entries directly.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from retain.api.blobs.wire import etag
from retain.api.blobs.wire.escape import (
    DECLARATION,
    echo,
    escape,
    escape_quotes,
    is_legal,
    name_element,
    text_element,
)
from retain.api.blobs.wire.tags import tag_set
from retain.api.blobs.wire.times import http_date
from retain.engine.blobs.entries import BlobEntry, Block, ContainerEntry, ContentHeaders, Pairs, StagedBlocks

DEFAULT_TIER: Final = "Hot"
SMART_TIER: Final = "Smart"
"""The service chooses among the other tiers and reports which; here every blob is hot."""
_TAGS_SINCE: Final = "2020-04-08"


@dataclass(frozen=True, slots=True)
class ListingParameters:
    """The parameters in a listing's request, which the answer repeats."""

    prefix: str | None = None
    marker: str | None = None
    max_results: int | None = None
    delimiter: str | None = None


@dataclass(frozen=True, slots=True)
class Include:
    """The further contents of a listing of blobs, beyond names and properties."""

    metadata: bool = False
    tags: bool = False
    copy: bool = False


def joined(elements: Iterable[str]) -> bytes:
    """Return some elements of a page, encoded. A page may have 15 MB, too much to encode at once."""
    return "".join(elements).encode()


def blobs_page(
    endpoint: str, container: str, asked: ListingParameters, items: Iterable[bytes], next_marker: str | None
) -> bytes:
    """Return the body of List Blobs: `items` are `joined` ones of `blob_element` and `prefix_element`."""
    place = f' ServiceEndpoint="{escape_quotes(endpoint)}" ContainerName="{escape_quotes(container)}"'
    return _page(place, _asked(asked), "Blobs", items, next_marker)


def containers_page(
    endpoint: str, asked: ListingParameters, items: Iterable[bytes], next_marker: str | None
) -> bytes:
    """Return the body of List Containers: `items` are `joined` ones of `container_element`."""
    place = f' ServiceEndpoint="{escape_quotes(endpoint)}"'
    return _page(place, _asked(asked), "Containers", items, next_marker)


def found_page(
    endpoint: str, where: str, asked: ListingParameters, items: Iterable[bytes], next_marker: str | None
) -> bytes:
    """Return the body of Find Blobs by Tags: `items` are `joined` ones of `found_element`."""
    place = f' ServiceEndpoint="{escape_quotes(endpoint)}"'
    shown = f"<Where>{escape_quotes(where)}</Where>" if is_legal(where) else f"<Where>{echo(where)}</Where>"
    head = f"{_given('Marker', asked.marker)}{shown}{_given('MaxResults', asked.max_results)}"
    return _page(place, head, "Blobs", items, next_marker)


def _page(place: str, head: str, name: str, items: Iterable[bytes], next_marker: str | None) -> bytes:
    inner = list(items)
    before = f"{DECLARATION}<EnumerationResults{place}>{head}<{name}{'>' if inner else ' />'}"
    after = f"<NextMarker>{escape(next_marker)}</NextMarker>" if next_marker else "<NextMarker />"
    after = f"{f'</{name}>' if inner else ''}{after}</EnumerationResults>"
    return b"".join((before.encode(), *inner, after.encode()))  # one copy


def _asked(asked: ListingParameters) -> str:
    return (
        _given("Prefix", asked.prefix)
        + _given("Marker", asked.marker)
        + _given("MaxResults", asked.max_results)
        + _given("Delimiter", asked.delimiter)
    )


def _given(name: str, value: str | int | None) -> str:
    return "" if value is None else text_element(name, str(value))


def prefix_element(name: str) -> str:
    """Return `<BlobPrefix>`: everything below a delimiter."""
    return f"<BlobPrefix>{name_element(name)}</BlobPrefix>"


def blob_element(name: str, entry: BlobEntry, lease: tuple[str, str, str | None], include: Include) -> str:
    """Return `<Blob>` of a committed blob. `lease`: its status, state and, while leased, duration."""
    modified = http_date(entry.modified)
    created = modified if entry.created == entry.modified else http_date(entry.created)
    md5 = "" if entry.md5 is None else b64encode(entry.md5).decode("ascii")
    status, state, duration = lease
    return (
        f"<Blob>{name_element(name)}<Properties>"
        f"<Creation-Time>{created}</Creation-Time><Last-Modified>{modified}</Last-Modified>"
        f"<Etag>{etag.bare(entry.etag)}</Etag><Content-Length>{entry.size}</Content-Length>"
        f"{_content_elements(entry.headers, md5)}<BlobType>BlockBlob</BlobType>{_tier_elements(entry)}"
        f"<LeaseStatus>{status}</LeaseStatus><LeaseState>{state}</LeaseState>"
        f"{'' if duration is None else f'<LeaseDuration>{duration}</LeaseDuration>'}"
        f"{_copy_elements(entry) if include.copy and entry.copy else ''}"
        "<ServerEncrypted>true</ServerEncrypted>"
        f"{f'<TagCount>{len(entry.tags)}</TagCount>' if entry.tags else ''}</Properties>"
        f"{metadata_element(entry.metadata) if include.metadata else ''}"
        f"{tag_set(dict(entry.tags)) if include.tags and entry.tags else ''}</Blob>"
    )


def pending_element(name: str, pending: StagedBlocks) -> str:
    """Return `<Blob>` of a name that has only staged blocks, listed with include=uncommittedblobs."""
    return (
        f"<Blob>{name_element(name)}<Properties><Last-Modified>{http_date(pending.staged)}</Last-Modified>"
        f"<Etag>{etag.bare(0)}</Etag><Content-Length>0</Content-Length>"
        "<Content-Type>application/octet-stream</Content-Type><BlobType>BlockBlob</BlobType>"
        "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
        "<ServerEncrypted>true</ServerEncrypted></Properties></Blob>"
    )


def _content_elements(headers: ContentHeaders, md5: str) -> str:
    if headers.encoding or headers.language or headers.cache_control or headers.disposition:
        return (
            f"<Content-Type>{echo(headers.content_type or '')}</Content-Type>"
            f"<Content-Encoding>{echo(headers.encoding or '')}</Content-Encoding>"
            f"<Content-Language>{echo(headers.language or '')}</Content-Language><Content-CRC64 />"
            f"<Content-MD5>{md5}</Content-MD5>"
            f"<Cache-Control>{echo(headers.cache_control or '')}</Cache-Control>"
            f"<Content-Disposition>{echo(headers.disposition or '')}</Content-Disposition>"
        )
    return (
        f"<Content-Type>{echo(headers.content_type or '')}</Content-Type><Content-Encoding />"
        f"<Content-Language /><Content-CRC64 /><Content-MD5>{md5}</Content-MD5>"
        "<Cache-Control /><Content-Disposition />"
    )


def _tier_elements(entry: BlobEntry) -> str:
    if entry.tier is None:
        return f"<AccessTier>{DEFAULT_TIER}</AccessTier><AccessTierInferred>true</AccessTierInferred>"
    tier = f"<AccessTier>{entry.tier}</AccessTier>"
    if entry.tier == SMART_TIER:
        tier += f"<SmartAccessTier>{DEFAULT_TIER}</SmartAccessTier>"
    if entry.tier_changed is None:
        return tier
    return f"{tier}<AccessTierChangeTime>{http_date(entry.tier_changed)}</AccessTierChangeTime>"


def _copy_elements(entry: BlobEntry) -> str:
    copy = entry.copy
    assert copy is not None
    return (
        f"<CopyId>{copy.copy_id}</CopyId><CopyStatus>success</CopyStatus>"
        f"<CopySource>{echo(copy.source)}</CopySource><CopyProgress>{copy.size}/{copy.size}</CopyProgress>"
        f"<CopyCompletionTime>{http_date(copy.completed)}</CopyCompletionTime>"
    )


def metadata_element(metadata: Pairs) -> str:
    """Return `<Metadata>` with an element for each pair.

    The element's name marks a value that XML cannot hold.
    """
    if not metadata:
        return "<Metadata />"
    pairs = (
        f"<{name}>{escape(value)}</{name}>"
        if is_legal(value)
        else f"<x-ms-invalid-name>{name}</x-ms-invalid-name>"
        for name, value in metadata
    )
    return f"<Metadata>{''.join(pairs)}</Metadata>"


def container_element(
    name: str,
    entry: ContainerEntry,
    lease: tuple[str, str, str | None],
    *,
    metadata: bool,
    held: bool,
) -> str:
    """Return `<Container>`; its ETag is quoted here, unlike a blob's. `held`: it is under a legal hold."""
    status, state, duration = lease
    access = f"<PublicAccess>{entry.public_access}</PublicAccess>" if entry.public_access else ""
    return (
        f"<Container>{name_element(name)}<Properties>"
        f"<Last-Modified>{http_date(entry.modified)}</Last-Modified><Etag>{etag.quoted(entry.etag)}</Etag>"
        f"<LeaseStatus>{status}</LeaseStatus><LeaseState>{state}</LeaseState>"
        f"{'' if duration is None else f'<LeaseDuration>{duration}</LeaseDuration>'}{access}"
        "<DefaultEncryptionScope>$account-encryption-key</DefaultEncryptionScope>"
        "<DenyEncryptionScopeOverride>false</DenyEncryptionScopeOverride>"
        "<HasImmutabilityPolicy>false</HasImmutabilityPolicy>"
        f"<HasLegalHold>{'true' if held else 'false'}</HasLegalHold>"
        "<ImmutableStorageWithVersioningEnabled>false</ImmutableStorageWithVersioningEnabled></Properties>"
        f"{metadata_element(entry.metadata) if metadata else ''}</Container>"
    )


def found_element(name: str, container: str, named: Mapping[str, str], version: str) -> str:
    """Return `<Blob>` of a search, with the tags the query names.

    Version 2019-12-12 had a single value only.
    """
    if version >= _TAGS_SINCE:
        shown = tag_set(named)
    else:
        shown = f"<TagValue>{escape(next(iter(named.values()), ''))}</TagValue>"
    return f"<Blob>{name_element(name)}<ContainerName>{escape(container)}</ContainerName>{shown}</Blob>"


def block_list(committed: Iterable[Block] | None, uncommitted: Iterable[Block] | None) -> bytes:
    """Return the body of Get Block List; None leaves out a list that was not requested."""
    parts = [DECLARATION, "<BlockList>"]
    for name, blocks in (("CommittedBlocks", committed), ("UncommittedBlocks", uncommitted)):
        if blocks is None:
            continue
        inner = "".join(
            f"<Block><Name>{b64encode(block.block_id).decode('ascii')}</Name><Size>{block.size}</Size></Block>"
            for block in blocks
        )
        parts.append(f"<{name}>{inner}</{name}>" if inner else f"<{name} />")
    parts.append("</BlockList>")
    return "".join(parts).encode()
