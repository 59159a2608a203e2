"""Serve as a node of a cluster: what the node needs, from the configuration."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from importlib import metadata
from math import ceil
from pathlib import Path
from typing import Any, Final

import trio

from retain.api.config.checks import split_bind
from retain.api.config.engine import engine_options
from retain.api.config.load import Config, ConfigError
from retain.api.nodes.transport import TlsTransport
from retain.engine import Options
from retain.engine.audit.backups import others
from retain.engine.audit.checkpoints import ensure_key
from retain.engine.nodes.files import SharedFiles
from retain.engine.nodes.members import AWAY_S, members
from retain.engine.nodes.node import NodeEngine
from retain.engine.nodes.open import open_node
from retain.engine.nodes.options import Cluster, Connect, NodeOptions
from retain.journal import BadTarget, Disk, ObjectDisk, open_journal
from retain.journal.disk.objects import MARK, Objects, StoredObjects
from retain.journal.shared.interface import Shared, SharedHead

LOG = logging.getLogger("retain.nodes")

SECRET_BYTES: Final = 32
"""Least length of the cluster's secret."""


@asynccontextmanager
async def opened_node(config: Config, options: Options) -> AsyncIterator[NodeEngine]:
    """Open the data folder as a node, with the small files that all nodes have.

    It follows or leads after `retain.api.nodes.join.join`.

    Raises:
        ConfigError: See `cluster_of`; the store, `cluster.link` or `cluster.announce` cannot be the node's.
        Exception: See `retain.engine.nodes.open.open_node`.

    """
    disk = node_disk(config)
    cluster = await trio.to_thread.run_sync(cluster_of, config, disk)
    assert config.cluster.link is not None
    await _check_link(config.cluster.link)
    await trio.to_thread.run_sync(_check_others, config, cluster)
    async with open_node(disk, cluster, options=options) as engine:
        await trio.to_thread.run_sync(_use_store, disk, engine.identity)
        await engine.load_files()
        yield engine


def node_disk(config: Config, *, create: bool = True, begin: bool = False) -> ObjectDisk:
    """Return the data folder with the store that all nodes have for payloads.

    Args:
        config: The configuration.
        create: Create the data folder if there is none.
        begin: Create the store's folder, too: only where a cluster begins. Elsewhere a missing one is that of
            a file system which is not mounted.

    Raises:
        ConfigError: obstore is not installed, or `storage.payloads` names no store.
        OSError: The folder cannot be used.

    """
    return ObjectDisk(config.storage.data, store_of(config, create=begin), create=create)


def store_of(config: Config, *, create: bool = False) -> StoredObjects:
    """Return the store that all nodes have for payloads.

    Raises:
        ConfigError: obstore is not installed, or `storage.payloads` names no store.

    """
    url, key = config.storage.payloads, "storage.payloads"
    assert url is not None
    try:
        return StoredObjects.at(url, create=create)
    except ImportError as error:
        reason = f"needs obstore ({error}): pip install 'retain[cluster]'"
        raise ConfigError("configuration", key, reason) from None
    except ValueError as error:
        raise ConfigError("configuration", key, f"cannot be used: {error}") from None


def _use_store(disk: ObjectDisk, identity: bytes) -> None:
    """Refuse a store that is not the cluster's; remove local payloads that it has."""
    check_store(disk.objects, identity)
    if others := disk.drop_copies():
        LOG.warning("payloads in the data folder are not in the store", extra={"facts": {"count": others}})


def check_store(objects: Objects, identity: bytes) -> None:
    """Refuse a store that is not the cluster's, such as a folder that each machine has for itself.

    Raises:
        ConfigError: It is not, or does not answer.

    """
    try:
        there = objects.read(MARK, 0, objects.size(MARK))
    except FileNotFoundError:
        there = b""
    except OSError as error:
        raise ConfigError("configuration", "storage.payloads", error.strerror or str(error)) from None
    if there != identity.hex().encode():
        reason = (
            f"is not the store that the cluster was begun with ({'of another one' if there else 'no mark'}); "
            "all nodes need the same, and every machine must reach it"
        )
        raise ConfigError("configuration", "storage.payloads", reason)


async def _check_link(link: str) -> None:
    """Refuse an address on which this node cannot listen."""
    host, port = split_bind(link)
    try:
        for listener in await trio.open_tcp_listeners(port, host=host):
            await listener.aclose()
    except OSError as error:
        reason = (
            f"cannot be listened on ({error.strerror or error}): it must be an address of this machine, and "
            "a port that nothing else uses. If the other nodes reach this one at another address, give that "
            "one as cluster.announce"
        )
        raise ConfigError("configuration", "cluster.link", reason) from None


