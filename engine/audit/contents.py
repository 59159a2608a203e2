"""The contents of each interface in a state, as plain JSON values.

Data past its deadline at that moment is left out, whether or not it had been swept. Bodies of files and blobs
are shown by size and type only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from retain.engine.areas.events import AreaEvent
from retain.engine.areas.state import Value, key_ends, last_end, split_key, value_size
from retain.engine.audit.log import plain
from retain.engine.blobs.container_events import AccountEvent
from retain.engine.blobs.containers import Container
from retain.engine.blobs.entries import BlobEntry
from retain.engine.core.pattern import Wanted, called
from retain.engine.core.time import timestamp
from retain.engine.settings.events import SettingsEvent
from retain.engine.settings.model import Level
from retain.engine.state import State

Holding = dict[str, Any]


def holdings(
    state: State,
    now: int,
    *,
    interface: str | None = None,
    resource: Wanted | None = None,
    number: str | None = None,
) -> Iterator[Holding]:
    """Yield the contents of `state` at `now` (nanoseconds since the epoch), interface by interface."""
    for name, held_by in HELD_BY.items():
        if interface not in (None, name):
            continue
        for holding in held_by(state, now):
            if number not in (None, holding["resource"]):
                continue
            if resource is None or called(holding["subject"], resource):
                yield {"interface": name, **holding}


def _areas(state: State, now: int) -> Iterator[Holding]:
    for key, area in state.areas.areas.items():
        if last_end(area) <= now:
            continue
        name, user = split_key(key)
        keys = {
            entry: {**_area_value(value), "until": timestamp(end)}
            for entry, value, end in zip(area[2], area[3], key_ends(area), strict=True)
            if end > now
        }
        yield {
            "kind": "area",
            "resource": area[0].hex(),
            "subject": AreaEvent.subject({"name": name, "user": user}),
            "until": timestamp(last_end(area)),
            "keys": keys,
        }


def _area_value(value: Value) -> Holding:
    if isinstance(value, str):
        return {"text": value}
    if value.media_type is None:
        return {"text_bytes": value_size(value)}
    return {"file": value.filename, "type": value.media_type, "size": value_size(value)}


def _settings(state: State, now: int) -> Iterator[Holding]:
    for place, document in sorted(state.settings.documents.items()):
        yield {
            "kind": f"{Level(place.level).name.lower()}-document",
            "resource": document.resource.hex(),
            "subject": SettingsEvent.subject(place._asdict()),
            "user": place.user,
            "revision": document.revision,
            "made": timestamp(document.born),
            "document": document.value,
        }


def _blobs(state: State, now: int) -> Iterator[Holding]:
    for container in state.blobs.containers():
        names = {"account": container.account, "container": container.name}
        yield {
            "kind": "container",
            "resource": container.entry.resource.hex(),
            "subject": AccountEvent.subject(names),
            "keeps_days": container.entry.days,
            "policies": [policy.policy_id for policy in container.entry.policies],
        }
        for name in container.names:
            blob = container.blob(name, now)
            if blob is not None:
                subject = AccountEvent.subject({**names, "blob": name})
                yield {"kind": "blob", "subject": subject, **_blob(container, blob)}
    for token in state.tokens.records.values():
        if token.expiry > now:
            yield {
                "kind": "token",
                "resource": token.token_id.hex(),
                "subject": AccountEvent.subject({"account": token.account, "container": token.container}),
                "permissions": token.permissions,
                "policy": token.policy_id,
                "issuer": token.issuer,
                "start": timestamp(token.start),
                "until": timestamp(token.expiry),
                "revoked": None if token.revoked is None else timestamp(token.revoked),
            }


def _blob(container: Container, blob: BlobEntry) -> Holding:
    end = container.ends(blob)
    return {
        "resource": blob.resource.hex(),
        "size": blob.size,
        "type": blob.headers.content_type,
        "modified": timestamp(blob.modified),
        "until": None if end is None else timestamp(end),
        "metadata": plain(dict(blob.metadata)),
        "tags": plain(dict(blob.tags)),
    }


HELD_BY: dict[str, Callable[[State, int], Iterator[Holding]]] = {
    "areas": _areas,
    "settings": _settings,
    "blobs": _blobs,
}
