"""The configuration: one TOML file, all of it optional, credentials and the environment; checked at once.

Unknown keys, wrong types and impossible values stop the start with file, key and reason. Every key
`[section] key` can be given as `RETAIN_SECTION_KEY`, or as a credential `section.key`. `RETAIN_CONFIG` names
the file itself.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from retain.api.config import toml
from retain.api.config.checks import split_bind
from retain.api.config.cluster import ClusterConfig, has_password
from retain.api.config.console import ConsoleConfig
from retain.api.config.credentials import credentials
from retain.api.config.fields import ConfigError, ConfigKey, build, convert_text, keys_of
from retain.api.config.identity import IdentityConfig, TenantConfig, UserConfig
from retain.api.config.interfaces import AreasConfig, BlobsConfig, SettingsConfig
from retain.api.config.notifications import WebhookConfig, contradiction
from retain.api.config.server import LogConfig, OperationsConfig, ServerConfig
from retain.api.config.storage import AuditConfig, RetentionConfig, StorageConfig
from retain.api.config.wildcards import is_wildcard

__all__ = [
    "AreasConfig",
    "AuditConfig",
    "BlobsConfig",
    "ClusterConfig",
    "Config",
    "ConfigError",
    "ConsoleConfig",
    "IdentityConfig",
    "LogConfig",
    "OperationsConfig",
    "RetentionConfig",
    "ServerConfig",
    "SettingsConfig",
    "StorageConfig",
    "TenantConfig",
    "UserConfig",
    "WebhookConfig",
    "is_loopback",
    "load",
]

LOG = logging.getLogger("retain.config")

SECTIONS: dict[str, type[Any]] = {
    "server": ServerConfig,
    "storage": StorageConfig,
    "cluster": ClusterConfig,
    "retention": RetentionConfig,
    "audit": AuditConfig,
    "areas": AreasConfig,
    "settings": SettingsConfig,
    "blobs": BlobsConfig,
    "identity": IdentityConfig,
    "console": ConsoleConfig,
    "operations": OperationsConfig,
    "log": LogConfig,
}
"""The single tables, in the order of the file."""
TABLES: dict[str, type[Any]] = {"users": UserConfig, "tenants": TenantConfig, "webhooks": WebhookConfig}
"""The repeated tables."""

PATHS = (
    ("storage", "data"),
    ("server", "tls_certificate"),
    ("server", "tls_key"),
    ("cluster", "secret_file"),
    ("audit", "checkpoint_folder"),
    ("identity", "jwt_jwks"),
)
"""Keys that name files or folders; a URL in its place is left unchanged."""

MOVED: dict[tuple[str, str], tuple[str, str]] = {("areas", "sweep_interval"): ("retention", "sweep_interval")}
"""Keys that have another place now, old to new. The old one is still read, with a warning."""

PREFIX = "RETAIN_"
ENVIRONMENT = "environment"
COMMAND_LINE = "command line"
_SERVICE = re.compile(
    r"_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$"
)
_PORT_URL = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration. `Config()` is what runs without a file."""

    server: ServerConfig = field(default_factory=ServerConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    areas: AreasConfig = field(default_factory=AreasConfig)
    settings: SettingsConfig = field(default_factory=SettingsConfig)
    blobs: BlobsConfig = field(default_factory=BlobsConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    operations: OperationsConfig = field(default_factory=OperationsConfig)
    log: LogConfig = field(default_factory=LogConfig)
    users: tuple[UserConfig, ...] = ()
    tenants: tuple[TenantConfig, ...] = ()
    webhooks: tuple[WebhookConfig, ...] = ()

    def __post_init__(self) -> None:
        assert [item.name for item in fields(self)] == [*SECTIONS, *TABLES]


def load(
    path: Path | None, environ: Mapping[str, str], options: Mapping[str, tuple[str, str]] | None = None
) -> Config:
    """Read `path` (None: no file), apply credentials, environment and command line, and check the result.

    Args:
        path: The configuration file.
        environ: The environment.
        options: Overrides from the command line: key as `section.key` → option, value.

    Raises:
        ConfigError: Something is impossible; it names the file, variable or option.

    """
    source = str(path) if path is not None else "configuration"
    table = _moved(_read(path), source) if path is not None else {}
    sections: dict[str, Any] = {}
    for name, value in table.items():
        if name in SECTIONS:
            if not isinstance(value, dict):
                raise ConfigError(source, name, f"must be a table, [{name}]")
            sections[name] = build(SECTIONS[name], value, source=source, where=name)
        elif name in TABLES:
            sections[name] = _repeated(name, value, source)
        else:
            raise ConfigError(source, name, _unknown(name))
    given = [*_from_credentials(environ), *_from_environment(environ), *_from_options(options or {})]
    config = _overlay(Config(**sections), given)
    if path is not None:
        config = _beside(config, path, {(one.section, one.key.name) for one in given})
    named = {f"{one.section}.{one.key.name}": one for one in given}
    try:
        _check_together(config, source)
    except ConfigError as error:
        one = named.get(error.key)
        raise error if one is None else ConfigError(one.source, one.name, error.reason) from None
    return config


def _moved(table: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the file's tables with keys of an older version where they belong now."""
    for (section, key), (to, name) in MOVED.items():
        old, new = table.get(section), table.get(to, {})
        if isinstance(old, dict) and key in old and isinstance(new, dict):
            if name in new:
                raise ConfigError(
                    source,
                    f"{section}.{key}",
                    f"is the old name of {to}.{name}, which is set as well; remove one of the two",
                )
            _warn(source, f"{section}.{key}", f"{to}.{name}")
            rest = {other: value for other, value in old.items() if other != key}
            table = {**table, section: rest, to: {**new, name: old[key]}}
    return table


def _warn(source: str, old: str, new: str) -> None:
    LOG.warning("%s: %s is called %s now; use the new name, the old one will be removed", source, old, new)


def _unknown(name: str) -> str:
    """Return why a name at the file's top is wrong."""
    homes = [section for section, cls in SECTIONS.items() if name in {key.name for key in keys_of(cls)}]
    if homes:
        return f"belongs in the section {' or '.join(f'[{home}]' for home in homes)}; put its line there"
    return f"unknown section; known are {', '.join([*SECTIONS, *TABLES])}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return toml.tables(path.read_bytes().decode())
    except FileNotFoundError:
        raise ConfigError(str(path), "", "the file does not exist; `retain init` writes one") from None
    except OSError as error:
        raise ConfigError(str(path), "", error.strerror or "cannot be read") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "", f"is not TOML: {error}") from None
    except ValueError as error:
        raise ConfigError(str(path), "", str(error)) from None


def _repeated(name: str, value: object, source: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(source, name, f"must be repeated tables, [[{name}]]")
    return tuple(
        build(TABLES[name], item, source=source, where=f"{name}[{number}]")
        for number, item in enumerate(value, 1)
    )


class _Given(NamedTuple):
    """A value from outside the file, and how the operator calls it."""

    source: str
    name: str
    section: str
    key: ConfigKey
    text: str


def _from_credentials(environ: Mapping[str, str]) -> Iterator[_Given]:
    for source, section, name, text in credentials(environ, SECTIONS, PATHS):
        found = next((key for key in keys_of(SECTIONS[section]) if key.name == name), None)
        if found is None:
            raise ConfigError(source, f"{section}.{name}", "names no key of the configuration")
        yield _Given(source, f"{section}.{name}", section, found, text)


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    """Yield what the environment sets; only variables that begin with a section's name count."""
    names = _variables()
    for (section, key), (to, name) in MOVED.items():
        old, new = _variable(section, key), _variable(to, name)
        if old in environ:
            if new in environ:
                raise ConfigError(
                    ENVIRONMENT, old, f"is the old name of {new}, which is set as well; remove one of the two"
                )
            _warn(ENVIRONMENT, old, new)
            names[old] = names[new]
    ours = tuple(f"{PREFIX}{section}_".upper() for section in (*SECTIONS, *TABLES))
    for name, text in environ.items():
        if name in names:
            yield _Given(ENVIRONMENT, name, *names[name], text)
        elif name.startswith(ours) and not _is_service_link(name, text):
            raise ConfigError(ENVIRONMENT, name, "names no key of the configuration")


def variables_of(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that set a key, in order; others begin with `RETAIN_` as well."""
    old = {_variable(section, key) for section, key in MOVED}
    return sorted((_variables().keys() | old) & environ.keys())


def _variables() -> dict[str, tuple[str, ConfigKey]]:
    return {_variable(s, key.name): (s, key) for s, cls in SECTIONS.items() for key in keys_of(cls)}


def _variable(section: str, name: str) -> str:
    return f"{PREFIX}{section}_{name}".upper()


def _is_service_link(name: str, text: str) -> bool:
    """Return whether Kubernetes made the variable, for a Service named, say, retain-server."""
    return _SERVICE.search(name) is not None or (name.endswith("_PORT") and _PORT_URL.match(text) is not None)


def _from_options(options: Mapping[str, tuple[str, str]]) -> Iterator[_Given]:
    for place, (option, text) in options.items():
        section, _, name = place.partition(".")
        (key,) = (key for key in keys_of(SECTIONS[section]) if key.name == name)
        yield _Given(COMMAND_LINE, option, section, key, text)


def _overlay(config: Config, given: Iterable[_Given]) -> Config:
    changes: dict[str, dict[str, Any]] = {}
    for one in given:
        try:
            changes.setdefault(one.section, {})[one.key.name] = convert_text(one.key, one.text)
        except ValueError as error:
            raise ConfigError(one.source, one.name, str(error)) from None
    return replace(config, **{s: replace(getattr(config, s), **values) for s, values in changes.items()})


def _beside(config: Config, path: Path, given: Set[tuple[str, str]]) -> Config:
    """Resolve relative paths: those in a file start at its folder; others, in the current folder."""
    for section, key in PATHS:
        value = getattr(getattr(config, section), key)
        if value is not None and "://" not in value and (section, key) not in given:
            beside = replace(getattr(config, section), **{key: str(path.parent / value)})
            config = replace(config, **{section: beside})
    return config


def exposed_secrets(path: Path | None, config: Config) -> str | None:
    """Return a warning if other users of the machine can read secrets in the file; None if they cannot."""
    if path is None or not path.stat().st_mode & stat.S_IROTH:
        return None
    keys = [
        f"{section}.{key.name}"
        for section, cls in SECTIONS.items()
        for key in keys_of(cls)
        if key.rule.secret and getattr(getattr(config, section), key.name) not in (None, key.default)
    ]
    if config.cluster.log is not None and not has_password(config.cluster.log):
        keys.remove("cluster.log")
    keys += [f"tenants.{tenant.name}.key" for tenant in config.tenants if tenant.key is not None]
    keys += [f"webhooks.{webhook.name}.secret" for webhook in config.webhooks]
    if not keys:
        return None
    return f"every user of this machine can read {path}, which holds {', '.join(keys)}; chmod 600 it"


def _check_cluster(config: Config, source: str) -> None:
    cluster = config.cluster
    if cluster.log is None:
        if config.storage.payloads is not None:
            reason = (
                "is used with cluster.log only. If this server is a node of a cluster, give it the section "
                "[cluster] again: alone, it would go on without the others; else leave storage.payloads out"
            )
            raise ConfigError(source, "storage.payloads", reason)
        return
    if config.storage.payloads is None:
        reason = (
            "is missing: with cluster.log set, content larger than storage.inline_bytes needs a store that "
            "every node reaches, such as s3://recordings/payloads"
        )
        raise ConfigError(source, "storage.payloads", reason)
    for key in ("name", "link", "secret_file"):
        if getattr(cluster, key) is None:
            raise ConfigError(source, f"cluster.{key}", "is missing: a node needs it, as cluster.log is set")
    _check_link(cluster, source)
    if cluster.grant_seconds > cluster.lease_seconds / 2:
        raise ConfigError(source, "cluster.grant_seconds", "must be at most half of lease_seconds")
    if cluster.keep_hours > config.retention.erase_within_hours / 4:
        raise ConfigError(
            source,
            "cluster.keep_hours",
            "must be at most a quarter of retention.erase_within_hours: the shared log erases by dropping",
        )
    if config.server.workers > 1:
        raise ConfigError(source, "server.workers", "must be 1 where cluster.log is set; add nodes instead")


def _check_link(cluster: ClusterConfig, source: str) -> None:
    for key in ("link", "announce"):
        address = getattr(cluster, key)
        if address is not None and split_bind(address)[1] == 0:
            raise ConfigError(source, f"cluster.{key}", "needs a port: the other nodes must know it")
    if not is_wildcard(split_bind(cluster.address)[0]):
        return
    if cluster.announce is None:
        reason = (
            f"is missing: cluster.link listens on all addresses of this machine ({cluster.link}), so the "
            "other nodes must be told which one to use, such as 10.0.0.1:8079"
        )
    else:
        reason = (
            f"{cluster.announce} is not the address of a machine; give the one at which the other nodes "
            "reach this node"
        )
    raise ConfigError(source, "cluster.announce", reason)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`.

    A name is what it resolves to; a wildcard never is.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(address).is_loopback for address in found)


def unprotected(server: ServerConfig, host: str, address: str) -> str | None:
    """Return why the server must not listen on `host`, which people call `address`; None if it may."""
    tls = server.tls_certificate is not None
    if tls or server.behind_proxy or server.insecure_bind or is_loopback(host):
        return None
    return (
        f"{address} can be reached from other machines without encryption; give tls_certificate and tls_key, "
        "or behind_proxy = true with trusted_proxies, or insecure_bind = true"
    )


def _check_together(config: Config, source: str) -> None:
    """Check the keys against one another."""
    server = config.server
    host, _ = split_bind(server.bind)
    tls = server.tls_certificate is not None
    if tls != (server.tls_key is not None):
        missing = "tls_key" if tls else "tls_certificate"
        raise ConfigError(source, f"server.{missing}", "is missing: TLS needs tls_certificate and tls_key")
    if server.behind_proxy and not server.trusted_proxies:
        raise ConfigError(
            source, "server.trusted_proxies", "is missing: behind_proxy needs the proxy's address"
        )
    if (reason := unprotected(server, host, server.bind)) is not None:
        raise ConfigError(source, "server.bind", reason)
    if config.areas.default_ttl > config.areas.max_ttl:
        raise ConfigError(source, "areas.default_ttl", "must not be greater than max_ttl")
    if config.settings.history_days > config.retention.audit_days:
        raise ConfigError(source, "settings.history_days", "must not be greater than retention.audit_days")
    if (config.areas.username is None) != (config.areas.password is None):
        raise ConfigError(source, "areas.username", "username and password must be set together")
    if config.identity.proxy_user_header and not server.trusted_proxies:
        raise ConfigError(source, "identity.proxy_user_header", "needs server.trusted_proxies")
    _check_cluster(config, source)
    for webhook in config.webhooks:
        if (wrong := contradiction(webhook)) is not None:
            raise ConfigError(source, f"webhooks.{webhook.name}.{wrong[0]}", wrong[1])
    tables: tuple[tuple[str, tuple[UserConfig | TenantConfig | WebhookConfig, ...]], ...] = (
        ("users", config.users),
        ("tenants", config.tenants),
        ("webhooks", config.webhooks),
    )
    for name, entries in tables:
        seen = [entry.name for entry in entries]
        for entry in seen:
            if seen.count(entry) > 1:
                raise ConfigError(source, name, f"{entry!r} is listed twice")
