"""Configuration of notifications: webhooks that are notified of changes."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from retain.api.config.checks import base_url, cannot_be_changed_underway
from retain.api.config.fields import required, setting

SECRET_PREFIX = "whsec_"  # noqa: S105 - how such a secret begins
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
KINDS = (
    "area.created",
    "area.updated",
    "area.deleted",
    "area.expired",
    "blob.created",
    "blob.deleted",
    "blob.expired",
    "container.created",
    "container.deleted",
    "erasure.done",
    "erasure.ordered",
    "journal.changed",
    "key.rotated",
    "settings.changed",
    "settings.deleted",
    "token.issued",
    "token.revoked",
    "token.expired",
)
"""All kinds of events; a test compares it with the engine's."""


def _name(value: str) -> str | None:
    return None if _NAME.fullmatch(value) else "must be 1 to 40 of a-z, 0-9 and hyphens between them"


def _url(value: str) -> str | None:
    try:
        plain = value.partition("?")[0]  # keys of functions are often in the query
        parts = urlsplit(value)
        if (reason := base_url(plain)) is not None or parts.fragment or parts.port == 0:
            return reason or "must be a URL without fragment or credentials"
    except ValueError:
        return "must be an absolute URL"
    return None if cannot_be_changed_underway(value) else "must begin with https:// (http:// to this machine)"


def secret_bytes(value: str) -> bytes:
    """Return the key of a webhook's secret. Raises `ValueError`."""
    try:
        key = base64.b64decode(value.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not value.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"must be {SECRET_PREFIX} and 24 to 64 bytes in base64 (`openssl rand -base64 32`)")
    return key


def _secret(value: str) -> str | None:
    try:
        secret_bytes(value)
    except ValueError as error:
        return str(error)
    return None


def _kinds(values: tuple[str, ...]) -> str | None:
    for value in values:
        if value not in KINDS and not (
            value.endswith(".*") and any(kind.startswith(value[:-1]) for kind in KINDS)
        ):
            return f"{value!r} is not an event; known are {', '.join(KINDS)}, and patterns such as blob.*"
    return None


def _interfaces(values: tuple[str, ...]) -> str | None:
    known = ("areas", "settings", "blobs", "journal")
    wrong = [value for value in values if value not in known]
    return f"must contain only {', '.join(known)}" if wrong else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """An address that is notified of changes; repeatable."""

    name: str = required("A name for logs, metrics and commands.", example="pipeline", check=_name)
    url: str = required(
        "The https address to which each event is posted. Redirects are not followed.",
        example="https://pipeline.example.org/retain",
        check=_url,
    )
    secret: str = setting(
        "",
        "Signs each request (Standard Webhooks): whsec_ and 24 to 64 random bytes in base64. Required.",
        example="whsec_…base64…",
        secret=True,
        check=_secret,
    )
    events: tuple[str, ...] = setting(
        (), "Events to send, such as blob.created or blob.*. Default: all.", example=["blob.*"], check=_kinds
    )
    interfaces: tuple[str, ...] = setting(
        (),
        "Interfaces whose events are sent: areas, settings, blobs, journal. Default: all.",
        example=["blobs"],
        check=_interfaces,
    )
    containers: tuple[str, ...] = setting(
        (), "Send only events in these containers, as account/container. Default: all.",
        example=["mytenant/recordings"],
    )  # fmt: skip
    prefix: str | None = setting(
        None, "Send only events of blobs whose name starts with this.", example="8888/"
    )
    names: bool = setting(
        False,
        "Send names of accounts, containers, blobs, areas and users. Without it, an event names its resource "
        "by number only, as the audit log does.",
    )
    schema: str = setting(
        "cloudevents",
        "cloudevents: CloudEvents 1.0 as JSON. eventgrid: Azure Event Grid's schema for blobs, which needs "
        "names.",
        choices=("cloudevents", "eventgrid"),
    )
    allow_private: bool = setting(
        False,
        "Allow an address that is not public, such as 10.0.0.5 or this machine. Link-local addresses, under "
        "which clouds have their metadata, are always refused.",
    )
    give_up_hours: float = setting(
        72.0,
        "Hours after which an event that its address does not accept becomes a dead letter.",
        minimum=0.01,
        maximum=8760,
    )


def contradiction(webhook: WebhookConfig) -> tuple[str, str] | None:
    """Return (key, reason) if the webhook's keys contradict one another; None if they do not."""
    if not webhook.secret:
        return "secret", "is missing; receivers check signatures with it"
    if webhook.schema == "eventgrid" and not webhook.names:
        return "names", "must be true: Event Grid's schema names the blob"
    return None
