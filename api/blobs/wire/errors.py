"""The errors of this interface: one table, one exception, one rendering (docs/wire/blobs.md, section 8).

The table maps Azure's code to its usual status and message; a few codes have a second status, which the place
that raises names. Clients read the code from the XML body, or from `x-ms-error-code` where there is no body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from retain.api.blobs.wire.escape import DECLARATION, echo
from retain.api.blobs.wire.times import iso_date


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table: a code's default status, and its message."""

    status: int
    message: str


TABLE: Final[dict[str, _Row]] = {
    "AuthenticationFailed": _Row(
        403,
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed "
        "correctly including the signature.",
    ),
    "NoAuthenticationInformation": _Row(
        401,
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate "
        "header.",
    ),
    "InvalidAuthenticationInfo": _Row(
        400,
        "Authentication information is not given in the correct format. "
        "Check the value of Authorization header.",
    ),
    "AuthorizationFailure": _Row(403, "This request is not authorized to perform this operation."),
    "AuthorizationPermissionMismatch": _Row(
        403, "This request is not authorized to perform this operation using this permission."
    ),
    "AuthorizationServiceMismatch": _Row(
        403, "This request is not authorized to perform this operation using this service."
    ),
    "AuthorizationResourceTypeMismatch": _Row(
        403, "This request is not authorized to perform this operation using this resource type."
    ),
    "AuthorizationProtocolMismatch": _Row(
        403, "This request is not authorized to perform this operation using this protocol."
    ),
    "AuthorizationSourceIPMismatch": _Row(
        403, "This request is not authorized to perform this operation using this source IP."
    ),
    "InsufficientAccountPermissions": _Row(
        403,
        "Write operations to the secondary location are not allowed. Send them to the account's address "
        "without -secondary.",
    ),
    "UnauthorizedBlobOverwrite": _Row(403, "This request is not authorized to perform blob overwrites."),
    "ContainerNotFound": _Row(404, "The specified container does not exist."),
    "BlobNotFound": _Row(404, "The specified blob does not exist."),
    "ResourceNotFound": _Row(404, "The specified resource does not exist."),
    "ContainerAlreadyExists": _Row(409, "The specified container already exists."),
    "ContainerBeingDeleted": _Row(409, "The specified container is being deleted. Try operation later."),
    "BlobAlreadyExists": _Row(409, "The specified blob already exists."),
    "BlobImmutableDueToPolicy": _Row(
        409, "This operation is not permitted as the blob is immutable due to a policy."
    ),
    "ContainerImmutableDueToPolicy": _Row(
        409, "This operation is not permitted as the container is immutable due to a policy."
    ),
    "InvalidBlobType": _Row(409, "The blob type is invalid for this operation."),
    "SnapshotsPresent": _Row(409, "This operation is not permitted while the blob has snapshots."),
    "BlockCountExceedsLimit": _Row(
        409, "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks."
    ),
    "FeatureVersionMismatch": _Row(
        409, "The operation for AppendBlob or PageBlob requires a feature that this account does not have."
    ),
    "ConditionNotMet": _Row(412, "The condition specified using HTTP conditional header(s) is not met."),
    "SourceConditionNotMet": _Row(
        412, "The source condition specified using HTTP conditional header(s) is not met."
    ),
    "TargetConditionNotMet": _Row(
        412, "The target condition specified using HTTP conditional header(s) is not met."
    ),
    "LeaseIdMissing": _Row(
        412, "There is currently a lease on the resource and no lease ID was specified in the request."
    ),
    "LeaseIdMismatchWithBlobOperation": _Row(
        412, "The lease ID specified did not match the lease ID for the blob."
    ),
    "LeaseNotPresentWithBlobOperation": _Row(412, "There is currently no lease on the blob."),
    "LeaseNotPresentWithContainerOperation": _Row(412, "There is currently no lease on the container."),
    "LeaseIdMismatchWithContainerOperation": _Row(
        412, "The lease ID specified did not match the lease ID for the container."
    ),
    "LeaseLost": _Row(412, "A lease ID was specified, but the lease for the resource has expired."),
    "LeaseAlreadyPresent": _Row(409, "There is already a lease present."),
    "LeaseNotPresentWithLeaseOperation": _Row(409, "There is currently no lease on the resource."),
    "LeaseIdMismatchWithLeaseOperation": _Row(
        409,
        "The lease ID specified did not match the lease ID for the resource "
        "with the specified lease operation.",
    ),
    "LeaseIsBreakingAndCannotBeAcquired": _Row(
        409, "The lease ID matched, but the lease is currently in breaking state and cannot be acquired."
    ),
    "LeaseIsBreakingAndCannotBeChanged": _Row(
        409, "The lease ID matched, but the lease is currently in breaking state and cannot be changed."
    ),
    "LeaseIsBrokenAndCannotBeRenewed": _Row(
        409, "The lease ID matched, but the lease has been broken explicitly and cannot be renewed."
    ),
    "CorsPreflightFailure": _Row(403, "CORS not enabled or no matching rule found for this request."),
    "InvalidRange": _Row(416, "The range specified is invalid for the current size of the resource."),
    "InvalidBlockList": _Row(400, "The specified block list is invalid."),
    "InvalidBlobOrBlock": _Row(400, "The specified blob or block content is invalid."),
    "InvalidBlockId": _Row(400, "The specified block ID is invalid. The block ID must be Base64-encoded."),
    "BlockListTooLong": _Row(400, "The block list may not contain more than 50,000 blocks."),
    "Md5Mismatch": _Row(
        400, "The MD5 value specified in the request did not match the MD5 value calculated by the server."
    ),
    "InvalidMd5": _Row(
        400,
        "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64 encoded.",
    ),
    "BothCrc64AndMd5HeaderPresent": _Row(
        400, "The request names both an MD5 and a CRC64 of its body; name one of them."
    ),
    "Crc64Mismatch": _Row(
        400,
        "The CRC64 value specified in the request did not match with the CRC64 value calculated "
        "by the server.",
    ),
    "InvalidHeaderValue": _Row(400, "The value for one of the HTTP headers is not in the correct format."),
    "MissingRequiredHeader": _Row(400, "An HTTP header that's mandatory for this request is not specified."),
    "UnsupportedHeader": _Row(400, "One of the headers specified in the request is not supported."),
    "ConditionHeadersNotSupported": _Row(400, "Condition headers are not supported."),
    "MultipleConditionHeadersNotSupported": _Row(400, "Multiple condition headers are not supported."),
    "UnsatisfiableCondition": _Row(
        400, "The request includes an unsatisfiable condition for this operation."
    ),
    "InvalidQueryParameterValue": _Row(
        400, "Value for one of the query parameters specified in the request URI is invalid."
    ),
    "OutOfRangeQueryParameterValue": _Row(
        400, "One of the query parameters specified in the request URI is outside the permissible range."
    ),
    "MissingRequiredQueryParameter": _Row(
        400, "A query parameter that's mandatory for this request is not specified."
    ),
    "UnsupportedQueryParameter": _Row(
        400, "One of the query parameters specified in the request URI is not supported."
    ),
    "OutOfRangeInput": _Row(400, "One of the request inputs is out of range."),
    "InvalidResourceName": _Row(400, "The specified resource name contains invalid characters."),
    "InvalidUri": _Row(400, "The requested URI does not represent any resource on the server."),
    "InvalidInput": _Row(400, "One of the request inputs is not valid."),
    "ExceedsMaxBatchRequestCount": _Row(
        400, "The batch operation exceeds maximum number of allowed subrequests."
    ),
    "InvalidMetadata": _Row(
        400, "The metadata specified is invalid. It has characters that are not permitted."
    ),
    "EmptyMetadataKey": _Row(400, "The key for one of the metadata key-value pairs is empty."),
    "MetadataTooLarge": _Row(400, "The size of the specified metadata exceeds the maximum size permitted."),
    "InvalidXmlDocument": _Row(400, "XML specified is not syntactically valid."),
    "InvalidXmlNodeValue": _Row(400, "The value for one of the XML nodes is not in the correct format."),
    "MissingRequiredXmlNode": _Row(400, "A required XML node was not specified in the request body."),
    "UnsupportedXmlNode": _Row(400, "One of the XML nodes specified in the request body is not supported."),
    "EmptyTagName": _Row(400, "The name of one of the tag key-value pairs is empty."),
    "DuplicateTagNames": _Row(400, "The tags specified contain duplicate names."),
    "TagsTooLarge": _Row(400, "The tags specified exceed the maximum permissible limit."),
    "InvalidTag": _Row(400, "The tags specified are invalid. It contains characters that are not permitted."),
    "CannotVerifyCopySource": _Row(404, "Could not verify the copy source."),
    "BothUserTagsAndSourceTagsCopyPresentException": _Row(
        409, "x-ms-tags header must not be present with x-ms-copy-source-tag-option as COPY."
    ),
    "CopyIdMismatch": _Row(
        409, "The specified copy ID did not match the copy ID for the pending copy operation."
    ),
    "NoPendingCopyOperation": _Row(409, "There is currently no pending copy operation."),
    "UnsupportedHttpVerb": _Row(405, "The resource doesn't support the specified HTTP verb."),
    "MissingContentLengthHeader": _Row(411, "The Content-Length header was not specified."),
    "RequestBodyTooLarge": _Row(
        413, "The request body is too large and exceeds the maximum permissible limit."
    ),
    "RequestUrlFailedToParse": _Row(400, "The URL in the request could not be parsed."),
    "InternalError": _Row(500, "The server encountered an internal error. Please retry the request."),
    "OperationTimedOut": _Row(500, "Operation could not be completed within the specified time."),
    "NotImplemented": _Row(501, "The requested operation is not implemented on the specified resource."),
    "ServerBusy": _Row(503, "The server is currently unable to receive requests. Please retry your request."),
    "InsufficientAccountStorage": _Row(507, "The account has no room left for this request."),
}


