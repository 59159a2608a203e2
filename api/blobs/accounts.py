"""The accounts of the surface: their keys as configured, and what must be there before the first request."""

from base64 import b64decode
from collections.abc import Iterable, Mapping

from api.blobs.authentication import KeysOf
from api.config import Config, TenantConfig
from engine import Engine
from engine.blobs.commands import ConfigureRetention, EnsureContainers

ACTOR = "configuration"
"""Who stands in the journal for what the configuration asks for."""


def configured_keys(tenants: Iterable[TenantConfig]) -> KeysOf:
    """The keys fixed in the configuration, one an account. Tenants without one are not served by it."""
    keys: Mapping[str, tuple[bytes, ...]] = {
        tenant.name: (b64decode(tenant.key, validate=True),) for tenant in tenants if tenant.key is not None
    }
    return keys.get


async def prepare(engine: Engine, config: Config) -> None:
    """Tell the engine the configured retention, and make the containers that tenants should have.

    Done at each start; changes nothing that is as it should be. Raises engine errors.
    """
    await engine.submit(
        ConfigureRetention(actor=ACTOR, days=config.retention.recordings_days, resource=engine.entropy(16))
    )
    for tenant in config.tenants:
        if tenant.containers:
            containers = tuple((name, engine.entropy(16)) for name in tenant.containers)
            await engine.submit(EnsureContainers(actor=ACTOR, account=tenant.name, containers=containers))
