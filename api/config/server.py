"""Configuration of the server: where it listens, what it bears, where it stores, how long, what it logs."""

from __future__ import annotations

from dataclasses import dataclass

from retain.api.config.checks import base_url, bind_address, log_name, networks, path
from retain.api.config.fields import setting

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where Retain listens, for whom, and how much of anybody it bears."""

    bind: str = setting(
        "127.0.0.1:8080",
        "Address and port to listen on; port 0 takes any free one. An address that others can reach "
        "needs TLS, "
        "or behind_proxy with trusted_proxies, or insecure_bind.",
        check=bind_address,
    )
    tls_certificate: str | None = setting(
        None,
        "Certificate chain (PEM file); with tls_key it turns TLS and HTTP/2 on.",
        example="/etc/retain/cert.pem",
        check=path,
    )
    tls_key: str | None = setting(
        None,
        "Private key (PEM file). Refused if group or others may read it.",
        example="/etc/retain/key.pem",
        check=path,
    )
    external_url: str | None = setting(
        None,
        "The URL clients reach this server by, where it is not the one they ask for; used in links. "
        "A path is kept.",
        example="https://retain.example.org",
        check=base_url,
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Addresses or networks of reverse proxies whose Forwarded and X-Forwarded-* headers are believed. "
        "From anybody else these headers mean nothing.",
        example=["127.0.0.1"],
        check=networks,
    )
    behind_proxy: bool = setting(
        False,
        "Says that a reverse proxy named in trusted_proxies provides TLS, so that bind may be a "
        "public address.",
    )
    insecure_bind: bool = setting(
        False,
        "Says that requests and credentials may cross the network unencrypted. For closed test "
        "networks only.",
    )
    max_connections: int = setting(
        4096,
        "Open connections in all. Fewer if the limit of open files (RLIMIT_NOFILE) would not leave "
        "room to store.",
        minimum=1,
        maximum=1_000_000,
    )
    connections_per_peer: int = setting(
        2048,
        "Open connections from one address, of IPv6 from one /64 network. Beyond that the longest idle one "
        "makes room; if all are at work, the new one is answered 503. Loopback and trusted proxies are not "
        "counted.",
        minimum=1,
        maximum=1_000_000,
    )
    max_headers: int = setting(
        100, "Header fields in one request; more are answered 431.", minimum=10, maximum=1000
    )
    max_header_bytes: int = setting(
        16384,
        "Bytes of all header fields of one request; more are answered 431.",
        minimum=1024,
        maximum=1048576,
    )
    header_timeout: float = setting(
        10.0, "Seconds a client may take for the head of a request.", minimum=0.05, maximum=3600
    )
    keep_alive_timeout: float = setting(
        75.0, "Seconds an idle connection is kept open.", minimum=0.05, maximum=86400
    )
    min_body_rate: int = setting(
        1024,
        "Bytes a second a body must bring on average of ten seconds, else 408; 0 turns this off.",
        minimum=0,
    )
    write_timeout: float = setting(
        30.0,
        "Seconds a client may take nothing of an answer before it is cut off.",
        minimum=0.05,
        maximum=86400,
    )
    fast_http1: bool = setting(
        True,
        "Answer ordinary HTTP/1.1 requests on a short path of their own. Answers are the same without it; "
        "turn it off only to look for a fault.",
    )
    stop_timeout: float = setting(
        30.0,
        "Seconds requests in flight may take to finish when the server is told to stop.",
        minimum=0,
        maximum=3600,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Where the journal lives."""

    data: str = setting(
        "./retain-data",
        "The data folder; made at the first start, for its owner only. A relative path starts at "
        "this file's folder.",
        check=path,
    )
    segment_bytes: int = setting(
        64 * MEBIBYTE,
        "Size at which the journal starts a new file.",
        minimum=MEBIBYTE,
        maximum=1024 * MEBIBYTE,
    )
    inline_bytes: int = setting(
        65536,
        "Content up to this size lives in the journal, larger content in a file of its own.",
        minimum=0,
        maximum=MEBIBYTE // 2,
    )
    snapshot_records: int = setting(
        500_000,
        "Records between two snapshots, which make starting fast; 0 takes one at a clean stop only.",
        minimum=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionConfig:
    """How long what is kept, and how soon after its end it is gone from the disk."""

    recordings_days: int = setting(
        30,
        "Days a container keeps what is put into it, unless it has a rule of its own.",
        minimum=1,
        maximum=36500,
    )
    audit_days: int = setting(
        365,
        "Days the audit log keeps who did what; after that only that something happened.",
        minimum=1,
        maximum=36500,
    )
    erase_within_hours: float = setting(
        24.0,
        "Hours after a deadline within which the bytes are gone from the data folder.",
        minimum=0.01,
        maximum=720,
    )
    sweep_interval: float = setting(
        1.0,
        "Seconds between two sweeps that free what has expired, in all interfaces. Reads never depend on it.",
        minimum=0.05,
        maximum=3600,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """Signed checkpoints of the audit log, for others to keep."""

    origin: str | None = setting(
        None,
        "The name of this log in checkpoints and receipts, unique in the world, best a domain of yours and a "
        "path. Taken once, when the key is made at the first start; random without this.",
        example="retain.example.org/log",
        check=log_name,
    )
    checkpoint_folder: str | None = setting(
        None,
        "A folder to which checkpoints are written, one file each and the newest as latest.checkpoint. Best "
        "where this server's operator cannot remove them. A relative path starts at this file's folder.",
        example="/mnt/auditor/checkpoints",
    )
    checkpoint_url: str | None = setting(
        None,
        "A URL that checkpoints are posted to as text/plain; redirects are not followed.",
        example="https://auditor.example.org/checkpoints",
        check=base_url,
    )
    checkpoint_hours: float = setting(
        24.0,
        "Hours between two checkpoints; the first goes out at the start. Without new records none does.",
        minimum=0.01,
        maximum=8760,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """What is written to standard error, one line an event; never values, secrets or query strings."""

    level: str = setting(
        "info", "The least important kind of message to write.", choices=("debug", "info", "warning", "error")
    )
    format: str = setting(
        "auto",
        "json: one object a line; text: for people; auto: text on a terminal, json elsewhere.",
        choices=("auto", "json", "text"),
    )
    requests: bool = setting(
        False, "Also write one line for each request: method, interface, status, seconds."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsConfig:
    """Health and metrics."""

    metrics: bool = setting(True, "Serve counters for Prometheus at /metrics.")
    metrics_from: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1/128"), "Addresses or networks that may read /metrics.", check=networks
    )
