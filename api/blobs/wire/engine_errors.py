"""The engine's refusals in Azure's terms: one table (docs/wire/blobs.md, section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from retain.api.blobs.wire.errors import AzureError
from retain.api.http.errors import BodyTooLarge as BodyTooLarge
from retain.api.http.message import RequestError
from retain.api.refusals import RETRY_SOON
from retain.engine import EngineError, Exhausted

TABLE: Final[dict[tuple[str, str], str]] = {
    ("not-found", "container"): "ContainerNotFound",
    ("not-found", "blob"): "BlobNotFound",
    ("conflict", "container-exists"): "ContainerAlreadyExists",
    ("conflict", "being-deleted"): "ContainerBeingDeleted",
    ("conflict", "blob-exists"): "BlobAlreadyExists",
    ("conflict", "block-count"): "BlockCountExceedsLimit",
    ("conflict", "lease-present"): "LeaseAlreadyPresent",
    ("conflict", "lease-not-present"): "LeaseNotPresentWithLeaseOperation",
    ("conflict", "lease-mismatch"): "LeaseIdMismatchWithLeaseOperation",
    ("conflict", "lease-breaking-acquire"): "LeaseIsBreakingAndCannotBeAcquired",
    ("conflict", "lease-breaking-change"): "LeaseIsBreakingAndCannotBeChanged",
    ("conflict", "lease-broken"): "LeaseIsBrokenAndCannotBeRenewed",
    ("conflict", "held"): "BlobImmutableDueToPolicy",
    ("forbidden", "overwrite"): "UnauthorizedBlobOverwrite",
    ("precondition-failed", "condition"): "ConditionNotMet",
    ("precondition-failed", "tag-condition"): "ConditionNotMet",
    ("precondition-failed", "lease-missing"): "LeaseIdMissing",
    ("precondition-failed", "lease-mismatch"): "LeaseIdMismatchWithBlobOperation",
    ("precondition-failed", "lease-not-present"): "LeaseNotPresentWithBlobOperation",
    ("precondition-failed", "lease-lost"): "LeaseLost",
    ("invalid", "block-list"): "InvalidBlockList",
    ("invalid", "block-id"): "InvalidBlobOrBlock",
    ("invalid", "lease-id"): "MissingRequiredHeader",
    ("invalid", "lease-duration"): "InvalidHeaderValue",
    ("invalid", "policy-limit"): "InvalidXmlDocument",
    ("too-large", "block-list"): "BlockListTooLong",
    ("too-large", "batch"): "RequestBodyTooLarge",
}
"""Code and reason of an engine error → Azure's code."""

BY_CLASS: Final[dict[str, str]] = {
    "not-found": "BlobNotFound",
    "conflict": "InvalidBlobType",
    "forbidden": "AuthorizationFailure",
    "precondition-failed": "ConditionNotMet",
    "invalid": "InvalidInput",
    "too-large": "RequestBodyTooLarge",
    "quota-exceeded": "InsufficientAccountStorage",
    "storage-full": "InsufficientAccountStorage",
    "storage-failed": "ServerBusy",
    "closed": "ServerBusy",
    "exhausted": "ServerBusy",
    "unavailable": "ServerBusy",
    "not-ready": "ServerBusy",
}
"""The code alone, where a reason is new to this table."""

AT_CONTAINER: Final[dict[str, str]] = {
    "BlobImmutableDueToPolicy": "ContainerImmutableDueToPolicy",
    "LeaseIdMismatchWithBlobOperation": "LeaseIdMismatchWithContainerOperation",
    "LeaseNotPresentWithBlobOperation": "LeaseNotPresentWithContainerOperation",
}
"""Codes that name the kind of resource."""

_EXTRAS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "lease-id": (("HeaderName", "x-ms-lease-id"),),
    "lease-duration": (("HeaderName", "x-ms-lease-duration"),),
}

_BY_STATUS: Final = {
    400: "InvalidUri",
    408: "OperationTimedOut",
    413: "RequestBodyTooLarge",
    431: "InvalidInput",
    503: "ServerBusy",
}


def from_engine(error: EngineError, *, at_container: bool = False) -> AzureError:
    """Return an engine's refusal in Azure's terms; `at_container` for an operation on a container itself."""
    code = TABLE.get((error.code, error.reason)) or BY_CLASS.get(error.code, "InternalError")
    if at_container:
        code = AT_CONTAINER.get(code, code)
    headers = [RETRY_SOON] if isinstance(error, Exhausted) else []
    return AzureError(code, extras=_EXTRAS.get(error.reason, ()), headers=headers)


def from_request(error: RequestError) -> AzureError:
    """Return an error in the bytes of a request in Azure's terms."""
    code = _BY_STATUS.get(error.status, "InvalidInput")
    extras = (("MaxLimit", str(error.limit)),) if isinstance(error, BodyTooLarge) else ()
    headers: Sequence[tuple[str, str]] = getattr(error, "headers", ())
    return AzureError(code, status=error.status, extras=extras, headers=headers)
