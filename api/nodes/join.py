"""Connect a server's administration with its node."""

from __future__ import annotations

import logging
from typing import Final

import trio

from retain.api.admin.actions import Administration
from retain.engine import EngineError
from retain.engine.nodes.node import NodeEngine
from retain.engine.nodes.orphans import StoreOrphans
from retain.journal import ObjectDisk

LOG = logging.getLogger("retain.nodes")

KEEP_S: Final = 5.0
"""Seconds between two reports of the webhooks' delivery state to the other nodes."""


def join(engine: NodeEngine, administration: Administration) -> None:
    """Let the node take part: from here on it follows or leads."""
    tenants, users, notifier = administration.tenants, administration.users, administration.notifier

    def loaded() -> None:
        tenants.read_again()
        users.load()

    def share() -> None:  # called in a worker thread, before the change is answered
        trio.from_thread.run(engine.share_files)

    async def keep() -> None:
        while True:
            await trio.sleep(KEEP_S)
            try:
                await engine.keep_files()
            except EngineError as error:
                LOG.warning("the delivery state was not shared", extra={"facts": {"why": str(error)}})

    engine.files.loaded = loaded
    tenants.changed, users.share = share, engine.share_files
    engine.on_lead(administration.configure)
    engine.on_lead(notifier.load)  # where the last leader stopped
    engine.while_leading(notifier.run)
    if notifier.webhooks:
        engine.while_leading(keep)
    if isinstance(engine.disk, ObjectDisk):
        engine.while_leading(_orphans(engine, engine.disk).run)
    if administration.checkpoints.wanted:
        engine.while_leading(administration.checkpoints.run)
    engine.take_part()


def _orphans(engine: NodeEngine, disk: ObjectDisk) -> StoreOrphans:
    return StoreOrphans(
        disk.payloads,
        disk.remove_payload,
        lambda: engine.state.shared.payloads,
        lambda: engine.role == "leader",
    )
