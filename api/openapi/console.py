"""Addresses for programs besides the interfaces: tokens by HTTP (docs/tenants.md), health and metrics."""

from __future__ import annotations

from typing import Final

from retain.api.openapi.parts import STRING, Doc, answer, content, head_of, operation, parameter, ref

TAG: Final = "console"
OPERATIONS_TAG: Final = "operations"
ABOUT: Final = (
    "What the console offers to programs: tokens of the blobs interface, generated, listed and revoked by"
    " an administrator. The pages of docs/tenants.md and docs/operating.md have the rules."
)
_COMMON: Final = ("Cache-Control", "Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options")
_TEXT: Final = "text/plain;charset=utf-8"
_JSON: Final = "application/json"

ERRORS: Final = {
    400: "The body, a field or the tenant's name breaks a rule.",
    401: "The request has no credentials, or wrong ones.",
    403: "The caller is not an administrator.",
    404: "The tenant, container or token does not exist.",
    409: "The container has no room for another token (`policy-limit`), a token cannot be revoked, or the "
    "URL of the server is not known (`external-url`).",
    413: "The body is too long.",
    415: "The body is not declared as JSON.",
    429: "Too many failed logins.",
    503: "The storage accepts no changes at the moment.",
    507: "The disk is full.",
}
_MORE: Final = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
_PLAIN: Final = {
    400: "The request is malformed.",
    405: "The address does not support this method.",
    408: "The body came too slowly.",
    417: "`Expect` asks for something else than `100-continue`.",
    431: "Too many or too long headers.",
    500: "An internal error, which is logged.",
    505: "Another version of HTTP.",
}
"""Answers that are a line of text, before or instead of an answer in JSON."""


def _fails(*statuses: int) -> dict[int, Doc]:
    return {status: ref("responses", f"Console{status}") for status in statuses}


_ALWAYS: Final = (400, 401, 403, 404, 413, 417, 429, 431, 500, 503, 505)
_TENANT: Final = parameter("query", "tenant", "The tenant.", required=True, example="mytenant")


def _tokens() -> Doc:
    body: Doc = {
        "type": "object",
        "properties": {
            "tenant": {**STRING, "example": "mytenant"},
            "expiry": {**STRING, "description": "A date, or a date with a time.", "example": "2060-01-01"},
            "start": {"type": ["string", "null"], "description": "As `expiry`; now without."},
            "timezone": {
                "type": ["string", "null"],
                "description": "Of both; UTC without.",
                "example": "UTC-8",
            },
            "revoke_existing": {
                "type": ["boolean", "null"],
                "description": "End all earlier container tokens.",
            },
            "containers": {"type": ["array", "null"], "items": STRING, "example": ["recordings"]},
        },
        "required": ["tenant", "expiry"],
        "additionalProperties": False,
    }
    made = answer(
        "The tokens. They are in this answer only.",
        _COMMON,
        content(_JSON, ref("schemas", "TokensIssued")),
    )
    listed = answer("The tokens that have not expired.", _COMMON, content(_JSON, ref("schemas", "Tokens")))
    get = operation(
        "listTokens", "List a tenant's tokens", TAG, {200: listed, **_fails(*_ALWAYS)}, parameters=[_TENANT]
    )
    return {
        "get": get,
        "head": head_of(get),
        "post": operation(
            "createTokens",
            "Generate tokens",
            TAG,
            {201: made, **_fails(*_ALWAYS, 408, 409, 415, 507)},
            description="One finds blobs by tags in the account; one for each container lists and reads.",
            body={"required": True, "content": content(_JSON, body)},
        ),
    }


def _revoke() -> Doc:
    body: Doc = {
        "type": "object",
        "properties": {
            "tenant": {**STRING, "example": "mytenant"},
            "ids": {
                "type": ["array", "null"],
                "items": STRING,
                "description": "All container tokens without.",
            },
        },
        "required": ["tenant"],
        "additionalProperties": False,
    }
    ended = answer("The tokens that ended.", _COMMON, content(_JSON, ref("schemas", "Tokens")))
    return {
        "post": operation(
            "revokeTokens",
            "End container tokens",
            TAG,
            {200: ended, **_fails(*_ALWAYS, 408, 409, 415, 507)},
            body={"required": True, "content": content(_JSON, body)},
        )
    }


def _line(name: str, summary: str, answers: dict[int, str]) -> Doc:
    found = {status: answer(text, _COMMON, content(_TEXT, STRING)) for status, text in answers.items()}
    get = operation(name, summary, OPERATIONS_TAG, {**found, **_fails(400, 417, 431, 500, 505)}, security=[])
    return {"get": get, "head": head_of(get)}


def paths() -> Doc:
    """Return the addresses."""
    metrics = _line(
        "metrics",
        "Counters and gauges, for Prometheus",
        {200: "The metrics.", 403: "This address may not read metrics."},
    )
    shown = answer("The metrics.", _COMMON, content("text/plain; version=0.0.4; charset=utf-8", STRING))
    for method in ("get", "head"):
        metrics[method]["responses"]["200"] = shown if method == "get" else {**shown, "content": {}}
    return {
        "/console/api/tokens": _tokens(),
        "/console/api/tokens/revoke": _revoke(),
        "/healthz": _line("healthz", "Whether the process answers", {200: "`ok`."}),
        "/readyz": _line(
            "readyz",
            "Whether requests are accepted",
            {200: "`ok`, or `degraded` with the reason.", 503: "The reason why not."},
        ),
        "/metrics": metrics,
    }


_INSTANT: Final[Doc] = {"type": "string", "format": "date-time"}
_TOKEN: Final[Doc] = {
    "id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "container": {"type": ["string", "null"], "description": "null for the account's token."},
    "permissions": STRING,
    "policy_id": {"type": ["string", "null"]},
    "start": _INSTANT,
    "expiry": _INSTANT,
    "issued": _INSTANT,
    "issuer": STRING,
    "state": {"enum": ["valid", "not yet valid", "revoked"]},
}
_ISSUED: Final[Doc] = {**_TOKEN, "url": STRING, "token": STRING}


def _tokens_of(fields: Doc) -> Doc:
    one = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"tokens": {"type": "array", "items": one}},
        "required": ["tokens"],
        "additionalProperties": False,
    }


_ERROR: Final[Doc] = {
    "type": "object",
    "properties": {"code": STRING, "reason": STRING, "message": STRING},
    "required": ["code", "reason", "message"],
}


def components() -> Doc:
    """Return what the operations refer to."""
    worded = content(_JSON, ref("schemas", "ConsoleError"))
    both = {**worded, **content(_TEXT, STRING)}
    return {
        "schemas": {
            "TokensIssued": _tokens_of(_ISSUED),
            "Tokens": _tokens_of(_TOKEN),
            "ConsoleError": {
                "type": "object",
                "properties": {"error": _ERROR},
                "required": ["error"],
                "additionalProperties": False,
            },
        },
        "responses": {
            **{
                f"Console{status}": answer(
                    text, (*_COMMON, *_MORE.get(status, ())), both if status in (400, 413, 503) else worded
                )
                for status, text in ERRORS.items()
            },
            **{
                f"Console{status}": answer(text, (*_COMMON, "Allow"), content(_TEXT, STRING))
                for status, text in _PLAIN.items()
                if status != 400
            },
        },
    }


SECURITY: Final[list[Doc]] = [{"basic": []}, {"bearer": []}]
