"""The blobs interface: docs/wire/blobs.md, sections 5 and 8, and api/blobs/request/parameters.py.

Azure distinguishes operations by `restype` and `comp` in the query, OpenAPI by path only. Each path here
therefore ends with the part of the query that chooses the operation, as descriptions of such services do; the
field `x-azure-operations` has Azure's names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from retain.api.openapi import blob_parameters as known
from retain.api.openapi.blob_operations import ACCOUNT, BLOB, CONTAINER, WRITTEN, Row
from retain.api.openapi.blob_schemas import schemas, xml
from retain.api.openapi.parts import STRING, Doc, answer, content, operation, ref

TAG: Final = "blobs"
ABOUT: Final = (
    "Recordings and other files in containers, searchable by tag, for clients of Azure Blob Storage: the "
    "part of its REST API that is offered. A request is authorized by a token (SAS) in its query, or by "
    "Shared Key. Operations are chosen by `restype` and `comp`, which are part of the path here. Headers "
    "named `x-ms-`, conditions and query parameters that an operation does not list are refused. The "
    "rules are in docs/wire/blobs.md."
)

ERRORS: Final = {
    400: "A header, a parameter, a name or the body breaks a rule.",
    401: "The request has no credentials, or the source of a copy cannot be read without.",
    403: "The credentials are wrong, have expired, or do not allow this.",
    404: "The account, container, blob or source does not exist, or has expired.",
    405: "The resource does not support this method.",
    409: "The resource exists already, is leased, held or being deleted, or its lease is in another state.",
    411: "Content-Length is missing.",
    412: "A condition is not met, or the lease does not match.",
    413: "The body is too long.",
    416: "The range lies outside the blob.",
    417: "`Expect` asks for something else than `100-continue`.",
    431: "Too many or too long headers.",
    500: "An internal error.",
    501: "Azure has this operation; it is not offered here.",
    503: "The storage accepts no changes at the moment, or the server is busy or stopping.",
    505: "Another version of HTTP.",
    507: "The disk is full.",
}
_COMMON: Final = (
    "x-ms-request-id",
    "x-ms-version",
    "x-ms-client-request-id",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Access-Control-Expose-Headers",
    "Vary",
)
_MORE: Final = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    503: ("Retry-After",),
}
_NO_ACCOUNT: Final = ("Cache-Control", "Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options")
_COPY_ERROR: Final = ("x-ms-copy-source-status-code", "x-ms-copy-source-error-code")
_ALWAYS: Final = (400, 401, 403, 404, 417, 431, 500, 503, 505)
_PLACES: Final = (
    ("/{account}/", (), ACCOUNT),
    ("/{account}/{container}", ("container",), CONTAINER),
    ("/{account}/{container}/{blob}", ("container", "blob"), BLOB),
)


def _operation(row: Row, places: Sequence[str]) -> Doc:
    answers: dict[int, Doc] = {
        status: answer(text, (*_COMMON, *headers), body)
        for status, (text, headers, body) in row.success.items()
    }
    copies = "x-ms-copy-source" in row.parameters
    for status in (*_ALWAYS, *row.fails):
        kind = "BlobsCopy" if copies and status in (401, 403, 404, 409, 412) else "Blobs"
        answers[status] = ref("responses", f"{kind}{status}")
    names = ("account", *places, *row.parameters, *known.ANYWHERE)
    made = operation(
        row.name,
        ", ".join(row.azure),
        TAG,
        answers,
        parameters=[ref("parameters", known.component(name)) for name in dict.fromkeys(names)],
        body=row.body,
    )
    return {**made, "x-azure-operations": list(row.azure)}


def _preflight(places: Sequence[str]) -> Doc:
    granted = (
        *("Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age"),
        *_COMMON,
    )
    return operation(
        f"preflight{''.join(place.capitalize() for place in ('account', *places))}",
        "CORS preflight",
        TAG,
        {
            200: answer("The origin may.", granted),
            **{s: ref("responses", f"Blobs{s}") for s in (400, 403, 404, 417, 431, 500, 503, 505)},
        },
        parameters=[
            ref("parameters", known.component(name))
            for name in (
                "account",
                *places,
                "Origin",
                "Access-Control-Request-Method",
                "Access-Control-Request-Headers",
            )
        ],
        security=[],
    )


def paths() -> Doc:
    """Return every operation."""
    made: dict[str, Doc] = {}
    for path, places, rows in _PLACES:
        for row in rows:
            made.setdefault(f"{path}{row.tail}", {})[row.method] = _operation(row, places)
        made.setdefault(path, {})["options"] = _preflight(places)
    return made


def components() -> Doc:
    """Return what the operations refer to."""
    failed = {
        f"Blobs{status}": answer(
            text, (*_COMMON, "x-ms-error-code", *_MORE.get(status, ())), xml("BlobError")
        )
        for status, text in ERRORS.items()
    }
    failed["Blobs304"] = answer("Unchanged.", (*_COMMON, "x-ms-error-code", *WRITTEN))
    # An account that does not exist is no address of this interface: a line of text answers.
    failed["Blobs404"]["headers"] |= answer("", _NO_ACCOUNT)["headers"]
    failed["Blobs404"]["content"] |= content("text/plain;charset=utf-8", STRING)
    failed["Blobs416"]["headers"] |= answer("", ("Content-Range",))["headers"]
    for status in (401, 403, 404, 409, 412):
        more = answer("", _COPY_ERROR)["headers"]
        failed[f"BlobsCopy{status}"] = {
            **failed[f"Blobs{status}"],
            "headers": {**failed[f"Blobs{status}"]["headers"], **more},
        }
    return {
        "schemas": schemas(),
        "parameters": known.components(),
        "responses": failed,
        "securitySchemes": {
            "sas": {
                "type": "apiKey",
                "in": "query",
                "name": "sig",
                "description": "A token: all its parameters; `sig` is the signature (docs/tenants.md).",
            },
            "sharedKey": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`SharedKey ACCOUNT:SIGNATURE` (docs/wire/blobs.md, section 4).",
            },
        },
    }


SECURITY: Final[list[Doc]] = [{"sas": []}, {"sharedKey": []}]
