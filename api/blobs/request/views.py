"""Entries of the engine in the form of response headers (docs/wire/blobs.md, section 5.3)."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from retain.api.blobs.sas.fields import OVERRIDE_HEADERS
from retain.api.blobs.wire import etag
from retain.api.blobs.wire.names import metadata_headers
from retain.api.blobs.wire.times import http_date
from retain.api.blobs.xml.write import DEFAULT_TIER, SMART_TIER
from retain.engine.blobs.entries import BlobEntry, ContainerEntry, ContentHeaders
from retain.engine.blobs.leases import INFINITE, Lease, LeaseState, locked, state_of

HeaderList = list[tuple[str, str]]

_AVAILABLE: Final = ("unlocked", "available", None)
_UNSPOKEN: Final = ContentHeaders()


def lease_of(lease: Lease | None, now: int) -> tuple[str, str, str | None]:
    """Return status, state and, while leased, duration of a lease as clients see it."""
    if lease is None:
        return _AVAILABLE
    state = state_of(lease, now)
    duration = ("infinite" if lease.duration == INFINITE else "fixed") if state is LeaseState.LEASED else None
    return "locked" if locked(lease, now) else "unlocked", state.value, duration


def lease_headers(lease: Lease | None, now: int) -> HeaderList:
    """Return the lease headers of blobs and containers."""
    status, state, duration = lease_of(lease, now)
    headers = [("x-ms-lease-status", status), ("x-ms-lease-state", state)]
    if duration is not None:
        headers.append(("x-ms-lease-duration", duration))
    return headers


def container_headers(entry: ContainerEntry, now: int, *, held: bool) -> HeaderList:
    """Return the headers of Get Container Properties beyond ETag, Last-Modified and metadata.

    `held`: it is under a legal hold.
    """
    headers = lease_headers(entry.lease, now)
    headers += [
        ("x-ms-has-immutability-policy", "false"),
        ("x-ms-has-legal-hold", "true" if held else "false"),
        ("x-ms-immutable-storage-with-versioning-enabled", "false"),
        ("x-ms-default-encryption-scope", "$account-encryption-key"),
        ("x-ms-deny-encryption-scope-override", "false"),
    ]
    if entry.public_access:
        headers.append(("x-ms-blob-public-access", entry.public_access))
    return headers


def blob_headers(entry: BlobEntry, now: int) -> HeaderList:
    """Return the headers of Get Blob and Get Blob Properties but for length, range and checksums."""
    headers = [
        ("Last-Modified", http_date(entry.modified)),
        ("ETag", etag.quoted(entry.etag)),
        ("Accept-Ranges", "bytes"),
        ("x-ms-creation-time", http_date(entry.created)),
        ("x-ms-blob-type", "BlockBlob"),
        *lease_headers(entry.lease, now),
        ("x-ms-server-encrypted", "true"),
    ]
    if entry.headers.content_type is not None:
        headers.append(("Content-Type", entry.headers.content_type))
    if entry.headers[1:] != _UNSPOKEN[1:]:
        headers += _content_headers(entry.headers)
    if entry.metadata:
        headers += metadata_headers(dict(entry.metadata))
    if entry.tags:
        headers.append(("x-ms-tag-count", str(len(entry.tags))))
    headers += _tier_headers(entry)
    if entry.copy is not None:
        headers += _copy_headers(entry)
    return headers


def md5_text(digest: bytes) -> str:
    """Return an MD5 in the form of headers."""
    return b64encode(digest).decode("ascii")


def override(headers: HeaderList, overrides: tuple[tuple[str, str], ...]) -> HeaderList:
    """Replace stored headers by the values of a SAS; what Latin-1 cannot hold is sent as UTF-8."""
    wanted = {OVERRIDE_HEADERS[name]: value.encode("utf-8").decode("latin-1") for name, value in overrides}
    kept = [(name, value) for name, value in headers if name not in wanted]
    return kept + list(wanted.items())


def _content_headers(stored: ContentHeaders) -> HeaderList:
    named = (
        ("Content-Encoding", stored.encoding),
        ("Content-Language", stored.language),
        ("Content-Disposition", stored.disposition),
        ("Cache-Control", stored.cache_control),
    )
    return [(name, value) for name, value in named if value is not None]


def _tier_headers(entry: BlobEntry) -> HeaderList:
    if entry.tier is None:
        return [("x-ms-access-tier", DEFAULT_TIER), ("x-ms-access-tier-inferred", "true")]
    headers = [("x-ms-access-tier", entry.tier)]
    if entry.tier == SMART_TIER:
        headers.append(("x-ms-smart-access-tier", DEFAULT_TIER))
    if entry.tier_changed is not None:
        headers.append(("x-ms-access-tier-change-time", http_date(entry.tier_changed)))
    return headers


def _copy_headers(entry: BlobEntry) -> HeaderList:
    copy = entry.copy
    assert copy is not None
    return [
        ("x-ms-copy-id", copy.copy_id),
        ("x-ms-copy-source", copy.source),
        ("x-ms-copy-status", "success"),
        ("x-ms-copy-progress", f"{copy.size}/{copy.size}"),
        ("x-ms-copy-completion-time", http_date(copy.completed)),
    ]
