"""The interface for clients of Genesys Mobile Services: areas of keys with a time to live, under /genesys.

The contract is docs/wire/areas.md. What an area is and when it ends belongs to `retain.engine.areas`.
"""

from __future__ import annotations

from retain.api.areas.interface import Areas
from retain.api.areas.links import Links
from retain.api.areas.routes import PAGE
from retain.api.config.load import Config
from retain.api.http.external import ExternalUrl
from retain.api.http.message import Mounted
from retain.api.http.request_ids import REQUEST_ID
from retain.api.identity import Identity, areas_identity_options
from retain.api.identity.throttle import LoginThrottle
from retain.engine import EngineAccess

__all__ = ["SAMPLE_PAGE", "Areas", "areas_interface"]

SAMPLE_PAGE = "/".join(PAGE)
"""Path of the sample page, without its leading slash."""


def areas_interface(engine: EngineAccess, config: Config, throttle: LoginThrottle | None = None) -> Mounted:
    """Return the interface over `engine`, to be mounted by `api.server.app`.

    `throttle` slows failed logins, where several processes share one.
    """
    options = areas_identity_options(config)
    identity = None
    if options is not None:
        identity = Identity(options, now=engine.now, entropy=engine.entropy, throttle=throttle)
    links = Links(ExternalUrl(config.server), relative=config.areas.relative_url)
    areas = Areas(engine, config.areas, links, identity)
    return Mounted(
        name="areas",
        handle=areas.handle,
        error=areas.error,
        prefixes=("genesys",),
        id_header=REQUEST_ID,
        about="Forms of keys, values and files, kept for a time to live, for clients of Genesys Mobile "
        "Services.",
        root="/genesys/1/storage",
        example=lambda base: f"curl -F Key1=Value1 {base}/genesys/1/storage/3600",
        page=(SAMPLE_PAGE, "Try areas in a form"),
    )