class AzureError(Exception):
    """A refusal in Azure's terms.

    `code` is a key of TABLE. `status` and `message` default to its row. `detail` becomes the element
    AuthenticationErrorDetail. `extras` are further elements of the body, in order; `headers` further headers.
    """

    def __init__(
        self,
        code: str,
        *,
        status: int | None = None,
        message: str | None = None,
        detail: str | None = None,
        extras: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        row = TABLE[code]
        self.code = code
        self.status = row.status if status is None else status
        self.message = row.message if message is None else message
        self.detail = detail
        self.extras = tuple(extras)
        self.headers = tuple(headers)
        super().__init__(f"{self.status} {code}: {detail or self.message}")


def authentication_failed(detail: str) -> AzureError:
    """Return AuthenticationFailed with the detail that a client's author needs to find the mistake."""
    return AzureError("AuthenticationFailed", detail=detail)


def invalid_header(
    name: str, value: str, message: str | None = None, *, reason: str | None = None
) -> AzureError:
    """Return InvalidHeaderValue naming the header, as clients expect it.

    Python special-cases x-ms-version.
    """
    extras = [("HeaderName", name), ("HeaderValue", value)]
    if reason is not None:
        extras.append(("Reason", reason))
    return AzureError("InvalidHeaderValue", message=message, extras=extras)


def not_implemented(reason: str) -> AzureError:
    """Return NotImplemented (501) with the reason why only Azure offers this."""
    return AzureError("NotImplemented", extras=(("Reason", reason),))


def missing_header(name: str) -> AzureError:
    """Return MissingRequiredHeader naming the header."""
    return AzureError("MissingRequiredHeader", extras=(("HeaderName", name),))


def invalid_parameter(name: str, value: str, reason: str, message: str | None = None) -> AzureError:
    """Return InvalidQueryParameterValue naming parameter, value and reason."""
    extras = (("QueryParameterName", name), ("QueryParameterValue", value), ("Reason", reason))
    return AzureError("InvalidQueryParameterValue", message=message, extras=extras)


def out_of_range_parameter(name: str, value: str, minimum: int, maximum: int) -> AzureError:
    """Return OutOfRangeQueryParameterValue naming the parameter and its limits."""
    extras = (
        ("QueryParameterName", name),
        ("QueryParameterValue", value),
        ("MinimumAllowed", str(minimum)),
        ("MaximumAllowed", str(maximum)),
    )
    return AzureError("OutOfRangeQueryParameterValue", extras=extras)


def render(error: AzureError, request_id: str, time: int) -> tuple[list[tuple[str, str]], bytes]:
    """Return the headers and the XML body of an error.

    `time` in nanoseconds is part of the message, as on the real service. A 304 has no body; for HEAD the
    caller drops it. The code is in `x-ms-error-code` always: the only signal where there is no body.
    """
    headers = [("x-ms-error-code", error.code), *error.headers]
    if error.status == 304:
        return headers, b""
    parts = [
        f"{DECLARATION}<Error><Code>{error.code}",
        "</Code><Message>",
        echo(error.message),
        f"\nRequestId:{request_id}\nTime:{iso_date(time)}</Message>",
    ]
    if error.detail is not None:
        parts.append(f"<AuthenticationErrorDetail>{echo(error.detail)}</AuthenticationErrorDetail>")
    parts.extend(f"<{name}>{echo(value)}</{name}>" for name, value in error.extras)
    parts.append("</Error>")
    headers.append(("Content-Type", "application/xml"))
    return headers, "".join(parts).encode("utf-8")
