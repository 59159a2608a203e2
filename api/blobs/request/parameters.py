"""The headers and query parameters of each operation: those with an effect, and those without.

A name that is neither is refused before anything is done. A client that sends a condition or a key and is
answered 201 must be able to rely on it. Headers outside `x-ms-` that are not conditions (Accept, User-Agent)
are HTTP's own and not checked here; nor are the parameters of a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from retain.api.blobs.sas.fields import ALL as SAS_PARAMETERS
from retain.api.blobs.sas.permissions import Operation as Op
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.names import METADATA_PREFIX
from retain.api.blobs.wire.query import Query

_CONDITIONS: Final = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
_LEASE: Final = frozenset({"x-ms-lease-id"})
_ON_BLOB: Final = _CONDITIONS | _LEASE | {"x-ms-if-tags"}
_TAG_CONDITIONS: Final = _LEASE | {"x-ms-if-tags", *(f"x-ms-blob-{name}" for name in _CONDITIONS)}
_SOURCE: Final = frozenset(
    {
        "x-ms-copy-source",
        "x-ms-source-if-tags",
        "x-ms-source-lease-id",
        *(f"x-ms-source-{name}" for name in _CONDITIONS),
    }
)
_CONTENT: Final = frozenset(
    {
        "x-ms-blob-content-type",
        "x-ms-blob-content-encoding",
        "x-ms-blob-content-language",
        "x-ms-blob-content-disposition",
        "x-ms-blob-content-md5",
        "x-ms-blob-cache-control",
    }
)
_NEW_BLOB: Final = _ON_BLOB | {METADATA_PREFIX, "x-ms-tags", "x-ms-access-tier"}
_BODY: Final = frozenset({"x-ms-content-crc64", "content-md5"})
_UPLOAD: Final = _BODY | {"x-ms-structured-body", "x-ms-structured-content-length"}
_LEASING: Final = frozenset(
    {
        "x-ms-lease-action",
        "x-ms-lease-id",
        "x-ms-proposed-lease-id",
        "x-ms-lease-duration",
        "x-ms-lease-break-period",
    }
)
_SOURCE_SUMS: Final = frozenset({"x-ms-source-content-md5", "x-ms-source-content-crc64"})

HEADERS: Final[dict[Op, frozenset[str]]] = {
    Op.LIST_CONTAINERS: frozenset(),
    Op.GET_SERVICE_PROPERTIES: frozenset(),
    Op.SET_SERVICE_PROPERTIES: _BODY,
    Op.GET_ACCOUNT_INFORMATION: frozenset(),
    Op.FIND_BLOBS: frozenset(),
    Op.SUBMIT_BATCH: frozenset(),
    Op.CREATE_CONTAINER: frozenset({METADATA_PREFIX, "x-ms-blob-public-access"}),
    Op.GET_CONTAINER_PROPERTIES: _LEASE,
    Op.SET_CONTAINER_METADATA: _LEASE | _CONDITIONS | {METADATA_PREFIX},
    Op.GET_CONTAINER_ACL: _LEASE,
    Op.SET_CONTAINER_ACL: _LEASE | _CONDITIONS | _BODY | {"x-ms-blob-public-access"},
    Op.DELETE_CONTAINER: _LEASE | _CONDITIONS,
    Op.LEASE_CONTAINER: _LEASING | _CONDITIONS,
    Op.BREAK_CONTAINER_LEASE: _LEASING | _CONDITIONS,
    Op.LIST_BLOBS: frozenset(),
    Op.FIND_BLOBS_IN_CONTAINER: frozenset(),
    Op.PUT_BLOB: _NEW_BLOB | _CONTENT | _UPLOAD | {"x-ms-blob-type"},
    Op.PUT_BLOB_FROM_URL: _NEW_BLOB
    | _CONTENT
    | _SOURCE
    | _SOURCE_SUMS
    | {"x-ms-blob-type", "x-ms-copy-source-tag-option", "x-ms-copy-source-blob-properties"},
    Op.PUT_BLOCK: _UPLOAD | _LEASE,
    Op.PUT_BLOCK_FROM_URL: _SOURCE | _SOURCE_SUMS | _LEASE | {"x-ms-source-range"},
    Op.PUT_BLOCK_LIST: _NEW_BLOB | _CONTENT | _BODY,
    Op.GET_BLOCK_LIST: _ON_BLOB,
    Op.GET_BLOB: _ON_BLOB
    | {
        "x-ms-range",
        "x-ms-range-get-content-md5",
        "x-ms-range-get-content-crc64",
        "x-ms-structured-body",
    },
    Op.GET_BLOB_PROPERTIES: _ON_BLOB,
    Op.GET_BLOB_METADATA: _ON_BLOB,
    Op.SET_BLOB_PROPERTIES: _ON_BLOB | _CONTENT,
    Op.SET_BLOB_METADATA: _ON_BLOB | {METADATA_PREFIX},
    Op.SET_BLOB_TIER: _ON_BLOB | {"x-ms-access-tier"},
    Op.GET_BLOB_TAGS: _TAG_CONDITIONS,
    Op.SET_BLOB_TAGS: _TAG_CONDITIONS | _BODY,
    Op.COPY_BLOB: _NEW_BLOB | _SOURCE | _SOURCE_SUMS | {"x-ms-requires-sync", "x-ms-copy-source-tag-option"},
    Op.ABORT_COPY: frozenset(),
    Op.DELETE_BLOB: _ON_BLOB | {"x-ms-delete-snapshots"},
    Op.LEASE_BLOB: _LEASING | _CONDITIONS | {"x-ms-if-tags"},
    Op.BREAK_BLOB_LEASE: _LEASING | _CONDITIONS | {"x-ms-if-tags"},
}
"""The supported headers of each operation, in lower case; `x-ms-meta-` means all that begin so."""

_COMMON_HEADERS: Final = frozenset(
    {
        "x-ms-version",
        "x-ms-date",
        "x-ms-client-request-id",
        "x-ms-return-client-request-id",
        # The kind of access of a bearer token; there are no bearer tokens here.
        "x-ms-file-request-intent",
        "x-ms-useragent",
    }
)

HARMLESS_HEADERS: Final[dict[Op, frozenset[str]]] = {
    # Python sends a blob's metadata with each of its blocks, and once more with the list that sets it.
    Op.PUT_BLOCK: frozenset({METADATA_PREFIX}),
    # The speed of restoring a blob from the archive: all blobs are on the same disk.
    Op.SET_BLOB_TIER: frozenset({"x-ms-rehydrate-priority"}),
    Op.COPY_BLOB: frozenset({"x-ms-rehydrate-priority"}),
    # Nothing is ever copied in the background.
    Op.ABORT_COPY: _LEASE | {"x-ms-copy-action"},
    # Said by the Content-Length of every answer in a structured body.
    Op.GET_BLOB: frozenset({"x-ms-structured-content-length"}),
}
"""Headers that an operation may be sent although they change nothing here."""

HARMLESS_VALUES: Final[dict[str, frozenset[str]]] = {
    "x-ms-legal-hold": frozenset({"false"}),
    "x-ms-seal-blob": frozenset({"false"}),
    "x-ms-requires-sync": frozenset({"false"}),
    "x-ms-deny-encryption-scope-override": frozenset({"false"}),
    "x-ms-default-encryption-scope": frozenset({"$account-encryption-key"}),
}
"""Values that request the default behaviour."""

_VERSION_OF_BLOB: Final = frozenset({"snapshot", "versionid"})
_PAGE: Final = frozenset({"prefix", "marker", "maxresults", "include"})

PARAMETERS: Final[dict[Op, frozenset[str]]] = {
    Op.LIST_CONTAINERS: _PAGE,
    Op.FIND_BLOBS: frozenset({"where", "marker", "maxresults"}),
    Op.FIND_BLOBS_IN_CONTAINER: frozenset({"where", "marker", "maxresults"}),
    Op.LIST_BLOBS: _PAGE | {"delimiter", "startfrom"},
    Op.PUT_BLOCK: frozenset({"blockid"}),
    Op.PUT_BLOCK_FROM_URL: frozenset({"blockid"}),
    Op.GET_BLOCK_LIST: _VERSION_OF_BLOB | {"blocklisttype"},
    Op.GET_BLOB: _VERSION_OF_BLOB,
    Op.GET_BLOB_PROPERTIES: _VERSION_OF_BLOB,
    Op.GET_BLOB_METADATA: _VERSION_OF_BLOB,
    Op.GET_BLOB_TAGS: _VERSION_OF_BLOB,
    Op.SET_BLOB_PROPERTIES: _VERSION_OF_BLOB,
    Op.SET_BLOB_METADATA: _VERSION_OF_BLOB,
    Op.SET_BLOB_TAGS: _VERSION_OF_BLOB,
    Op.SET_BLOB_TIER: _VERSION_OF_BLOB,
    Op.DELETE_BLOB: _VERSION_OF_BLOB,
    Op.LEASE_BLOB: _VERSION_OF_BLOB,
    Op.BREAK_BLOB_LEASE: _VERSION_OF_BLOB,
}
"""The supported query parameters of each operation, in lower case."""

_COMMON_PARAMETERS: Final = frozenset({"restype", "comp", "api-version", "timeout"})

HARMLESS_PARAMETERS: Final[dict[Op, frozenset[str]]] = {
    # Every copy has finished before it was answered, whatever its id.
    Op.ABORT_COPY: frozenset({"copyid"}),
    # Searches return current blobs only; there are no versions to include.
    Op.FIND_BLOBS: frozenset({"include"}),
    Op.FIND_BLOBS_IN_CONTAINER: frozenset({"include"}),
}
"""Query parameters that an operation may be sent although they change nothing here."""

_NONE: Final[frozenset[str]] = frozenset()

_TAKEN_HEADERS: Final = {
    operation: _COMMON_HEADERS | honoured | HARMLESS_HEADERS.get(operation, _NONE)
    for operation, honoured in HEADERS.items()
}
TAKEN_PARAMETERS: Final = {
    operation: _COMMON_PARAMETERS
    | SAS_PARAMETERS
    | PARAMETERS.get(operation, _NONE)
    | HARMLESS_PARAMETERS.get(operation, _NONE)
    for operation in Op
}
"""All query parameters that each operation may be sent, in lower case."""


def check_request(operation: Op, headers: Mapping[str, str], query: Query) -> None:
    """Refuse a request for an effect that its operation does not have. Empty values are ignored.

    Raises AzureError UnsupportedHeader, ConditionHeadersNotSupported or UnsupportedQueryParameter, naming it.
    """
    taken = _TAKEN_HEADERS[operation]
    for name in headers:
        if name not in taken and not takes_header(operation, name):
            value = headers[name]
            if value and value.lower() not in HARMLESS_VALUES.get(name, _NONE):
                code = "ConditionHeadersNotSupported" if name in _CONDITIONS else "UnsupportedHeader"
                raise AzureError(code, extras=(("HeaderName", name),))
    parameters = TAKEN_PARAMETERS[operation]
    for name, value in query.values.items():
        if value and name not in parameters:
            raise AzureError("UnsupportedQueryParameter", extras=(("QueryParameterName", name),))


def takes_header(operation: Op, name: str) -> bool:
    """Return whether an operation may be sent a header, by its lower-case name."""
    if not name.startswith("x-ms-") and name not in _CONDITIONS:
        return True
    taken = _TAKEN_HEADERS[operation]
    return name in taken or (name.startswith(METADATA_PREFIX) and METADATA_PREFIX in taken)
