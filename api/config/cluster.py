"""Configuration of a node of a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from retain.api.config.checks import bind_address, path
from retain.api.config.fields import setting

_NODE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def node_name(value: str) -> str | None:
    """Check for a node's name."""
    if _NODE.fullmatch(value):
        return None
    return "must be 1 to 63 lower-case letters, digits, dots or hyphens, such as n1"


def log_url(value: str) -> str | None:
    """Check for the URL of a PostgreSQL database."""
    try:
        scheme = urlsplit(value).scheme
    except ValueError:
        scheme = ""
    return None if scheme in ("postgresql", "postgres") else "must be a URL that begins with postgresql://"


def has_password(url: str) -> bool:
    """Return whether the URL of a database contains a password."""
    parts = urlsplit(url)
    return parts.password is not None or "password" in parse_qs(parts.query)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Several machines that answer as one. Without `log`, this machine stands alone."""

    log: str | None = setting(
        None,
        "URL of the PostgreSQL database (15 or newer) that carries the shared log. Setting it makes this "
        "server a node of a cluster; it needs name, link and secret_file.",
        example="postgresql://retain@db1,db2,db3/retain?target_session_attrs=read-write",
        secret=True,
        check=log_url,
    )
    name: str | None = setting(
        None, "Name of this node; no other node has it.", example="n1", check=node_name
    )
    link: str | None = setting(
        None,
        "Address and port of this machine where this node listens for the other nodes. 0.0.0.0 and [::] are "
        "all of its addresses, and need announce.",
        example="10.0.0.1:8079",
        check=bind_address,
    )
    announce: str | None = setting(
        None,
        "Address and port at which the other nodes reach this one, where that is not link: behind NAT, or "
        "in a container.",
        example="n1.example.com:8079",
        check=bind_address,
    )
    secret_file: str | None = setting(
        None,
        "File with the cluster's secret, the same on all nodes: at least 32 bytes, readable by its owner "
        "only. The connections between nodes are encrypted and authenticated with it, and the keys in the "
        "shared log are sealed with it.",
        example="/etc/retain/cluster.secret",
        check=path,
    )
    lease_seconds: float = setting(
        5.0,
        "Seconds after which another node takes over from a leader that has died.",
        minimum=1,
        maximum=60,
    )
    grant_seconds: float = setting(
        2.0,
        "Seconds for which a node may answer without hearing from the leader. A node that dies delays "
        "changes for so long. At most half of lease_seconds.",
        minimum=0.4,
        maximum=30,
    )
    keep_hours: float = setting(
        6.0,
        "Hours for which the shared log keeps records at least. A node that was away for longer is seeded "
        "from a backup of another one.",
        minimum=0.1,
        maximum=168,
    )
    copies: int = setting(
        2,
        "Number of nodes whose folders must have a record before the shared log drops it.",
        minimum=1,
        maximum=9,
    )

    @property
    def address(self) -> str:
        """Return where the other nodes reach this one; empty without a cluster."""
        return self.announce or self.link or ""
