"""No tenant has the name of another address' first segment: names are compared with what is mounted."""

from __future__ import annotations

import re

import trio

from retain.api.admin.actions import Administration
from retain.api.cli.assemble import assembled
from retain.api.config.checks import account_name
from retain.api.config.load import Config
from retain.engine.testing import open_memory_engine

ABOVE = ("api", "docs", "openapi", "static")
"""Segments that sites and their proxies put beside a server, mounted here or not."""


async def _mounted() -> set[str]:
    """Return the first path segments of all that a server with the default configuration answers."""
    async with open_memory_engine() as engine:
        config = Config()
        app = assembled(engine, config, await Administration.open(engine, config))
        pages = await app.pages()
        segments = {prefix for interface in app.interfaces for prefix in interface.prefixes}
        segments |= {rule.rule.split("/")[1] for rule in pages.url_map.iter_rules()}
        return {segment for segment in segments if segment and "<" not in segment}


def test_what_is_mounted_is_reserved() -> None:
    segments = trio.run(_mounted)
    assert {"console", "genesys", "mobileservices", "Storage", "healthz", "metrics"} <= segments
    for segment in sorted({*segments, *ABOVE}):
        for name in {segment, segment.lower()}:
            complaint = account_name(name)
            assert complaint is not None, f"{name} can be a tenant's name"
            if re.fullmatch("[a-z0-9]{3,24}", name):
                assert "reserved" in complaint
    assert account_name("mytenant") is None
