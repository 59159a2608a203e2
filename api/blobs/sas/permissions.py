"""The rights that each operation needs, as data (docs/wire/blobs.md, section 3.1), and their check.

The order of checks is Azure's: whether this kind of token may perform the operation at all, then services,
resource types and letters. All of them precede the check whether the resource exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from retain.api.blobs.sas.verify import Grant, GrantKind
from retain.api.blobs.wire.errors import AzureError


class Operation(Enum):
    """Every operation of the interface; the value is its name in Azure's documentation."""

    __hash__ = object.__hash__  # members are compared by identity; Enum's own hashes the name, in Python

    LIST_CONTAINERS = "List Containers"
    GET_SERVICE_PROPERTIES = "Get Blob Service Properties"
    SET_SERVICE_PROPERTIES = "Set Blob Service Properties"
    GET_ACCOUNT_INFORMATION = "Get Account Information"
    FIND_BLOBS = "Find Blobs by Tags"
    SUBMIT_BATCH = "Blob Batch"
    CREATE_CONTAINER = "Create Container"
    GET_CONTAINER_PROPERTIES = "Get Container Properties"
    SET_CONTAINER_METADATA = "Set Container Metadata"
    GET_CONTAINER_ACL = "Get Container ACL"
    SET_CONTAINER_ACL = "Set Container ACL"
    DELETE_CONTAINER = "Delete Container"
    LEASE_CONTAINER = "Lease Container"
    BREAK_CONTAINER_LEASE = "Lease Container (break)"
    LIST_BLOBS = "List Blobs"
    FIND_BLOBS_IN_CONTAINER = "Find Blobs by Tags in Container"
    PUT_BLOB = "Put Blob"
    PUT_BLOB_FROM_URL = "Put Blob from URL"
    PUT_BLOCK = "Put Block"
    PUT_BLOCK_FROM_URL = "Put Block from URL"
    PUT_BLOCK_LIST = "Put Block List"
    GET_BLOCK_LIST = "Get Block List"
    GET_BLOB = "Get Blob"
    GET_BLOB_PROPERTIES = "Get Blob Properties"
    GET_BLOB_METADATA = "Get Blob Metadata"
    SET_BLOB_PROPERTIES = "Set Blob Properties"
    SET_BLOB_METADATA = "Set Blob Metadata"
    SET_BLOB_TIER = "Set Blob Tier"
    GET_BLOB_TAGS = "Get Blob Tags"
    SET_BLOB_TAGS = "Set Blob Tags"
    COPY_BLOB = "Copy Blob"
    ABORT_COPY = "Abort Copy Blob"
    DELETE_BLOB = "Delete Blob"
    LEASE_BLOB = "Lease Blob"
    BREAK_BLOB_LEASE = "Lease Blob (break)"


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """One row: any one of the letters suffices; an empty text means that this kind of token never may.

    `service` holds for a service SAS, `account` for an account SAS whose `srt` has one of `types`. `on_blob`:
    the operation is on a blob, so a blob's own token may perform it. `creates` says that the letter c covers
    it only while no such blob exists.
    """

    service: str
    types: str
    account: str
    on_blob: bool = False
    creates: bool = False


