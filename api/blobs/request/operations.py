"""The operation of a request: a table over level, restype, comp and method (docs/wire/blobs.md, section 5).

Operations of Azure that this server does not offer are in the table too, so that they are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from retain.api.blobs.sas.permissions import Operation as Op
from retain.api.blobs.wire.address import Address
from retain.api.blobs.wire.errors import AzureError, invalid_parameter, not_implemented

_GET: Final = ("GET", "HEAD")

Table = dict[tuple[str, str, str], Op]


def _rows(restype: str, comp: str, operations: Mapping[str | tuple[str, ...], Op]) -> Table:
    table: Table = {}
    for methods, operation in operations.items():
        for method in (methods,) if isinstance(methods, str) else methods:
            table[restype, comp, method] = operation
    return table


_ANYWHERE: Final = _rows("account", "properties", {_GET: Op.GET_ACCOUNT_INFORMATION})

ACCOUNT: Final[Table] = {
    **_ANYWHERE,
    **_rows("", "list", {"GET": Op.LIST_CONTAINERS}),
    **_rows("", "batch", {"POST": Op.SUBMIT_BATCH}),
    # JavaScript's client treats an account named in the path as a container.
    **_rows("container", "batch", {"POST": Op.SUBMIT_BATCH}),
    **_rows("", "blobs", {"GET": Op.FIND_BLOBS}),
    **_rows("service", "properties", {"GET": Op.GET_SERVICE_PROPERTIES, "PUT": Op.SET_SERVICE_PROPERTIES}),
}

CONTAINER: Final[Table] = {
    **_ANYWHERE,
    **_rows("", "blobs", {"GET": Op.FIND_BLOBS}),
    **_rows(
        "container",
        "",
        {_GET: Op.GET_CONTAINER_PROPERTIES, "PUT": Op.CREATE_CONTAINER, "DELETE": Op.DELETE_CONTAINER},
    ),
    **_rows("container", "metadata", {_GET: Op.GET_CONTAINER_PROPERTIES, "PUT": Op.SET_CONTAINER_METADATA}),
    **_rows("container", "acl", {_GET: Op.GET_CONTAINER_ACL, "PUT": Op.SET_CONTAINER_ACL}),
    **_rows("container", "lease", {"PUT": Op.LEASE_CONTAINER}),
    **_rows("container", "list", {"GET": Op.LIST_BLOBS}),
    **_rows("container", "batch", {"POST": Op.SUBMIT_BATCH}),
    **_rows("container", "blobs", {"GET": Op.FIND_BLOBS_IN_CONTAINER}),
}

BLOB: Final[Table] = {
    **_ANYWHERE,
    **_rows(
        "",
        "",
        {"GET": Op.GET_BLOB, "HEAD": Op.GET_BLOB_PROPERTIES, "PUT": Op.PUT_BLOB, "DELETE": Op.DELETE_BLOB},
    ),
    **_rows("", "metadata", {_GET: Op.GET_BLOB_METADATA, "PUT": Op.SET_BLOB_METADATA}),
    **_rows("", "properties", {"PUT": Op.SET_BLOB_PROPERTIES}),
    **_rows("", "tags", {"GET": Op.GET_BLOB_TAGS, "PUT": Op.SET_BLOB_TAGS}),
    **_rows("", "block", {"PUT": Op.PUT_BLOCK}),
    **_rows("", "blocklist", {"GET": Op.GET_BLOCK_LIST, "PUT": Op.PUT_BLOCK_LIST}),
    **_rows("", "lease", {"PUT": Op.LEASE_BLOB}),
    **_rows("", "tier", {"PUT": Op.SET_BLOB_TIER}),
    **_rows("", "copy", {"PUT": Op.ABORT_COPY}),
}

_BLOCK_BLOBS_ONLY: Final = "There are block blobs here, no page blobs and no append blobs."
_OTHER_TYPES: Final = frozenset({"pageblob", "appendblob"})
_FINAL: Final = "A deletion is final here, whatever the delete retention policy says: nothing comes back."
_HOLDS: Final = "Only an operator holds data, with a reason: `retain hold add`, or the console."

NOT_OFFERED: Final = {
    "stats": "The secondary location is this server itself: nothing is replicated.",
    "userdelegationkey": "There are no user delegation keys: the keys of the account sign tokens.",
    "undelete": _FINAL,
    "snapshot": "There are no snapshots: a write replaces the content for good.",
    "rename": "A container cannot be renamed.",
    "query": "Contents are not searched: read the blob.",
    "expiry": "The retention of its container decides when a blob ends: `retain tenant retention`.",
    "seal": _BLOCK_BLOBS_ONLY,
    "page": _BLOCK_BLOBS_ONLY,
    "pagelist": _BLOCK_BLOBS_ONLY,
    "appendblock": _BLOCK_BLOBS_ONLY,
    "incrementalcopy": _BLOCK_BLOBS_ONLY,
    "immutabilityPolicies": _HOLDS,
    "legalhold": _HOLDS,
}
"""Values of comp that Azure knows and this server refuses with 501; the answer names the reason."""


def resolve(address: Address, method: str, restype: str, comp: str, headers: Mapping[str, str]) -> Op:
    """Return the operation of a request. `headers` by lower-case names.

    Raises AzureError NotImplemented for an operation that only Azure has, UnsupportedHttpVerb for a method
    that the resource does not have, InvalidQueryParameterValue for an unknown comp or restype.
    """
    table = ACCOUNT if address.container is None else CONTAINER if address.blob is None else BLOB
    operation = table.get((restype, comp, method))
    if operation is None:
        raise _refusal(table, restype, comp)
    if operation is Op.PUT_BLOB and headers.get("x-ms-blob-type", "").lower() in _OTHER_TYPES:
        raise not_implemented(_BLOCK_BLOBS_ONLY)
    if headers.get("x-ms-copy-source"):
        if operation is Op.PUT_BLOB:
            return Op.PUT_BLOB_FROM_URL if headers.get("x-ms-blob-type") else Op.COPY_BLOB
        if operation is Op.PUT_BLOCK:
            return Op.PUT_BLOCK_FROM_URL
    if headers.get("x-ms-lease-action", "").lower() == "break":
        return {Op.LEASE_BLOB: Op.BREAK_BLOB_LEASE, Op.LEASE_CONTAINER: Op.BREAK_CONTAINER_LEASE}.get(
            operation, operation
        )
    return operation


def _refusal(table: Table, restype: str, comp: str) -> AzureError:
    if comp in NOT_OFFERED:
        return not_implemented(NOT_OFFERED[comp])
    methods = sorted({known for kind, part, known in table if (kind, part) == (restype, comp)})
    if methods:
        return AzureError("UnsupportedHttpVerb", headers=(("Allow", ", ".join(methods)),))
    known_comps = {part for kind, part, _ in table if kind == restype}
    if not known_comps:
        return invalid_parameter("restype", restype, "No such type of resource here.")
    return invalid_parameter("comp", comp, "No such component here.")
