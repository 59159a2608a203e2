"""The form of events (CloudEvents 1.0, or Azure Event Grid's schema for blobs) and their signature.

Sources: CloudEvents 1.0.2 (JSON format, HTTP protocol binding, structured mode; extension `sequence`); *Azure
Blob Storage as an Event Grid source*, *Endpoint validation with Event Grid events*; Standard Webhooks 1.0
(`webhook-id`, `webhook-timestamp`, `webhook-signature`).
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from retain.api.blobs.wire import etag
from retain.engine.audit.feed import Notification
from retain.engine.core.time import SECOND, timestamp

CLOUDEVENTS: Final = "application/cloudevents+json; charset=utf-8"
EVENTGRID: Final = "application/json; charset=utf-8"
PREFIX: Final = "retain."
"""Prefix of the kind in CloudEvents' `type`."""
_GRID: Final = {
    "blob.created": "Microsoft.Storage.BlobCreated",
    "blob.deleted": "Microsoft.Storage.BlobDeleted",
    "blob.expired": "Microsoft.Storage.BlobDeleted",
}
_API: Final = {"blob.created": "PutBlob", "blob.deleted": "DeleteBlob", "blob.expired": "DeleteBlob"}


def event_id(notification: Notification, epoch: str) -> str:
    """Return the event's id, by which receivers recognise repetitions: the history and the record."""
    return f"{epoch}-{notification.seq}"


def cloudevent(notification: Notification, epoch: str, *, source: str, names: bool) -> bytes:
    """Return the event in CloudEvents' JSON format; without names, its resource is a number only."""
    data: dict[str, Any] = {
        "interface": notification.interface,
        "cause": notification.cause,
        "resource": notification.resource,
        "record": notification.seq,
    }
    facts = {name: value for name, value in notification.facts.items() if value is not None}
    for name in ("modified", "expiry"):
        if name in facts:
            facts[name] = timestamp(facts[name])
    if "etag" in facts:
        facts["etag"] = etag.bare(facts["etag"])
    data |= facts
    subject = notification.resource
    if names:
        data |= notification.names
        subject = subject_of(notification) or subject
    event = {
        "specversion": "1.0",
        "id": event_id(notification, epoch),
        "source": source,
        "type": f"{PREFIX}{notification.kind}",
        "subject": subject,
        "time": timestamp(notification.time),
        "datacontenttype": "application/json",
        # A text of fixed length, so that comparing texts compares numbers (extension `sequence`).
        "sequence": f"{notification.seq:020}",
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False).encode()


def subject_of(notification: Notification) -> str:
    """Return the resource's name, such as `account/container/blob`."""
    names = notification.names
    keys = (
        ("account", "container", "blob") if "account" in names else ("application", "user", "device", "name")
    )
    return "/".join(names[key] for key in keys if names.get(key))


def grid_event(notification: Notification, epoch: str, *, url_of: Callable[[str], str]) -> bytes:
    """Return the event of a blob in Event Grid's schema."""
    names = notification.names
    account, container, blob = names["account"], names["container"], names["blob"]
    data: dict[str, Any] = {
        "api": _API[notification.kind],
        "blobType": "BlockBlob",
        "url": f"{url_of(account)}/{container}/{quote(blob)}",
        # Receivers compare it as text to find out which of two events of a blob is later.
        "sequencer": f"{notification.seq:020X}",
    }
    if "modified" in notification.facts:
        data["contentType"] = notification.facts.get("content_type") or "application/octet-stream"
        data["eTag"] = etag.bare(notification.facts["etag"])
    if "size" in notification.facts:
        data["contentLength"] = notification.facts["size"]
    event = {
        "topic": f"/accounts/{account}",
        "subject": f"/blobServices/default/containers/{container}/blobs/{blob}",
        "eventType": _GRID[notification.kind],
        "id": event_id(notification, epoch),
        "eventTime": timestamp(notification.time),
        "dataVersion": "",
        "metadataVersion": "1",
        "data": data,
    }
    return json.dumps([event], ensure_ascii=False).encode()


def validation_event(code: str, *, topic: str, now: int) -> bytes:
    """Return the event by which Event Grid asks a receiver to confirm that it wants events.

    Args:
        code: The code that the receiver must return.
        topic: The name of the source.
        now: Nanoseconds since the epoch.
    """
    event = {
        "id": code,
        "topic": topic,
        "subject": "",
        "data": {"validationCode": code},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": timestamp(now),
        "metadataVersion": "1",
        "dataVersion": "1",
    }
    return json.dumps([event]).encode()


def confirms(answer: bytes, code: str) -> bool:
    """Return whether the body of an answer returns the validation code."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("validationResponse") == code


def signed_headers(key: bytes, identity: str, now: int, body: bytes) -> Mapping[str, str]:
    """Return the headers that prove who sent `body` and when.

    Args:
        key: The webhook's key.
        identity: The event's id.
        now: Nanoseconds since the epoch.
        body: The bytes to send.
    """
    moment = str(now // SECOND)
    signed = b".".join((identity.encode(), moment.encode(), body))
    signature = base64.b64encode(hmac.digest(key, signed, sha256)).decode()
    return {"webhook-id": identity, "webhook-timestamp": moment, "webhook-signature": f"v1,{signature}"}