RULES: Final[dict[Operation, PermissionRule]] = {
    Operation.LIST_CONTAINERS: PermissionRule("", "s", "l"),
    Operation.GET_SERVICE_PROPERTIES: PermissionRule("", "s", "r"),
    Operation.SET_SERVICE_PROPERTIES: PermissionRule("", "s", "w"),
    Operation.GET_ACCOUNT_INFORMATION: PermissionRule("r", "sco", "rwdlcup", on_blob=True),
    Operation.FIND_BLOBS: PermissionRule("", "o", "f"),
    # Nearly any token may send a batch: the requests inside are authorized on their own.
    Operation.SUBMIT_BATCH: PermissionRule("racwdxyl", "sco", "rwdxylacup"),
    Operation.CREATE_CONTAINER: PermissionRule("", "c", "cw"),
    Operation.GET_CONTAINER_PROPERTIES: PermissionRule("", "c", "r"),
    Operation.SET_CONTAINER_METADATA: PermissionRule("", "c", "w"),
    Operation.GET_CONTAINER_ACL: PermissionRule("", "", ""),
    Operation.SET_CONTAINER_ACL: PermissionRule("", "", ""),
    Operation.DELETE_CONTAINER: PermissionRule("", "c", "d"),
    Operation.LEASE_CONTAINER: PermissionRule("", "c", "w"),
    Operation.BREAK_CONTAINER_LEASE: PermissionRule("", "c", "wd"),
    Operation.LIST_BLOBS: PermissionRule("l", "c", "l"),
    Operation.FIND_BLOBS_IN_CONTAINER: PermissionRule("f", "co", "f"),
    Operation.PUT_BLOB: PermissionRule("cw", "o", "cw", on_blob=True, creates=True),
    Operation.PUT_BLOB_FROM_URL: PermissionRule("cw", "o", "cw", on_blob=True, creates=True),
    Operation.PUT_BLOCK: PermissionRule("w", "o", "w", on_blob=True),
    Operation.PUT_BLOCK_FROM_URL: PermissionRule("w", "o", "w", on_blob=True),
    Operation.PUT_BLOCK_LIST: PermissionRule("w", "o", "w", on_blob=True),
    Operation.GET_BLOCK_LIST: PermissionRule("r", "o", "r", on_blob=True),
    Operation.GET_BLOB: PermissionRule("r", "o", "r", on_blob=True),
    Operation.GET_BLOB_PROPERTIES: PermissionRule("r", "o", "r", on_blob=True),
    Operation.GET_BLOB_METADATA: PermissionRule("r", "o", "r", on_blob=True),
    Operation.SET_BLOB_PROPERTIES: PermissionRule("w", "o", "w", on_blob=True),
    Operation.SET_BLOB_METADATA: PermissionRule("w", "o", "w", on_blob=True),
    Operation.SET_BLOB_TIER: PermissionRule("w", "o", "w", on_blob=True),
    Operation.GET_BLOB_TAGS: PermissionRule("t", "o", "t", on_blob=True),
    Operation.SET_BLOB_TAGS: PermissionRule("t", "o", "t", on_blob=True),
    Operation.COPY_BLOB: PermissionRule("cw", "o", "cw", on_blob=True, creates=True),
    Operation.ABORT_COPY: PermissionRule("w", "o", "w", on_blob=True),
    Operation.DELETE_BLOB: PermissionRule("d", "o", "d", on_blob=True),
    Operation.LEASE_BLOB: PermissionRule("w", "o", "w", on_blob=True),
    Operation.BREAK_BLOB_LEASE: PermissionRule("wd", "o", "wd", on_blob=True),
}


def authorize(grant: Grant, operation: Operation, *, with_tags: bool = False) -> bool:
    """Check a verified grant against an operation; returns whether it may replace an existing blob.

    `with_tags` asks for the letter t as well: tags written along with a blob, or listed with include=tags
    (a service SAS only, docs/wire/blobs.md, section 3.1). Raises AzureError AuthorizationFailure,
    AuthorizationServiceMismatch, AuthorizationResourceTypeMismatch or AuthorizationPermissionMismatch.
    """
    if grant.kind is GrantKind.KEY:
        return True
    rule = RULES[operation]
    letters = rule.account if grant.kind is GrantKind.ACCOUNT else rule.service
    if not letters or (grant.kind is GrantKind.BLOB and not rule.on_blob):
        raise AzureError("AuthorizationFailure")
    if grant.kind is GrantKind.ACCOUNT:
        if "b" not in grant.services:
            raise AzureError("AuthorizationServiceMismatch")
        if grant.types.isdisjoint(rule.types):
            raise AzureError("AuthorizationResourceTypeMismatch")
    if grant.letters.isdisjoint(letters):
        raise AzureError("AuthorizationPermissionMismatch")
    needs_t = with_tags and not (operation is Operation.LIST_BLOBS and grant.kind is GrantKind.ACCOUNT)
    if needs_t and "t" not in grant.letters:
        raise AzureError("AuthorizationPermissionMismatch")
    return not rule.creates or "w" in grant.letters
