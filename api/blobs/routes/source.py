"""The source of a copy: a blob of this server, named by URL (docs/wire/blobs.md, section 5.2).

Nothing is ever fetched from elsewhere. Copy Blob and Copy Blob From URL may read a source in the caller's own
account with the account's key; every other source needs its own token, checked exactly as for a direct
request.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from retain.api.blobs.request.authentication import verify_token
from retain.api.blobs.request.call import Call
from retain.api.blobs.sas.permissions import Operation, authorize
from retain.api.blobs.sas.token import parse_token
from retain.api.blobs.sas.verify import GrantKind, SignedResource
from retain.api.blobs.wire.address import Address, host_account, parse_address
from retain.api.blobs.wire.engine_errors import from_engine
from retain.api.blobs.wire.errors import AzureError, invalid_header
from retain.api.blobs.wire.names import lease_id
from retain.api.http.message import BadRequest, decode_segment
from retain.engine import NotFound, PreconditionFailed
from retain.engine.blobs import queries
from retain.engine.blobs.entries import BlobEntry


@dataclass(frozen=True, slots=True)
class Source:
    """A readable source: the blob, and its URL without the query, so without any token."""

    entry: BlobEntry
    url: str


async def find_source(call: Call, *, with_tags: bool = False, fetched: bool = False) -> Source:
    """Find and authorize what `x-ms-copy-source` names.

    Args:
        call: The request.
        with_tags: Its tags are to be copied as well.
        fetched: The operation reads the source as any client would, as Put Blob From URL and Put Block From
            URL do at Azure: it needs a token even in the caller's own account, and an unmet condition is the
            source's own refusal.

    Raises AzureError InvalidHeaderValue, CannotVerifyCopySource (403 or 404), SourceConditionNotMet,
    ConditionNotMet for one on tags.
    """
    text = call.header("x-ms-copy-source") or ""
    address, query, url = _parse(call, text)
    await _authorize(call, address, query, with_tags=with_tags, fetched=fetched)
    container, blob = address.container or "", address.blob or ""
    conditions = call.conditions(prefix="x-ms-source-", write=True)
    lease = lease_id(call.header, "x-ms-source-lease-id")
    try:
        entry = await call.engine.read(
            lambda state, now: queries.get_blob(
                state.blobs, address.account, container, blob, now, lease=lease
            )
        )
    except NotFound as error:
        raise _unverified(from_engine(error), 404) from None
    except PreconditionFailed:
        raise AzureError("SourceConditionNotMet", message="The lease ID does not match the source.") from None
    try:
        conditions.check(entry)
    except PreconditionFailed as error:
        if fetched:
            raise _unverified(from_engine(error), 412) from None
        if error.reason == "condition":
            raise AzureError("SourceConditionNotMet") from None
        raise from_engine(error) from None  # of tags, the code is the same on both sides
    return Source(entry, url)


def _parse(call: Call, text: str) -> tuple[Address, str, str]:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        raw = parts.path.encode("latin-1")
        segments = [decode_segment(piece) for piece in raw[raw.startswith(b"/") :].split(b"/")]
    except (ValueError, BadRequest):
        raise invalid_header("x-ms-copy-source", text.partition("?")[0]) from None
    shown = text.partition("?")[0].partition("#")[0]
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or len(text) > 8192:
        raise invalid_header("x-ms-copy-source", shown)
    account = host_account(host, call.site.host_suffixes)
    netloc = f"[{host}]" if ":" in host else host
    netloc = netloc if port is None else f"{netloc}:{port}"
    if account is None and _without_default_port(netloc) not in _own_hosts(call):
        raise AzureError("CannotVerifyCopySource", message="The copy source is not on this server.")
    address = parse_address(segments, account, None, None)
    if address.container is None or not address.blob:
        raise invalid_header("x-ms-copy-source", shown)
    return address, parts.query, shown


def _own_hosts(call: Call) -> frozenset[str]:
    """Return the names of this server, with their ports: a copy's source must be at one of them."""
    base = call.site.external.base(call.request)
    asked = (
        call.request.authority.decode("latin-1") if call.request.authority else call.headers.get("host", "")
    )
    names = (asked, base.partition("://")[2].partition("/")[0])
    return frozenset(_without_default_port(name.lower()) for name in names)


def _without_default_port(name: str) -> str:
    return name.removesuffix(":80").removesuffix(":443")


async def _authorize(call: Call, address: Address, query: str, *, with_tags: bool, fetched: bool) -> None:
    keys = call.site.keys_of(address.account)
    if keys is None:
        raise AzureError("CannotVerifyCopySource", message="The specified account does not exist.")
    try:
        raw = query.encode("latin-1")
        token = parse_token(raw)
        if token is None:
            if address.account == call.account and call.grant.kind is GrantKind.KEY and not fetched:
                return
            raise AzureError("NoAuthenticationInformation")
        target = SignedResource(address.account, address.container, address.blob)
        facts = call.site.origin.facts(call.request, call.engine.now())
        grant = await verify_token(call.engine, token, target, keys, facts)
        authorize(grant, Operation.GET_BLOB, with_tags=with_tags)
    except AzureError as error:
        raise _unverified(error, 401 if error.status == 401 else 403) from None


def _unverified(cause: AzureError, status: int) -> AzureError:
    """Return the refusal for a source that itself answers `cause`, which it includes, as at Azure."""
    headers = (
        ("x-ms-copy-source-status-code", str(cause.status)),
        ("x-ms-copy-source-error-code", cause.code),
    )
    extras = (
        ("CopySourceStatusCode", str(cause.status)),
        ("CopySourceErrorCode", cause.code),
        ("CopySourceErrorMessage", cause.message),
    )
    return AzureError(
        "CannotVerifyCopySource",
        status=status,
        message=cause.message,
        detail=cause.detail,
        extras=extras,
        headers=headers,
    )
