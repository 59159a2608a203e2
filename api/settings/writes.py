"""POST, PUT, PATCH and DELETE: read the body, build the command, and answer."""

from __future__ import annotations

from typing import Any

from retain.api.http.message import BadRequest, Request, Response
from retain.api.identity import Caller
from retain.api.settings.answers import created_answer, done_answer
from retain.api.settings.conditions import read_conditions
from retain.api.settings.errors import UnsupportedBody
from retain.api.settings.jsontext import read_json
from retain.api.settings.reads import SettingsReader, Wanted
from retain.engine import EngineAccess
from retain.engine.settings import (
    DeleteValue,
    EncodedValue,
    MergeValue,
    PatchValue,
    PostValue,
    PutValue,
    RestoreValue,
    SettingsPolicy,
)
from retain.engine.settings.json_patch import read_steps

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class SettingsWriter:
    """Handles writes.

    Args:
        engine: The engine with the settings.
        policy: The operator's policy.
        reader: Reads earlier versions.
        max_body_bytes: Longest body.

    """

    def __init__(
        self, engine: EngineAccess, policy: SettingsPolicy, reader: SettingsReader, max_body_bytes: int
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._reader = reader
        self._max_body_bytes = max_body_bytes

    async def answer(self, request: Request, wanted: Wanted, caller: Caller) -> Response:
        """Return the response to a write.

        Raises:
            EngineError: The engine refuses it.
            RequestError: The method does not accept this body.
        """
        facts: dict[str, Any] = {
            "actor": caller.actor,
            "asker": wanted.asker,
            "place": wanted.place,
            "path": wanted.path,
            "policy": self._policy,
            "conditions": read_conditions(request),
            "resource": self._engine.entropy(16),
        }
        match request.method:
            case "POST" if wanted.query.restore is not None:
                return await self._restore(wanted, wanted.query.restore, facts)
            case "POST":
                _, body = await self._body(request, {JSON})
                written = await self._engine.submit(PostValue(body=body, **facts))
            case "PUT":
                _, body = await self._body(request, {JSON})
                written = await self._engine.submit(PutValue(body=body, **facts))
            case "PATCH":
                kind, body = await self._body(request, {JSON, MERGE_PATCH, JSON_PATCH})
                if kind == JSON_PATCH:
                    steps = read_steps(body.value)
                    written = await self._engine.submit(PatchValue(steps=steps, size=len(body.text), **facts))
                else:
                    written = await self._engine.submit(MergeValue(body=body, **facts))
            case _:
                written = await self._engine.submit(DeleteValue(**facts))
        return created_answer(request, written.tag) if written.created else done_answer(written.tag)

    async def _restore(self, wanted: Wanted, revision: int, facts: dict[str, Any]) -> Response:
        value, document = await self._reader.earlier(wanted, revision)
        body = await self._engine.compute(lambda: EncodedValue.of(value))
        command = RestoreValue(body=body, whose=document.resource, **facts)
        return done_answer((await self._engine.submit(command)).tag)

    async def _body(self, request: Request, kinds: set[str]) -> tuple[str, EncodedValue]:
        """Return (media type, value) of the body.

        Raises:
            UnsupportedBody: Its type is not one of `kinds`.
            BadRequest: There is none.
        """
        kind = _media_type(request)
        if kind not in kinds:
            raise UnsupportedBody("the body must be JSON")
        data = await request.read_body(self._max_body_bytes)
        if not data:
            raise BadRequest("the body is empty")
        return kind, await read_json(self._engine, data, self._policy.max_depth)


def _media_type(request: Request) -> str:
    """Return the body's type, JSON if it has none.

    UTF-8 is the only charset, and no content coding is decoded: a small body could expand to a huge one.

    Raises:
        UnsupportedBody: Another charset, or a content coding.
    """
    coding = request.header("Content-Encoding")
    if coding is not None and coding.lower() not in {"", "identity"}:
        raise UnsupportedBody("a compressed body is not accepted")
    kind, *parameters = (request.header("Content-Type") or JSON).split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in {"utf-8", "utf8"}:
            raise UnsupportedBody("the body must be in UTF-8")
    return kind.strip().lower() or JSON
