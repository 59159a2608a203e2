"""The settings interface: docs/wire/settings.md."""

from __future__ import annotations

from typing import Final

from retain.api.openapi.parts import STRING, Doc, answer, content, head_of, operation, parameter, ref

TAG: Final = "settings"
ABOUT: Final = (
    "JSON configuration of applications, users and devices, for clients of the SAP Mobile Services "
    "Storage API. Each address exists below three more prefixes: `/Storage`, "
    "`/mobileservices/origin/hcpms/Storage` and `/mobileservices/application/{application}/Storage`. "
    "Properties may be nested to any depth, a segment of the path for each. An address without a level "
    "means `global`. The rules are in docs/wire/settings.md."
)
_RUNTIME: Final = "/mobileservices/Storage/v1/runtime/application/{application}"
_COMMON: Final = ("Cache-Control", "X-Content-Type-Options", "X-Request-Id")
_JSON: Final = "application/json"
_PATCHES: Final = ("application/merge-patch+json", "application/json", "application/json-patch+json")

ERRORS: Final = {
    400: "The body, the path, the query or a precondition breaks a rule.",
    401: "The request has no credentials, or wrong ones.",
    403: "The caller's roles do not permit it, or the data is another user's.",
    404: "The target, or a parent of it, does not exist.",
    405: "The address does not support this method.",
    408: "The body came too slowly.",
    409: "The target exists already, or a step of a JSON patch has no target.",
    412: "A precondition, or a test of a JSON patch, is not met.",
    413: "Over a limit.",
    415: "Not JSON by its type, another charset than UTF-8, or compressed.",
    417: "`Expect` asks for something else than `100-continue`.",
    429: "Too many failed logins, or too many requests that wait or read history.",
    431: "Too many or too long headers.",
    500: "An internal error; the message has the id under which it is logged.",
    503: "The storage accepts no changes at the moment, or the server is busy or stopping.",
    505: "Another version of HTTP.",
    507: "The disk is full, or a quota is used up.",
}
_MORE: Final = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    415: ("Accept-Patch",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_ALWAYS: Final = (400, 401, 403, 404, 413, 417, 429, 431, 500, 503, 505)
_WRITE: Final = (408, 409, 412, 415, 507)


def _fails(*statuses: int) -> dict[int, Doc]:
    return {status: ref("responses", f"Settings{status}") for status in statuses}


_APPLICATION: Final = parameter("path", "application", "The application's id.", example="app")
_AGAIN: Final = parameter(
    "path",
    "sameApplication",
    "The application's id once more; OpenAPI admits a name once in a path. Another one is refused.",
    example="app",
)
_LEVELS: Final[dict[str, tuple[str, list[Doc], str]]] = {
    "global": ("Application", [], "the application"),
    "currentuser": ("User", [], "the caller"),
    "user/{name}": (
        "NamedUser",
        [parameter("path", "name", "The caller's own name; another's for administrators.", example="ann")],
        "a user",
    ),
    "device/{deviceId}": (
        "Device",
        [parameter("path", "deviceId", "The device's id.", example="phone-1")],
        "a device",
    ),
}
_DEPTHS: Final[list[tuple[str, str, list[Doc], str]]] = [
    ("", "Document", [], "the document of"),
    (
        "/{configuration}",
        "Configuration",
        [parameter("path", "configuration", "The configuration.", example="ui")],
        "a configuration of",
    ),
    (
        "/{configuration}/{property}",
        "Property",
        [
            parameter("path", "configuration", "The configuration.", example="ui"),
            parameter("path", "property", "The property; further segments lead deeper.", example="theme"),
        ],
        "a property of",
    ),
]
_TAGS: Final = "An entity tag or a list of them, or `*`."
_MATCH: Final = [
    parameter("header", "If-Match", _TAGS),
    parameter("header", "If-None-Match", _TAGS),
]
_NUMBER: Final[Doc] = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
_READING: Final = [
    *_MATCH,
    parameter(
        "query",
        "overwrite",
        "`false`: the level's own data without that of its parents.",
        {"enum": ["true", "false"]},
    ),
    parameter("query", "keys", "Only the names of an object's members.", {"enum": ["", "true", "false"]}),
    parameter("query", "wait", "With `If-None-Match`: wait this many seconds for a change.", _NUMBER),
    parameter("query", "watch", "A stream of changes.", {"enum": ["", "true", "false"]}),
    parameter("query", "history", "The newest changes, at most this many, with author and time.", _NUMBER),
    parameter("query", "version", "The own level's value in an earlier revision.", _NUMBER),
    parameter("header", "X-CSRF-Token", "`fetch` is answered with a token. None is required."),
    parameter("header", "Last-Event-ID", "Resumes a stream."),
]


_STEPS: Final[list[Doc]] = [{"op": "add", "path": "", "value": {"ui": {"theme": "dark"}}}]


def _get(name: str, about: str, parameters: list[Doc]) -> Doc:
    found = answer(
        "The value; with `history` the changes, with `keys` the names.",
        (*_COMMON, "ETag", "Vary", "X-CSRF-Token", "X-Accel-Buffering"),
        {
            _JSON: {
                "schema": {"anyOf": [ref("schemas", "SettingsHistory"), ref("schemas", "SettingsValue")]}
            },
            "text/event-stream": {"schema": STRING},
        },
    )
    same = answer("Unchanged.", (*_COMMON, "ETag", "Vary", "X-CSRF-Token"))
    return operation(
        f"get{name}",
        f"Read {about}",
        TAG,
        {200: found, 304: same, **_fails(*_ALWAYS, 412)},
        parameters=[*parameters, *_READING],
    )


def _body(kinds: tuple[str, ...], *, is_object: bool) -> Doc:
    value = ref("schemas", "SettingsObject" if is_object else "SettingsValue")
    example: Doc | str = {"ui": {"theme": "dark"}} if is_object else "dark"
    patch = {"schema": ref("schemas", "JsonPatch"), "example": _STEPS}
    return {
        "required": True,
        "content": {
            kind: patch if "json-patch" in kind else {"schema": value, "example": example} for kind in kinds
        },
    }


def _writes(name: str, about: str, parameters: list[Doc], *, device: bool, is_object: bool) -> Doc:
    created = answer("Created.", (*_COMMON, "Location", "ETag"))
    done = answer("Done.", (*_COMMON, "ETag"))
    restore = parameter("query", "restore", "Restores this revision instead; the body is not read.", _NUMBER)
    known = [*parameters, *_MATCH]
    failed = _fails(*_ALWAYS, *_WRITE)
    # Only a device's PUT creates, unless `put_creates` is set (docs/wire/settings.md, section 3.3).
    replaced = "Replaced." if device else "Replaced. With `put_creates` a 201 says that it was created."
    return {
        "post": operation(
            f"post{name}",
            f"Create {about}",
            TAG,
            {201: created, 204: answer("Restored.", (*_COMMON, "ETag")), **failed},
            parameters=[*known, restore],
            body=_body((_JSON,), is_object=is_object),
        ),
        "put": operation(
            f"put{name}",
            f"Replace {about}",
            TAG,
            {201: created, 204: {**done, "description": replaced}, **failed},
            parameters=known,
            body=_body((_JSON,), is_object=is_object),
        ),
        "patch": operation(
            f"patch{name}",
            f"Change {about}",
            TAG,
            {201: created, 204: done, **failed},
            parameters=known,
            body=_body(_PATCHES, is_object=is_object),
            description="RFC 7396 merges, RFC 6902 changes step by step.",
        ),
        "delete": operation(f"delete{name}", f"Delete {about}", TAG, {204: done, **failed}, parameters=known),
        "options": operation(
            f"options{name}",
            "Methods of the address",
            TAG,
            {204: answer("The methods.", (*_COMMON, "Allow", "Accept-Patch")), **_fails(*_ALWAYS)},
            parameters=parameters,
            security=[],
        ),
    }


def paths() -> Doc:
    """Return every address: three levels, and the caller by name, in three depths; and who the caller is."""
    made: Doc = {}
    for level, (level_name, level_parameters, owner) in _LEVELS.items():
        for tail, depth_name, depth_parameters, what in _DEPTHS:
            name, about = f"{level_name}{depth_name}", f"{what} {owner}"
            parameters = [_APPLICATION, *level_parameters, *depth_parameters]
            get = _get(name, about, parameters)
            is_object = not tail or (level == "global" and depth_name == "Configuration")
            writes = _writes(name, about, parameters, device=level.startswith("device"), is_object=is_object)
            made[f"{_RUNTIME}/{level}{tail}"] = {"get": get, "head": head_of(get), **writes}
    me = operation(
        "getMe",
        "Who the caller is, as a SCIM user",
        TAG,
        {
            200: answer(
                "The caller.",
                (*_COMMON, "Vary", "X-CSRF-Token"),
                content(_JSON, ref("schemas", "SettingsMe")),
            ),
            **_fails(*_ALWAYS),
        },
        parameters=[_APPLICATION, _AGAIN],
    )
    made["/mobileservices/application/{application}/roleservice/application/{sameApplication}/v2/Me"] = {
        "get": me,
        "head": head_of(me),
    }
    return made


_VERSION: Final[Doc] = {
    "type": "object",
    "properties": {
        "revision": {"type": "integer", "minimum": 1},
        "time": {"type": "string", "format": "date-time"},
        "actor": STRING,
        "method": STRING,
        "path": {"type": "array", "items": STRING},
        "etag": STRING,
    },
    "required": ["revision", "time", "actor", "method", "path", "etag"],
}
_EMAIL: Final = {"type": "object", "properties": {"value": STRING, "primary": {"type": "boolean"}}}
_SCHEMAS: Final[Doc] = {
    "SettingsValue": {
        "description": "An object, a primitive, or an array that holds no object at any depth.",
        "anyOf": [
            ref("schemas", "SettingsObject"),
            {"type": ["string", "number", "boolean", "null"]},
            ref("schemas", "SettingsArray"),
        ],
    },
    # Not recursive: generators of clients leave out operations whose schemas refer to themselves.
    "SettingsArray": {
        "description": "At no depth is an item an object.",
        "type": "array",
        "items": {"not": {"type": "object"}},
    },
    "SettingsObject": {
        "description": "Each value is again a SettingsValue.",
        "type": "object",
        "additionalProperties": True,
    },
    "SettingsHistory": {"type": "array", "items": _VERSION},
    "SettingsMe": {
        "type": "object",
        "properties": {
            "schemas": {"type": "array", "items": STRING},
            "id": STRING,
            "userName": STRING,
            "name": {"type": "object", "additionalProperties": STRING},
            "emails": {"type": "array", "items": _EMAIL},
            "roles": {"type": "array", "items": {"type": "object", "properties": {"value": STRING}}},
        },
        "required": ["schemas", "id", "userName", "name", "emails", "roles"],
        "additionalProperties": False,
    },
    "JsonPatch": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
                "path": STRING,
                "from": STRING,
                "value": {},
            },
            "required": ["op", "path"],
        },
    },
    "SettingsError": {
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": "^[a-z-]+$"}, "message": STRING},
        "required": ["code", "message"],
        "additionalProperties": False,
    },
}


def components() -> Doc:
    """Return what the operations refer to."""
    error = content(_JSON, ref("schemas", "SettingsError"))
    return {
        "schemas": _SCHEMAS,
        "responses": {
            f"Settings{status}": answer(text, (*_COMMON, *_MORE.get(status, ())), error)
            for status, text in ERRORS.items()
        },
        "securitySchemes": {
            "basic": {"type": "http", "scheme": "basic", "description": "A user: docs/identity.md."},
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "Where `identity.jwt_…` is configured.",
            },
        },
    }


SECURITY: Final[list[Doc]] = [{"basic": []}, {"bearer": []}]
