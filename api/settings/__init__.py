"""The interface for clients of SAP Mobile Services: JSON configuration with roles, under /mobileservices.

The contract is docs/wire/settings.md. Documents, levels and role lists belong to `retain.engine.settings`.
"""

from __future__ import annotations

from retain.api.config.load import Config
from retain.api.http.message import Mounted
from retain.api.http.request_ids import REQUEST_ID
from retain.api.identity import Identity, identity_options
from retain.api.settings.address import PREFIXES
from retain.api.settings.interface import Settings
from retain.engine import EngineAccess
from retain.engine.audit.timeline import Trail

__all__ = ["Settings", "settings_interface"]

_ROOT = "/mobileservices/Storage/v1/runtime"
_EXAMPLE = (
    f"{_ROOT}/application/app/global -H 'Content-Type: application/json' "
    """-d '{"endpoints":{"ep1":{"url":"https://example.org"}}}'"""
)


def settings_interface(
    engine: EngineAccess, config: Config, identity: Identity | None = None, trail: Trail | None = None
) -> Mounted:
    """Return the interface as `config` describes it, ready to be mounted.

    `identity` authenticates callers, where other users than those of `config` may call. `trail`: the places
    of the records, where queries share them.
    """
    if identity is None:
        identity = Identity(identity_options(config), now=engine.now, entropy=engine.entropy)
    settings = Settings(engine, config.settings, identity, trail)
    return Mounted(
        name="settings",
        handle=settings.handle,
        error=settings.error,
        prefixes=PREFIXES,
        id_header=REQUEST_ID,
        about="JSON configuration of applications, users and devices, for clients of SAP Mobile Services.",
        root=_ROOT,
        example=lambda base: f"curl -u operator {base}{_EXAMPLE}",
    )
