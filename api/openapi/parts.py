"""The parts of a description, in the terms of OpenAPI 3.1.1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Doc: TypeAlias = dict[str, Any]

STRING: Final[Doc] = {"type": "string"}
ANYTHING: Final[Doc] = {}
"""Any bytes of an answer, of the given media type (section 4.8.14.3)."""
BYTES: Final[Doc] = {"type": "string", "format": "binary"}
"""Any bytes of a request. The format is a hint to viewers, which then offer a file."""

HEADERS: Final[Mapping[str, str]] = {
    "Accept-Patch": "The types that PATCH takes (RFC 5789, section 3.1).",
    "Accept-Ranges": "`bytes`.",
    "Access-Control-Allow-Credentials": "`true`, to an origin that a rule names.",
    "Access-Control-Allow-Headers": "The requested headers, or the allowed ones.",
    "Access-Control-Allow-Methods": "The methods that may be used.",
    "Access-Control-Allow-Origin": "The origin that may read the answer, if one is configured.",
    "Access-Control-Expose-Headers": "The headers that the origin may read.",
    "Access-Control-Max-Age": "How long a browser may cache this, in seconds.",
    "Allow": "The methods of this address.",
    "Cache-Control": "Whether the answer may be cached.",
    "Content-Disposition": "Whether a browser shows the content in place, and its file name.",
    "Content-Encoding": "As it was stored.",
    "Content-Language": "As it was stored.",
    "Content-MD5": "The MD5 of the content, in Base64.",
    "Content-Range": "The range of these bytes, and the total.",
    "Content-Security-Policy": "Browsers run no script in stored content.",
    "Cross-Origin-Opener-Policy": "`same-origin`.",
    "Cross-Origin-Resource-Policy": "`same-origin`.",
    "ETag": "An entity tag (RFC 9110, section 8.8.3).",
    "Last-Modified": "The time of the last write.",
    "Location": "The address of what was created.",
    "Pragma": "`no-cache`.",
    "Referrer-Policy": "`no-referrer`.",
    "Retry-After": "When to try again, in seconds.",
    "Vary": "The request headers that the answer depends on.",
    "WWW-Authenticate": "The ways to authenticate.",
    "X-Accel-Buffering": "`no`: a proxy must pass on events at once.",
    "X-Content-Type-Options": "`nosniff`.",
    "X-CSRF-Token": "Sent if the request had `X-CSRF-Token: fetch`.",
    "X-Frame-Options": "`DENY`.",
    "X-Request-Id": "The id of this request, as the log has it.",
    "x-ms-access-tier": "The tier of the blob.",
    "x-ms-access-tier-change-time": "When the tier was set.",
    "x-ms-access-tier-inferred": "`true` if no tier was set.",
    "x-ms-account-kind": "`StorageV2`.",
    "x-ms-blob-content-length": "The size of the blob in bytes.",
    "x-ms-blob-content-md5": "The stored MD5 of the whole blob, in Base64.",
    "x-ms-blob-public-access": "The level that was set. It has no effect.",
    "x-ms-blob-type": "`BlockBlob`.",
    "x-ms-client-request-id": "Repeated from the request.",
    "x-ms-content-crc64": "The CRC-64/NVME of the content, in Base64.",
    "x-ms-copy-completion-time": "When the copy was complete.",
    "x-ms-copy-id": "The id of the copy.",
    "x-ms-copy-progress": "Bytes copied, of how many.",
    "x-ms-copy-source": "The URL it was copied from, without its token.",
    "x-ms-copy-source-error-code": "The code that the source of a copy answered.",
    "x-ms-copy-source-status-code": "The status that the source of a copy answered.",
    "x-ms-copy-status": "`success`: a copy is complete before it is answered.",
    "x-ms-creation-time": "When the blob was first written.",
    "x-ms-default-encryption-scope": "`$account-encryption-key`.",
    "x-ms-delete-type-permanent": "`true`: the blob cannot be restored.",
    "x-ms-deny-encryption-scope-override": "`false`.",
    "x-ms-error-code": "Azure's code of the error.",
    "x-ms-has-immutability-policy": "`false`.",
    "x-ms-has-legal-hold": "Whether the container is under a legal hold.",
    "x-ms-immutable-storage-with-versioning-enabled": "`false`.",
    "x-ms-is-hns-enabled": "`false`.",
    "x-ms-lease-duration": "`infinite` or `fixed`, while leased.",
    "x-ms-lease-id": "The id of the lease.",
    "x-ms-lease-state": "`available`, `leased`, `expired`, `breaking` or `broken`.",
    "x-ms-lease-status": "`locked` or `unlocked`.",
    "x-ms-lease-time": "Seconds until the lease is broken.",
    "x-ms-meta-name": "One header for each piece of metadata; its name follows the prefix.",
    "x-ms-request-id": "The id of this request.",
    "x-ms-request-server-encrypted": "`true`.",
    "x-ms-server-encrypted": "`true`.",
    "x-ms-sku-name": "`Standard_LRS`.",
    "x-ms-smart-access-tier": "The tier that Smart stands for.",
    "x-ms-structured-body": "The form of the body.",
    "x-ms-structured-content-length": "The size of the content without its framing.",
    "x-ms-tag-count": "The number of tags, if there are any.",
    "x-ms-version": "The version of the service that answered.",
}
"""Every header that an interface sets in an answer, with its meaning."""


def ref(kind: str, name: str) -> Doc:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def header_fields(names: Iterable[str]) -> Doc:
    """Return the headers of an answer. Raises KeyError for one that `HEADERS` does not describe."""
    return {name: {"description": HEADERS[name], "schema": STRING} for name in names}


def parameter(place: str, name: str, description: str, schema: Doc | None = None, **more: Any) -> Doc:
    """Return a parameter in `path`, `query` or `header`; one in the path is required."""
    required = {"required": True} if place == "path" else {}
    return {
        "name": name,
        "in": place,
        **required,
        "description": description,
        "schema": STRING if schema is None else schema,
        **more,
    }


def content(kinds: str | Sequence[str], schema: Doc | None = None) -> Doc:
    """Return a body of one of several media types, all with one schema."""
    names = [kinds] if isinstance(kinds, str) else kinds
    return {name: {} if schema is None else {"schema": schema} for name in names}


def answer(description: str, headers: Iterable[str], body: Doc | None = None) -> Doc:
    """Return one answer."""
    made: Doc = {"description": description, "headers": header_fields(headers)}
    if body is not None:
        made["content"] = body
    return made


def operation(
    name: str,
    summary: str,
    tag: str,
    answers: Mapping[int, Doc],
    *,
    description: str = "",
    parameters: Sequence[Doc] = (),
    body: Doc | None = None,
    security: Sequence[Doc] | None = None,
) -> Doc:
    """Return one operation. `name` is its id; `answers` by their status."""
    made: Doc = {"operationId": name, "summary": summary, "tags": [tag]}
    if description:
        made["description"] = description
    if parameters:
        made["parameters"] = list(parameters)
    if body is not None:
        made["requestBody"] = body
    made["responses"] = {str(status): found for status, found in sorted(answers.items())}
    if security is not None:
        made["security"] = list(security)
    return made


def head_of(get: Doc) -> Doc:
    """Return HEAD beside a GET: the same without a body."""
    responses = {
        status: found
        if "$ref" in found
        else {name: part for name, part in found.items() if name != "content"}
        for status, found in get["responses"].items()
    }
    return {
        **get,
        "operationId": f"{get['operationId']}Head",
        "summary": f"{get['summary']}: the headers alone",
        "responses": responses,
    }
