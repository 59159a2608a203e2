"""Administrative actions on tenants and tokens, written once for the command line and the console.

Every action takes and returns plain JSON values, so that it can be called over the control socket of a
running server (`api/admin/control.py`) as well as in this process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

import trio

from retain.api.admin import CONTAINERS, tokens
from retain.api.admin.backups import Backups
from retain.api.admin.clock import ClockActions
from retain.api.admin.doctor import Doctor
from retain.api.admin.exporter import Checkpoints
from retain.api.admin.losses import LossActions
from retain.api.admin.moments import instant, written, zone_of
from retain.api.admin.notifications import NotificationActions
from retain.api.admin.rights import Rights
from retain.api.admin.settings import SettingsActions
from retain.api.admin.status import Status
from retain.api.admin.tenants import KEYS, Tenants, encoded
from retain.api.admin.users import Users
from retain.api.config.checks import container_names
from retain.api.config.load import Config
from retain.api.config.wildcards import listens_everywhere, openable
from retain.api.identity import identity_options
from retain.api.notifications.notifier import Notifier
from retain.engine import Engine, Invalid
from retain.engine.audit.checkpoints import ensure_key
from retain.engine.blobs import queries
from retain.engine.blobs.container_commands import (
    ConfigureRetention,
    EnsureContainers,
    RemoveAccount,
    SetContainerRetention,
)
from retain.engine.tokens import RecordKeyRotation

FOREVER: Final = "forever"
"""Instead of a number of days. 0 is refused: a script that computes 0 by mistake must not switch deletion
off.
"""
RETAIN: Final = "retain"
"""The actor of actions for the configuration, in the audit log."""

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class Administration:
    """The administrative actions of one data folder; created once beside the engine.

    Attributes:
        tenants: Accounts and keys, which requests are also verified against.
        users: The users who can sign in.
        checkpoints: Signs the audit log, also on a schedule.
        backups: Makes backups, and knows the last one.
        notifier: Notifies webhooks of changes.
        doctor: Reports what only the running process knows about itself.
        listens_at: The server's URL if it differs from the configuration, such as on a free port; otherwise
            None.
        listening: Set once `listens_at` is; None if no server is going to listen in this process.
    """

    def __init__(
        self, engine: Engine, tenants: Tenants, users: Users, checkpoints: Checkpoints, config: Config
    ) -> None:
        self.tenants = tenants
        self.users = users
        self.checkpoints = checkpoints
        self.backups = Backups(engine)
        self.listens_at: str | None = None
        self.listening: trio.Event | None = None
        self._engine = engine
        self._config = config
        self.doctor = Doctor(engine)
        self._status = Status(engine, self.backups, checkpoints)
        source = f"urn:retain:{quote(checkpoints.origin, safe='')}"
        self.notifier = Notifier(
            engine, config.webhooks, source=source, url_of=self.url_of, trail=checkpoints.trail
        )
        # Keys are in files, tokens in the journal: actions that change both run one at a time.
        self._keys_turn = trio.Lock()
        self._included: dict[str, Callable[..., Awaitable[Any]]] = {}

    @classmethod
    async def open(cls, engine: Engine, config: Config, *, serving: bool = False) -> Administration:
        """Read the accounts, create the configured ones that are missing, and apply the configured retention.

        To be called at each start, before anything is served; `serving` if this process is going to listen.

        Raises:
            ConfigError, Invalid, NoSpace, OSError: See `Tenants.load`.
        """
        tenants = Tenants(engine.disk, config.tenants, engine.entropy)
        # A node that follows creates nothing: it has what the leader created.
        await trio.to_thread.run_sync(tenants.load if engine.decides else tenants.read_again)
        signer = await trio.to_thread.run_sync(ensure_key, engine.disk, engine.entropy, config.audit.origin)
        users = Users(engine.disk, identity_options(config).users, engine.submit, engine.entropy)
        await trio.to_thread.run_sync(users.load)
        self = cls(engine, tenants, users, Checkpoints(engine, signer, config.audit), config)
        self.listening = trio.Event() if serving else None
        await trio.to_thread.run_sync(self.backups.load)
        await self.notifier.load()
        if engine.decides:
            await self.configure()
        return self

    async def configure(self) -> None:
        """Apply the configured retention and create the configured accounts, where this engine decides."""
        await trio.to_thread.run_sync(self.tenants.load)
        engine, days = self._engine, self._config.retention.recordings_days
        await engine.submit(ConfigureRetention(actor=RETAIN, days=days, resource=engine.entropy(16)))
        for tenant in self._config.tenants:
            await self._ensure(tenant.name, tenant.containers, RETAIN)

    def show_workers(
        self,
        refresh: Callable[[], Awaitable[None]],
        shown: Callable[[], list[dict[str, Any]]],
        seen: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """Include workers in status and doctor.

        Args:
            refresh: Ask them how they are.
            shown: Returns the report on each worker.
            seen: Return what requests look like when they arrive there.

        """
        self._status.workers = shown
        self._status.refresh = self.doctor.refresh = refresh
        self.doctor.seen = seen

    def include(self, actions: Mapping[str, Callable[..., Awaitable[Any]]]) -> None:
        """Offer further actions, of what only some servers are: a node of a cluster."""
        self._included.update(actions)

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {
            "tenant add": self.add_tenant,
            "tenant list": self.list_tenants,
            "tenant show": self.show_tenant,
            "tenant rotate-key": self.rotate_key,
            "tenant retention": self.set_retention,
            "tenant remove": self.remove_tenant,
            "token create": self.create_tokens,
            "token list": self.list_tokens,
            "token revoke": self.revoke_tokens,
            **SettingsActions(self._engine, self._config).actions(),
            **Rights(self._engine).actions(),
            **self.checkpoints.actions(),
            **self.backups.actions(),
            **self._status.actions(),
            **self.doctor.actions(),
            **self.users.actions(),
            **ClockActions(self._engine).actions(),
            **LossActions(self._engine).actions(),
            **NotificationActions(self._engine, self.notifier).actions(),
            **self._included,
        }

    def listens(self, url: str) -> None:
        """Note that the server listens, and where."""
        self.listens_at = url
        if self.listening is not None:
            self.listening.set()

    def url_of(self, account: str, base: str | None = None) -> str:
        """Return the account's URL, without a slash at its end; `base` is how a client reached the server."""
        server, suffixes = self._config.server, self._config.blobs.host_suffixes
        base = server.external_url or base or openable(self._listens_at())
        if suffixes:
            scheme, _, rest = base.partition("://")
            port = rest.partition("/")[0].rpartition(":")[2]
            end = f":{port}" if port.isdigit() else ""
            return f"{scheme}://{account}{suffixes[0]}{end}"
        return f"{base.rstrip('/')}/{account}"

    def url_notice(self, url: str) -> str | None:
        """Return why clients cannot use `url`, as far as the configuration shows; None if they can."""
        server = self._config.server
        if server.external_url is not None:
            return None
        if server.behind_proxy and url.startswith("http:"):
            return (
                f"{url} is not how clients reach this server: server.behind_proxy is set and "
                "server.external_url is not. Set external_url to the proxy's address, https:// included"
            )
        if urlsplit(url).port == 0:
            return (
                f"{url} has no port: server.bind takes any free one, and no server listens. Run the command "
                "again while the server runs, or set server.external_url"
            )
        if urlsplit(url).hostname in _LOOPBACK and listens_everywhere(self._listens_at()):
            return (
                f"{url} opens on this machine only. The server listens on all addresses: set "
                "server.external_url to the one that clients use"
            )
        return None

    def _listens_at(self) -> str:
        """Return the base URL of the address that the server listens on, or is configured to."""
        server = self._config.server
        scheme = "https" if server.tls_certificate else "http"
        return self.listens_at or f"{scheme}://{server.bind}"

    async def _port_taken(self) -> None:
        """Wait until a starting server has the port that URLs name, if the kernel chooses it."""
        server = self._config.server
        chosen = server.external_url is None and server.bind.endswith(":0")
        if chosen and self.listening is not None:
            await self.listening.wait()

    async def _ensure(self, account: str, containers: Sequence[str], actor: str) -> None:
        named = tuple((name, self._engine.entropy(16)) for name in containers)
        await self._engine.submit(EnsureContainers(actor=actor, account=account, containers=named))

    async def add_tenant(
        self, *, actor: str, name: str, containers: Sequence[str] = CONTAINERS
    ) -> dict[str, Any]:
        """Create an account with two keys, and its containers.

        Raises:
            Invalid: `account-name` or `container-name`.
            Conflict: `tenant-exists`.
        """
        if (complaint := container_names(tuple(containers))) is not None:
            raise Invalid(complaint, reason="container-name")
        async with self._keys_turn:
            await trio.to_thread.run_sync(self.tenants.add, name)
            await self._ensure(name, containers, actor)
        return await self.show_tenant(actor=actor, name=name)

    async def list_tenants(self, *, actor: str) -> list[dict[str, Any]]:
        """Return all tenants, without keys."""
        return [await self.show_tenant(actor=actor, name=name) for name in self.tenants.names()]

    async def show_tenant(self, *, actor: str, name: str, with_keys: bool = False) -> dict[str, Any]:
        """Return one tenant: the origin of its keys, the contents of its containers, and their deadlines.

        Raises:
            NotFound: `tenant`.
        """
        keys = self.tenants.required(name)
        await self._port_taken()
        found = await self._engine.read(lambda state, _: queries.container_totals(state.blobs, name))
        tenant = {
            "name": name,
            "url": self.url_of(name),
            "notice": self.url_notice(self.url_of(name)),
            "source": "configuration" if self.tenants.is_configured(name) else "command line",
            "fixed_key": self.tenants.is_fixed(name),
            "containers": [_container(one) for one in found],
        }
        return {**tenant, "keys": [encoded(key) for key in keys]} if with_keys else tenant

    async def rotate_key(self, *, actor: str, name: str, key: int) -> dict[str, Any]:
        """Replace a key.

        Every token that it signed is invalid at once, and every client that uses it must be given the new
        one.

        Raises:
            NotFound: `tenant`.
            Invalid: `key`.
            Conflict: `fixed-key`.
        """
        async with self._keys_turn:
            await trio.to_thread.run_sync(self.tenants.rotate, name, key)
            ended = await self._rotated(actor, name, key)
        return {"name": name, "key": key, "tokens_ended": ended}

    async def _rotated(self, actor: str, name: str, key: int) -> int:
        resource = self._engine.entropy(16)
        return await self._engine.submit(
            RecordKeyRotation(actor=actor, account=name, key=key, resource=resource)
        )

    async def set_retention(
        self, *, actor: str, name: str, container: str, days: int | str | None
    ) -> dict[str, Any]:
        """Set how long a container keeps blobs after their last write.

        Args:
            actor: The caller.
            name: The tenant.
            container: The container.
            days: 1 to 36500; `FOREVER`; None as configured.

        Raises:
            NotFound: `tenant`, `container`.
            Invalid: `days`.

        """
        self.tenants.required(name)
        number = 0 if days == FOREVER else days
        if isinstance(number, str) or (number is not None and days != FOREVER and not 1 <= number <= 36_500):
            raise Invalid(f"days must be 1 to 36500, or {FOREVER!r}", reason="days")
        await self._engine.submit(
            SetContainerRetention(actor=actor, account=name, container=container, days=number)
        )
        return await self.show_tenant(actor=actor, name=name)

    async def remove_tenant(self, *, actor: str, name: str) -> dict[str, Any]:
        """Remove a tenant with its containers, everything in them, its tokens and its keys.

        Raises:
            NotFound: `tenant`.
            Conflict: `configured`.
        """
        removal = RemoveAccount(actor=actor, account=name)
        async with self._keys_turn:
            self.tenants.check_removable(name)
            containers = await self._engine.submit(removal)
            await trio.to_thread.run_sync(self.tenants.remove, name)
            # A client with a key could still create a container until the key was removed.
            containers += await self._engine.submit(removal)
            for key in KEYS:
                await self._rotated(actor, name, key)
        return {"name": name, "containers": containers}

    async def create_tokens(
        self,
        *,
        actor: str,
        tenant: str,
        expiry: str,
        start: str | None = None,
        timezone: str = "UTC",
        revoke_existing: bool = False,
        containers: Sequence[str] = CONTAINERS,
        base: str | None = None,
    ) -> list[dict[str, Any]]:
        """Generate one token for the account and one for each container.

        The tokens are in the result and stored nowhere.

        Raises:
            NotFound: `tenant`, `container`.
            Conflict: `policy-limit`.
            Invalid: `timezone`, `date`, `token-times`, `container`; `external-url`: the tokens would contain
                the address behind the proxy, and could be used without TLS.
        """
        self.tenants.required(tenant)
        zone = zone_of(timezone)
        await self._port_taken()
        url = self.url_of(tenant, base)
        if self._config.server.behind_proxy and (notice := self.url_notice(url)) is not None:
            raise Invalid(f"no token was made: {notice}", reason="external-url")
        async with self._keys_turn:
            issued = await tokens.generate_tokens(
                self._engine,
                self.tenants.required(tenant),
                account=tenant,
                url=url,
                start=None if start is None else instant(start, zone),
                expiry=instant(expiry, zone),
                revoke_existing=revoke_existing,
                actor=actor,
                containers=containers,
            )
        return [{**token.shown(), "notice": self.url_notice(url)} for token in issued]

    async def list_tokens(self, *, actor: str, tenant: str) -> list[dict[str, Any]]:
        """Return the tenant's tokens that have not expired, without the tokens themselves.

        Raises:
            NotFound: `tenant`.
        """
        self.tenants.required(tenant)
        return await tokens.tokens_of(self._engine, tenant)

    async def revoke_tokens(
        self, *, actor: str, tenant: str, ids: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Revoke container tokens, all if `ids` is None; return the revoked ones.

        Raises:
            NotFound: `tenant`, `token`.
            Conflict: `not-revocable`.
            Invalid: `token`.
        """
        self.tenants.required(tenant)
        return await tokens.revoke_tokens(self._engine, tenant, ids, actor)


def _container(found: queries.ContainerTotals) -> dict[str, Any]:
    return {
        "name": found.name,
        "blobs": found.blobs,
        "bytes": found.size,
        "keeps_days": found.days,
        "policies": len(found.entry.policies),
        "next_end": None if found.first_end is None else written(found.first_end),
    }
