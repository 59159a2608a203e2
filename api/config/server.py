"""The sections `[server]`, `[log]` and `[operations]`: addresses, limits, logs, metrics and traces."""

from __future__ import annotations

from dataclasses import dataclass

from retain.api.config.checks import base_url, bind_address, networks, path
from retain.api.config.fields import setting

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Listening address, TLS and proxies, and the limits for each client."""

    bind: str = setting(
        "127.0.0.1:8080",
        "Address and port to listen on; port 0 takes any free one. 0.0.0.0 stands for all IPv4 addresses of "
        "the machine, [::] for its IPv6 addresses alone. An address that other machines can reach needs TLS, "
        "or behind_proxy with trusted_proxies, or insecure_bind.",
        check=bind_address,
    )
    tls_certificate: str | None = setting(
        None,
        "Certificate chain (PEM file); together with tls_key it enables TLS and HTTP/2.",
        example="/etc/retain/cert.pem",
        check=path,
    )
    tls_key: str | None = setting(
        None,
        "Private key (PEM file). The server refuses a file that group or others may read.",
        example="/etc/retain/key.pem",
        check=path,
    )
    external_url: str | None = setting(
        None,
        "The URL by which clients reach this server, if it differs from the one in their requests; used in "
        "links. It may have a path.",
        example="https://retain.example.org",
        check=base_url,
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Addresses or networks of reverse proxies whose Forwarded and X-Forwarded-* headers are trusted. "
        "These "
        "headers are ignored from all other peers.",
        example=["127.0.0.1"],
        check=networks,
    )
    behind_proxy: bool = setting(
        False,
        "Declare that a reverse proxy listed in trusted_proxies provides TLS, so that bind may be a public "
        "address.",
    )
    insecure_bind: bool = setting(
        False,
        "Declare that requests and credentials may cross the network unencrypted. For closed test "
        "networks only.",
    )
    workers: int = setting(
        1,
        "Processes that answer requests. From 2 on, one more process decides and writes; each of "
        "them holds the whole state in memory. Limits are for all of them together. Needs Linux.",
        minimum=1,
        maximum=64,
    )
    max_connections: int = setting(
        4096,
        "Open connections in total. The server allows fewer if the limit of open files (RLIMIT_NOFILE) would "
        "otherwise leave too few for storage.",
        minimum=1,
        maximum=1_000_000,
    )
    connections_per_peer: int = setting(
        2048,
        "Open connections from one IPv4 address or one IPv6 /64 network. A further connection closes the one "
        "that has been idle longest; if none is idle, it is answered 503. Loopback and trusted proxies "
        "are not "
        "counted.",
        minimum=1,
        maximum=1_000_000,
    )
    max_headers: int = setting(
        100,
        "Header fields in a request; a request with more is answered 431.",
        minimum=10,
        maximum=1000,
    )
    max_header_bytes: int = setting(
        16384,
        "Bytes of all header fields of a request; a request with more is answered 431.",
        minimum=1024,
        maximum=1048576,
    )
    header_timeout: float = setting(
        10.0, "Seconds in which a client must send the head of a request.", minimum=0.05, maximum=3600
    )
    keep_alive_timeout: float = setting(
        75.0, "Seconds after which an idle connection is closed.", minimum=0.05, maximum=86400
    )
    min_body_rate: int = setting(
        1024,
        "Slowest rate of a request body in bytes per second, averaged over ten seconds; slower requests are "
        "answered 408. 0: no limit.",
        minimum=0,
    )
    write_timeout: float = setting(
        30.0,
        "Seconds after which a connection is closed if the client reads nothing of a response.",
        minimum=0.05,
        maximum=86400,
    )
    fast_http1: bool = setting(
        True,
        "Handle ordinary HTTP/1.1 requests on a faster code path. Responses are the same without it; turn "
        "it off "
        "only to diagnose a problem.",
    )
    stop_timeout: float = setting(
        30.0,
        "Seconds in which requests in flight may finish when the server stops.",
        minimum=0,
        maximum=3600,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The log on standard error, one line per event; it never contains values, secrets or query strings."""

    level: str = setting(
        "info", "The lowest level that is logged.", choices=("debug", "info", "warning", "error")
    )
    format: str = setting(
        "auto",
        "json: one object per line; text: readable lines; auto: text on a terminal, fields in systemd's "
        "journal, json elsewhere.",
        choices=("auto", "json", "text"),
    )
    requests: bool = setting(
        False,
        "Also log each request: method, interface, operation, status, seconds, and the records that it made.",
    )
    slow_seconds: float = setting(
        10.0,
        "Log a warning for each request that took this many seconds or more, unless it waits for changes. "
        "The time in which its client sends and receives counts. 0: none.",
        minimum=0,
        maximum=86400,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsConfig:
    """Health, metrics and traces."""

    metrics: bool = setting(True, "Serve metrics for Prometheus at /metrics.")
    metrics_from: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1/128"), "Addresses or networks that may read /metrics.", check=networks
    )
    traces_url: str | None = setting(
        None,
        "Where an OpenTelemetry collector takes OTLP over HTTP; each request becomes a span there. Needs the "
        "extra: pip install 'retain[otel]'.",
        example="http://127.0.0.1:4318/v1/traces",
        check=base_url,
    )
