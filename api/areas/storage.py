"""The operations on areas, for the interface and for the sample page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

from retain.api.areas.answers import (
    byte_range,
    encode_json,
    file_answer,
    json_answer,
    json_stream,
    stored_text,
    text_answer,
)
from retain.api.areas.errors import BadRange
from retain.api.areas.forms import FormReader, FormRules
from retain.api.areas.links import Links, file_link
from retain.api.areas.mime import FileControl
from retain.api.areas.routes import AreaOperation, AreaTarget
from retain.api.areas.ttl import parse_ttl
from retain.api.config.load import AreasConfig
from retain.api.http.message import BadRequest, Request, Response
from retain.engine import EngineAccess, NotFound
from retain.engine.areas import AreasPolicy, CreateArea, DeleteArea, NewValue, UpdateArea, Value, queries


class Storage:
    """The operations of the interface.

    Args:
        engine: The engine with the areas.
        config: The section `areas` of the configuration.
        links: Makes links to files.

    """

    def __init__(self, engine: EngineAccess, config: AreasConfig, links: Links) -> None:
        self._engine = engine
        self._config = config
        self._links = links
        self._policy = AreasPolicy(
            whole_area=config.ttl_scope == "area",
            upsert=config.upsert_with_user,
            max_keys=config.max_keys,
            max_name_bytes=config.max_key_bytes,
            quota_bytes=config.quota_bytes,
            quota_areas_per_user=config.quota_areas_per_user,
        )
        self._rules = FormRules(
            max_request_bytes=config.max_request_bytes,
            max_file_bytes=config.max_value_bytes,
            max_text_bytes=config.max_text_bytes,
            max_keys=config.max_keys,
            ignore_underscore=config.underscore_keys == "ignore",
            control=FileControl(config.allowed_mime_types) if config.allow_file_control else None,
        )

    async def perform(self, request: Request, target: AreaTarget, user: str | None, actor: str) -> Response:
        """Perform `target` for `user` (`gms_user`).

        Raises:
            EngineError: The engine refuses it.
            RequestError: The request breaks a rule of the interface.
        """
        match target.operation:
            case AreaOperation.LIST:
                return await self._list(request, target, user)
            case AreaOperation.VALUE:
                return await self._value(request, target, user)
            case AreaOperation.BINARY:
                return await self._binary(request, target, user)
            case AreaOperation.DELETE:
                command = DeleteArea(actor=actor, name=target.name, user=user, custom=target.custom)
                await self._engine.submit(command)
                return json_answer({})
        async with self.reader(request) as reader:
            return await self.write(target, user, actor, await reader.read())

    def reader(self, request: Request, system: dict[str, str] | None = None) -> FormReader:
        """Return a reader of the form of `request` under the configured rules."""
        return FormReader(request, partial(self._engine.upload, md5=False), self._rules, system)

    async def write(
        self, target: AreaTarget, user: str | None, actor: str, values: dict[str, NewValue]
    ) -> Response:
        """Create or update an area.

        Raises:
            EngineError: The engine refuses it.
        """
        config = self._config
        ttl = parse_ttl(target.ttl, default=config.default_ttl, maximum=config.max_ttl)
        random = self._engine.entropy(32)
        if target.operation is AreaOperation.UPDATE:
            await self._engine.submit(
                UpdateArea(
                    actor=actor,
                    name=target.name,
                    user=user,
                    resource=random[:16],
                    values=values,
                    ttl=ttl,
                    policy=self._policy,
                )
            )
            return json_answer({})
        name, owner = target.name, user
        if not target.custom:
            name, owner = str(UUID(bytes=random[16:], version=4)), None
        elif user is None:
            raise BadRequest("a custom id needs the gms_user header")
        created = await self._engine.submit(
            CreateArea(
                actor=actor,
                name=name,
                user=owner,
                resource=random[:16],
                values=values,
                ttl=ttl,
                policy=self._policy,
            )
        )
        return json_answer({"id": created})

    async def _list(self, request: Request, target: AreaTarget, user: str | None) -> Response:
        found = await self._engine.read(
            lambda state, now: queries.listing(state.areas, target.name, user, now, custom=target.custom)
        )
        listing: dict[str, str] = {}
        base = None
        for key, value in found:
            if isinstance(value, str):
                listing[key] = value
            elif value.media_type is None:
                return json_stream(self._long_listing(self._links.base(request), target.name, found))
            else:
                base = self._links.base(request) if base is None else base
                listing[key] = file_link(base, target.name, key)
        return json_answer(listing)

    async def _long_listing(
        self, base: str, name: str, found: list[tuple[str, Value]]
    ) -> AsyncIterator[bytes]:
        """Yield a listing whose texts are too long for memory, one text at a time.

        Values erased meanwhile are left out.
        """
        opening = "{"
        for key, value in found:
            if isinstance(value, str):
                text = value
            elif value.media_type is not None:
                text = file_link(base, name, key)
            else:
                try:
                    download = await self._engine.open_body(value.body)
                except NotFound:
                    continue
                try:
                    text = (await download.read()).decode()
                finally:
                    await download.aclose()
            yield f"{opening}{encode_json(key)}:{encode_json(text)}".encode()
            opening = ","
        yield b"{}" if opening == "{" else b"}"

    async def _find(self, target: AreaTarget, user: str | None) -> Value:
        return await self._engine.read(
            lambda state, now: queries.value(
                state.areas, target.name, user, target.key, now, custom=target.custom
            )
        )

    async def _value(self, request: Request, target: AreaTarget, user: str | None) -> Response:
        value = await self._find(target, user)
        if isinstance(value, str):
            return text_answer(value.encode())
        if value.media_type is None:
            return stored_text(await self._engine.open_body(value.body))
        return text_answer(file_link(self._links.base(request), target.name, target.key).encode())

    async def _binary(self, request: Request, target: AreaTarget, user: str | None) -> Response:
        value = await self._find(target, user)
        if isinstance(value, str):
            return text_answer(value.encode())
        if value.media_type is None:
            return stored_text(await self._engine.open_body(value.body))
        try:
            span = byte_range(request, value.body.size)
        except ValueError:
            raise BadRange(value.body.size) from None
        download = await self._engine.open_body(value.body)
        return file_answer(download, value.media_type, value.filename, span)
