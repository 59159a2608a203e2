"""The areas interface: docs/wire/areas.md."""

from __future__ import annotations

from typing import Final

from retain.api.openapi.parts import (
    ANYTHING,
    STRING,
    Doc,
    answer,
    content,
    head_of,
    operation,
    parameter,
    ref,
)

TAG: Final = "areas"
ABOUT: Final = (
    "Key-value pairs and files, each for as many seconds as its request says, for clients of the Genesys "
    "Mobile Services Storage API. A ttl that is not a number above zero means 30 seconds and is not an "
    "error. HEAD works wherever GET does. The rules are in docs/wire/areas.md."
)
_STORAGE: Final = "/genesys/1/storage"
_COMMON: Final = (
    "Cache-Control",
    "Pragma",
    "X-Content-Type-Options",
    "X-Request-Id",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Vary",
)
_JSON: Final = "application/json;charset=utf-8"
_TEXT: Final = "text/plain;charset=utf-8"
_PACKAGE: Final = r"com\.genesyslab\.gsg\.services\.storage\.exceptions"

ERRORS: Final = {
    400: "The form, the path or a header breaks a rule.",
    401: "Credentials are configured, and the request has none or wrong ones.",
    403: "The form was sent by a page of another site.",
    404: "Unknown, expired, deleted or another customer's; or nothing is at this address.",
    405: "The address does not support this method; `Allow` lists those it supports.",
    408: "The body came too slowly.",
    409: "The id is taken.",
    412: "A precondition is not met.",
    413: "Over a limit.",
    415: "Not a form, or a file of a type that is not allowed.",
    416: "The range lies outside the file.",
    417: "`Expect` asks for something else than `100-continue`.",
    429: "Too many failed logins.",
    431: "Too many or too long headers.",
    500: "An internal error; the message has the id under which it is logged.",
    503: "The storage accepts no changes at the moment, or the server is busy or stopping.",
    505: "Another version of HTTP.",
    507: "The disk is full, or a quota is used up.",
}
_MORE: Final = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    416: ("Content-Range",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_ALWAYS: Final = (400, 401, 404, 417, 429, 431, 500, 503, 505)
_WRITE: Final = (405, 408, 413, 415, 507)


def _fails(*statuses: int) -> dict[int, Doc]:
    return {status: ref("responses", f"Areas{status}") for status in statuses}


_USER: Final = parameter(
    "header",
    "gms_user",
    "The customer that a custom id belongs to. Required to create an area with a custom id, and for every "
    "use of one. Proxies must pass on a header whose name has an underscore.",
    example="anna",
)
_ID: Final = parameter("path", "id", "The id of the area.", example="39a98e24-b03b-4191-b756-1efe8f3b16b8")
_CUSTOM: Final = parameter("path", "customId", "The custom id.", example="letter")
_KEY: Final = parameter("path", "key", "The key.", example="Key1")

_FIELDS: Final[Doc] = {
    "type": "object",
    "additionalProperties": STRING,
    "propertyNames": {"pattern": "^[^_]", "maxLength": 255},
    "example": {"Key1": "Value1"},
}
_FORM: Final[Doc] = {
    "required": False,
    "description": "A form: each field is a key. Keys may not begin with an underscore.",
    "content": {
        "application/x-www-form-urlencoded": {"schema": _FIELDS},
        "multipart/form-data": {"schema": _FIELDS},
    },
}


def _create(name: str, summary: str, first: str, *, custom: bool = False) -> Doc:
    ttl = parameter("path", first, "The time to live in seconds.", example="3600")
    made = answer("Created.", _COMMON, content(_JSON, ref("schemas", "AreaCreated")))
    user = {**_USER, "required": True} if custom else _USER
    return operation(
        name,
        summary,
        TAG,
        {200: made, **_fails(*_ALWAYS, *_WRITE, 409)},
        parameters=[_CUSTOM, ttl, user] if custom else [ttl, user],
        body=_FORM,
    )


def _list(name: str, identity: Doc) -> Doc:
    found = answer("All keys.", _COMMON, content(_JSON, ref("schemas", "AreaListing")))
    return operation(
        name,
        "Query all keys",
        TAG,
        {200: found, **_fails(*_ALWAYS)},
        description="A file is shown as its absolute URL.",
        parameters=[identity, _USER],
    )


def _value(name: str, identity: Doc, key: Doc = _KEY) -> Doc:
    found = answer("The bare value, without quotes; of a file, its URL.", _COMMON, content(_TEXT, STRING))
    return operation(
        name, "Query one key", TAG, {200: found, **_fails(*_ALWAYS)}, parameters=[identity, key, _USER]
    )


def _binary(name: str, identity: Doc) -> Doc:
    headers = (*_COMMON, "Content-Security-Policy", "Accept-Ranges", "Content-Disposition")
    whole = answer("The bytes, with the type they were sent with.", headers, content("*/*", ANYTHING))
    part = answer("The range.", (*headers, "Content-Range"), content("*/*", ANYTHING))
    span = parameter("header", "Range", "One range of bytes.", example="bytes=0-99")
    return operation(
        name,
        "Query one file",
        TAG,
        {200: whole, 206: part, **_fails(*_ALWAYS, 416)},
        description="A text is answered with its UTF-8 bytes.",
        parameters=[identity, _KEY, _USER, span],
    )


def _delete(name: str, identity: Doc) -> Doc:
    done = answer("Deleted with all its keys.", _COMMON, content(_JSON, ref("schemas", "AreaDone")))
    return operation(
        name, "Delete an area", TAG, {200: done, **_fails(*_ALWAYS, 507)}, parameters=[identity, _USER]
    )


def _update() -> Doc:
    ttl = parameter("path", "keyOrTtl", "The time to live in seconds, of the keys sent.", example="60")
    done = answer("Stored.", _COMMON, content(_JSON, ref("schemas", "AreaDone")))
    return operation(
        "updateArea",
        "Add or replace keys",
        TAG,
        {200: done, **_fails(*_ALWAYS, *_WRITE)},
        parameters=[_ID, ttl, _USER],
        body=_FORM,
    )


def _status() -> Doc:
    online = answer("`ONLINE`.", _COMMON, content(_TEXT, STRING))
    offline = answer(
        "`OFFLINE`: changes are not accepted.", (*_COMMON, "Retry-After"), content(_TEXT, STRING)
    )
    return operation(
        "nodeStatus",
        "Whether the storage accepts changes",
        TAG,
        {200: online, 503: offline, **_fails(400, 417, 431, 500, 505)},
        security=[],
    )


_PAGE_HEADERS: Final = (
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Vary",
    "Cache-Control",
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Pragma",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-Request-Id",
)


def _page(name: str, summary: str, *, sends: bool) -> Doc:
    headers = (
        *_PAGE_HEADERS,
        "WWW-Authenticate",
        "Allow",
        "Retry-After",
        "Accept-Ranges",
        "Content-Disposition",
    )
    shown = answer(
        "The page, with the result of the form.", headers, content("text/html;charset=utf-8", STRING)
    )
    failed = {
        status: answer(ERRORS[status], headers, content(["text/html;charset=utf-8", _JSON]))
        for status in (*_ALWAYS, *((403, *_WRITE, 409) if sends else ()))
    }
    answers = {200: {**shown, "content": content("*/*")}, **failed} if sends else {200: shown, **failed}
    fields = dict.fromkeys(("_operation", "_id", "_key", "_ttl", "_user"), STRING)
    form: Doc = {
        "type": "object",
        "properties": fields,
        "additionalProperties": STRING,
        "example": {"_operation": "create", "_ttl": "60", "Key1": "Value1"},
    }
    body = {"content": content(["multipart/form-data", "application/x-www-form-urlencoded"], form)}
    return operation(name, summary, TAG, answers, body=body if sends else None)


def _options(name: str) -> Doc:
    headers = (*_COMMON, "Allow", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers")
    found = answer("The methods of this address.", (*headers, "Access-Control-Max-Age"))
    return operation(
        name,
        "Methods, and CORS preflight",
        TAG,
        {200: found, **_fails(400, 404, 417, 431, 500, 503, 505)},
        security=[],
    )


def _with_head(path: Doc, name: str, *parameters: Doc) -> Doc:
    """Return a path with HEAD beside its GET, and OPTIONS."""
    options = _options(f"{name}Options")
    if parameters:
        options["parameters"] = list(parameters)
    return {**path, "head": head_of(path["get"]), "options": options}


def paths() -> Doc:
    """Return every address. One address stands for an id in one method and for a ttl in another."""
    id_or_ttl = {**_ID, "name": "idOrTtl"}
    custom_key = {**_KEY, "name": "keyOrTtl"}
    return {
        f"{_STORAGE}/{{idOrTtl}}": _with_head(
            {
                "post": _create("createArea", "Create an area", "idOrTtl"),
                "get": _list("listArea", id_or_ttl),
                "delete": _delete("deleteArea", id_or_ttl),
            },
            "area",
            id_or_ttl,
        ),
        f"{_STORAGE}/{{id}}/{{keyOrTtl}}": _with_head(
            {"post": _update(), "get": _value("readKey", _ID, custom_key)}, "key", _ID, custom_key
        ),
        f"{_STORAGE}/custom/{{customId}}": _with_head(
            {"get": _list("listCustomArea", _CUSTOM), "delete": _delete("deleteCustomArea", _CUSTOM)},
            "customArea",
            _CUSTOM,
        ),
        f"{_STORAGE}/custom/{{customId}}/{{keyOrTtl}}": _with_head(
            {
                "post": _create(
                    "createCustomArea", "Create an area with a custom id", "keyOrTtl", custom=True
                ),
                "get": _value("readCustomKey", _CUSTOM, custom_key),
            },
            "customKey",
            _CUSTOM,
            custom_key,
        ),
        f"{_STORAGE}/binary/{{id}}/{{key}}": _with_head({"get": _binary("readFile", _ID)}, "file", _ID, _KEY),
        f"{_STORAGE}/binary/custom/{{customId}}/{{key}}": _with_head(
            {"get": _binary("readCustomFile", _CUSTOM)}, "customFile", _CUSTOM, _KEY
        ),
        "/genesys/1/admin/node/status": _with_head({"get": _status()}, "nodeStatus"),
        "/genesys/resources/storagetest.html": _with_head(
            {
                "get": _page("samplePage", "The sample page", sends=False),
                "post": _page("sampleForm", "A form of the sample page", sends=True),
            },
            "samplePage",
        ),
    }


def components() -> Doc:
    """Return what the operations refer to."""
    error = content(_JSON, ref("schemas", "AreaError"))
    return {
        "schemas": {
            "AreaCreated": {
                "type": "object",
                "properties": {"id": STRING},
                "required": ["id"],
                "additionalProperties": False,
            },
            "AreaDone": {"type": "object", "additionalProperties": False},
            "AreaListing": {"type": "object", "additionalProperties": STRING},
            "AreaError": {
                "type": "object",
                "properties": {
                    "exception": {
                        "type": "string",
                        "pattern": rf"^{_PACKAGE}\.StorageException[A-Za-z]*$",
                    },
                    "message": STRING,
                },
                "required": ["exception", "message"],
                "additionalProperties": False,
            },
        },
        "responses": {
            f"Areas{status}": answer(text, (*_COMMON, *_MORE.get(status, ())), error)
            for status, text in ERRORS.items()
        },
        "securitySchemes": {
            "areasBasic": {
                "type": "http",
                "scheme": "basic",
                "description": "`areas.username` and `areas.password`, where they are configured.",
            }
        },
    }


SECURITY: Final[list[Doc]] = [{}, {"areasBasic": []}]
