"""The interface: authenticate a request, select its operation, and answer."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace

from retain.api.config.load import SettingsConfig
from retain.api.http.errors import MethodNotAllowed, NoRoute
from retain.api.http.message import HeaderFields, Request, RequestError, Response
from retain.api.identity import Caller, Identity, IdentityError, Method
from retain.api.settings.address import Address, Me, parse
from retain.api.settings.answers import options_answer
from retain.api.settings.errors import ALLOW, COMMON, METHODS, error_answer
from retain.api.settings.history import History
from retain.api.settings.query import read_query
from retain.api.settings.reads import SettingsReader, Wanted
from retain.api.settings.watch import Watchers
from retain.api.settings.writes import SettingsWriter
from retain.engine import EngineAccess, EngineError
from retain.engine.audit.timeline import Trail
from retain.engine.settings import Asker, Level, SettingsPolicy

ME_METHODS = ("Allow", "GET, HEAD, OPTIONS")


class Settings:
    """SAP Mobile Services storage over an engine.

    Args:
        engine: The engine with the settings.
        config: The section `settings` of the configuration.
        identity: Recognises callers.
        trail: The places of the journal's records; a server shares one.

    """

    def __init__(
        self, engine: EngineAccess, config: SettingsConfig, identity: Identity, trail: Trail | None = None
    ) -> None:
        self._engine = engine
        self._config = config
        self._identity = identity
        self._admins = frozenset(config.admin_roles)
        policy = policy_of(config)
        self.watchers = Watchers(engine, config.max_watchers, config.max_watchers_per_user)
        self._reader = SettingsReader(engine, policy, self.watchers, History(engine, policy, trail))
        self._writer = SettingsWriter(engine, policy, self._reader, config.max_body_bytes)

    async def handle(self, request: Request) -> Response:
        """Handle `request`.

        Refusals become responses; internal errors and disconnects propagate.
        """
        try:
            return await self._answer(request)
        except (RequestError, EngineError, IdentityError) as error:
            return error_answer(request, error)

    def error(self, request: Request, error: Exception) -> Response:
        """Return the response to an error that `handle` let pass."""
        return error_answer(request, error)

    async def _answer(self, request: Request) -> Response:
        address = parse(request.segments(), self._config.origin, self._config.max_name_bytes)
        if request.method not in METHODS:
            raise MethodNotAllowed(ALLOW[1])
        if request.method == "OPTIONS":
            return options_answer() if isinstance(address, Address) else Response(204, [ME_METHODS, *COMMON])
        caller = await self._identity.authenticate(request)
        if isinstance(address, Me):
            return self._me(request, address, caller)
        if caller.method is Method.ANONYMOUS and address.level is not Level.GLOBAL:
            # An anonymous caller has no settings.
            raise self._identity.challenge("credentials needed")
        asker = self._asker(caller)
        reading = request.method in {"GET", "HEAD"}
        query = read_query(
            request,
            merging=reading and address.level is not Level.GLOBAL,
            max_wait_s=self._config.max_wait_seconds,
        )
        headers = self._token(request) if reading else ()
        wanted = Wanted(asker, address.place(asker), address.path, query, headers)
        request.waits = reading and bool(query.wait_s or query.watch)
        request.operation = ("watch" if request.waits else "read") if reading else request.method.lower()
        if request.waits:
            wanted = replace(wanted, judge=self._judge(request, asker), lifetime_s=self._lifetime(caller))
        if reading:
            return await self._reader.answer(request, wanted)
        return await self._writer.answer(request, wanted, caller)

    def _judge(self, request: Request, asker: Asker) -> Callable[[], Awaitable[None]]:
        """Return the check before each delivery of a waiting response: whether the caller still has access.

        Raises, when called:
            IdentityError: The credential has expired or was revoked, or gives another name or other roles.
        """

        async def judge() -> None:
            caller = await self._identity.authenticate(request)
            if self._asker(caller) != asker:
                raise self._identity.challenge("the credentials no longer give the same name and roles")

        return judge

    def _lifetime(self, caller: Caller) -> float:
        """Return the seconds until the caller's credential ends."""
        return math.inf if caller.until is None else max(0.0, (caller.until - self._engine.now()) / 1e9)

    def _asker(self, caller: Caller) -> Asker:
        return Asker(caller.name, caller.roles, not self._admins.isdisjoint(caller.roles))

    def _token(self, request: Request) -> HeaderFields:
        """Return a CSRF token, which SAP's clients fetch before they write.

        See docs/wire/settings.md, section 9. Any token is accepted, and none is required: browsers do not
        send these clients' credentials automatically.
        """
        if (request.header("X-CSRF-Token") or "").lower() != "fetch":
            return ()
        return [("X-CSRF-Token", self._engine.entropy(16).hex())]

    def _me(self, request: Request, me: Me, caller: Caller) -> Response:
        """Return the caller's identity in SCIM format (RFC 7643 section 4.1)."""
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(ME_METHODS[1])
        if self._config.applications and me.application not in self._config.applications:
            raise NoRoute
        name = {"givenName": caller.given_name, "familyName": caller.family_name}
        return Response.json(
            200,
            {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "id": caller.name,
                "userName": caller.name,
                "name": {part: text for part, text in name.items() if text is not None},
                "emails": [] if caller.email is None else [{"value": caller.email, "primary": True}],
                "roles": [{"value": role} for role in sorted(caller.roles)],
            },
            [*COMMON, ("Vary", "Authorization"), *self._token(request)],
        )


def policy_of(config: SettingsConfig) -> SettingsPolicy:
    """Return the operator's rules in the form that the engine's commands carry."""
    return SettingsPolicy(
        applications=frozenset(config.applications),
        put_creates=config.put_creates,
        allow_object_arrays=config.allow_object_arrays,
        global_create_roles=frozenset(config.global_create_roles),
        admin_metadata=config.metadata_writers == "admin",
        shared_devices=config.device_isolation == "per_user",
        max_document_bytes=config.max_document_bytes,
        max_depth=config.max_depth,
        quota_application_bytes=config.quota_application_bytes,
        quota_devices=config.quota_devices_per_user,
    )
