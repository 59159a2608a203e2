"""The sample page at its old address (docs/wire/areas.md, section 12), usable without script.

A plain form cannot choose the ttl in its action URL while it is being filled in, nor send a header. So the
page takes the operation, ttl, id and `gms_user` as fields of its own that begin with an underscore, which
never are keys, and performs the operation here. Another form of the page posts to the interface itself,
with one button for each of three ttls.
"""

from __future__ import annotations

import json

from retain.api.areas.answers import COMMON
from retain.api.areas.errors import CrossSite, error_answer
from retain.api.areas.routes import AreaOperation, AreaTarget
from retain.api.areas.storage import Storage
from retain.api.html.rendering import environment
from retain.api.http.errors import MethodNotAllowed
from retain.api.http.message import BadRequest, Request, RequestError, Response
from retain.api.identity import IdentityError
from retain.engine import EngineError

_FIELDS = ("_operation", "_ttl", "_id", "_user", "_key")
_LABELS = {
    AreaOperation.CREATE: "Create",
    AreaOperation.UPDATE: "Update",
    AreaOperation.LIST: "Query all keys",
    AreaOperation.VALUE: "Query one key",
    AreaOperation.BINARY: "Query one binary key",
    AreaOperation.DELETE: "Delete",
}


class SamplePage:
    """Shows the page, and performs the operations of its forms.

    Args:
        storage: Performs it.

    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        # The stylesheet and the shapes are the ones of all pages; the page itself is this interface's.
        self._template = environment("retain.api.areas").get_template("storagetest.html")
        self._headers = [
            ("Content-Type", "text/html;charset=utf-8"),
            *COMMON,
            (
                "Content-Security-Policy",
                "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
                "base-uri 'none'; frame-ancestors 'none'",
            ),
            ("Referrer-Policy", "same-origin"),
        ]

    async def answer(self, request: Request, actor: str) -> Response:
        """Return the page, or the result of one of its forms.

        Raises:
            CrossSite: The form was sent by another site's page.
            MethodNotAllowed: The request is neither for the page nor from one of its forms.
        """
        if request.method in ("GET", "HEAD"):
            return self._render(200, {}, None)
        if request.method != "POST":
            raise MethodNotAllowed("GET, HEAD, OPTIONS, POST")
        refuse_cross_site(request)
        fields: dict[str, str] = {}
        try:
            response = await self._perform(request, actor, fields)
        except (RequestError, EngineError, IdentityError) as error:
            response = error_answer(request, error)
        if not isinstance(response.body, bytes):
            return response
        if response.status == 200 and fields.get("_operation") == AreaOperation.BINARY.value:
            return response
        return self._render(response.status, fields, response.body)

    async def _perform(self, request: Request, actor: str, fields: dict[str, str]) -> Response:
        async with self._storage.reader(request, fields) as reader:
            sent = await reader.read()
            values = {key: value for key, value in sent.items() if value != ""}
            name, user = fields.get("_id", "").strip(), fields.get("_user", "").strip() or None
            target = _target(fields, name)
            if target.operation in (AreaOperation.CREATE, AreaOperation.UPDATE):
                response = await self._storage.write(target, user, actor, values)
            else:
                response = await self._storage.perform(request, target, user, actor)
        if target.operation is AreaOperation.CREATE and isinstance(response.body, bytes):
            fields["_id"] = json.loads(response.body)["id"]
        return response

    def _render(self, status: int, fields: dict[str, str], body: bytes | None) -> Response:
        operation = next((known for known in AreaOperation if known.value == fields.get("_operation")), None)
        page = self._template.render(
            field={name.lstrip("_"): fields.get(name, "") for name in _FIELDS},
            label=_LABELS[operation] if operation is not None else "Request",
            status=status,
            answer=None if body is None else body.decode("utf-8", "replace"),
        )
        return Response(status, list(self._headers), page.encode())


def _target(fields: dict[str, str], name: str) -> AreaTarget:
    """Return the operation that a form's own fields name.

    Raises:
        BadRequest: The fields name none, or one without its id or key.
    """
    try:
        operation = AreaOperation(fields.get("_operation", ""))
    except ValueError:
        raise BadRequest("the form names no operation") from None
    key = fields.get("_key", "").strip()
    if operation is not AreaOperation.CREATE and not name:
        raise BadRequest("give the id of a storage area")
    if operation in (AreaOperation.VALUE, AreaOperation.BINARY) and not key:
        raise BadRequest("give the key to query")
    custom = operation is AreaOperation.CREATE and bool(name)
    return AreaTarget(operation, name, key, fields.get("_ttl", "").strip(), custom)


def refuse_cross_site(request: Request) -> None:
    """Refuse a form sent by another site's page.

    A form of this page names a customer, which a page elsewhere may not do in a visitor's browser.

    Raises:
        CrossSite: The browser reports that the form was sent from elsewhere.
    """
    site = request.header("sec-fetch-site")
    origin = request.header("origin")
    if site is not None:
        if site in ("same-origin", "none"):
            return
    elif origin is None or origin.partition("://")[2] == request.header("host"):
        return
    raise CrossSite("this form accepts only requests that its own page sent")