def _check_others(config: Config, cluster: Cluster) -> None:
    """Refuse the name and the address of a node that runs elsewhere, before this one reports with them."""
    name, url = cluster.node.name, cluster.node.url
    with closing(cluster.connect()) as shared:
        present = [one for one in shared.nodes() if one.age < AWAY_S]
    for one in present:
        if one.name == name and one.url != url:
            reason = (
                f"is {name}, and a node of that name, which reported {one.age:.0f} s ago, is reached at "
                f"{one.url}. Each node needs its own name; a node with a new address waits {AWAY_S:.0f} s"
            )
            raise ConfigError("configuration", "cluster.name", reason)
        if one.name != name and one.url == url:
            reason = (
                f"is {url}, and node {one.name}, which reported {one.age:.0f} s ago, is reached there. Each "
                f"node needs an address of its own; a renamed node waits {AWAY_S:.0f} s"
            )
            key = "cluster.link" if config.cluster.announce is None else "cluster.announce"
            raise ConfigError("configuration", key, reason)


def cluster_of(config: Config, disk: Disk) -> Cluster:
    """Return what the node of this configuration needs.

    Raises:
        ConfigError: The secret cannot be used, or psycopg is not installed.

    """
    cluster = config.cluster
    assert cluster.name is not None
    assert cluster.link is not None
    secret = read_secret(config)
    return Cluster(
        node=NodeOptions(
            name=cluster.name,
            url=cluster.address,
            release=metadata.version("retain"),
            lease_seconds=cluster.lease_seconds,
            grant_seconds=cluster.grant_seconds,
            copies=cluster.copies,
            keep_hours=cluster.keep_hours,
        ),
        connect=connecting(config),
        transport=TlsTransport(cluster.link, secret),
        files=SharedFiles(disk, secret, others),
    )


def begin(config: Config) -> dict[str, Any]:
    """Begin a cluster on the data folder: its journal and keys become those of all nodes. May be repeated.

    Raises:
        ConfigError: See `cluster_of`.
        journal.Locked: A server runs on the folder.
        journal.BadTarget: The database has the shared log of another journal, or one with later records; or a
            node leads.
        journal.Unsettled: The database does not answer.

    """
    secret, connect = read_secret(config), connecting(config)
    disk = node_disk(config, begin=True)
    options = replace(engine_options(config), shared=True).journal()
    with closing(connect()) as shared, closing(open_journal(disk, lambda _: None, options=options)) as log:
        ensure_key(disk, os.urandom, config.audit.origin)
        head = log.head
        payloads = disk.take_in()
        disk.objects.put(MARK, log.identity.hex().encode())
        shared.create(log.identity, head.seq, head.root, head.segment)
        _refuse_led(shared.head())
        # A node refuses a log that keeps no keys, so a crash before the next line removes none.
        changes = SharedFiles(disk, secret, others).changes()
        shared.keep(changes, shared.head().term)
    return {"record": head.seq, "files": len(changes), "payloads": payloads}


def _refuse_led(head: SharedHead) -> None:
    """Refuse to give a running cluster the keys of this folder, which may be older."""
    if head.remaining > 0:
        raise BadTarget(
            f"node {head.leader} leads the cluster already; to begin it again, stop all nodes. If that node "
            f"has ended without a stop, wait {ceil(head.remaining)} s, and run `retain node init` again"
        )


def nodes_of(config: Config) -> list[dict[str, Any]]:
    """Return what the shared log knows of each node; see `retain.engine.nodes.members`.

    Raises:
        ConfigError: psycopg is not installed.
        journal.BadTarget: No cluster was begun there.
        journal.Unsettled: The database does not answer.

    """
    with closing(connecting(config)()) as shared:
        head, reports = shared.head(), shared.nodes()
    return [one._asdict() for one in members(head, reports)]


def read_secret(config: Config) -> bytes:
    """Return the cluster's secret.

    Raises:
        ConfigError: It cannot be read, is too short, or others may read it.

    """
    path = Path(config.cluster.secret_file or "")
    key = "cluster.secret_file"
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(str(path), key, "group or others may use this file; chmod 600 it")
        secret = path.read_bytes().strip()
    except FileNotFoundError:
        reason = "does not exist; make one: openssl rand -hex 32"
        raise ConfigError(str(path), key, reason) from None
    except PermissionError:
        reason = "cannot be read: the user that runs Retain must own this file"
        raise ConfigError(str(path), key, reason) from None
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise ConfigError(str(path), key, reason) from None
    if len(secret) < SECRET_BYTES:
        raise ConfigError(str(path), key, f"is shorter than {SECRET_BYTES} bytes: openssl rand -hex 32")
    return secret


def connecting(config: Config) -> Connect:
    """Return a function that connects to the shared log.

    Raises:
        ConfigError: psycopg is not installed.

    """
    url = config.cluster.log
    assert url is not None
    try:
        from retain.journal.shared.postgres import PostgresShared  # only where there is a cluster
    except ImportError as error:
        reason = f"needs psycopg ({error}): pip install 'retain[cluster]'"
        raise ConfigError("configuration", "cluster.log", reason) from None

    def connect() -> Shared:
        return PostgresShared(url)

    return connect
