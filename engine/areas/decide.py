"""Decide commands on areas. Reads the state, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from retain.engine.areas.commands import (
    MAX_TTL,
    RESERVED_IDS,
    AreasPolicy,
    CreateArea,
    DeleteArea,
    NewFile,
    NewValue,
    UpdateArea,
    WriteArea,
)
from retain.engine.areas.events import (
    AreaCreated,
    AreaDeleted,
    AreaEvent,
    AreaUpdated,
    FileStored,
    KeysExpired,
)
from retain.engine.areas.queries import find
from retain.engine.areas.state import (
    NO_AREA,
    Area,
    AreasState,
    key_ends,
    last_end,
    record_key,
    split_key,
    text_size,
    value_size,
)
from retain.engine.core.command import KEEPER, Decision
from retain.engine.core.domain import Expiry
from retain.engine.core.errors import Conflict, Invalid, NotFound, QuotaExceeded, TooLarge
from retain.engine.core.event import Cause
from retain.engine.core.time import SECOND

EVENT_TEXT_BYTES = 256 * 1024
"""Keys and values of one event: well below what a record's part may hold."""

AREA_TEXT_BYTES = 2 << 20
"""Most UTF-8 bytes of an area's texts together; long ones are stored as files and do not count."""
AREA_NAME_BYTES = 512 << 10
"""Most UTF-8 bytes of an area's keys together."""


AreaWrite = WriteArea[str] | WriteArea[bool]


def create(state: AreasState, command: CreateArea, now: int) -> Decision[str]:
    """Create a plain or custom area, or overwrite the existing custom one (docs/wire/areas.md, section 3).

    Raises:
        Invalid: A reserved or empty id, a key or ttl out of its bounds.
        Conflict: The plain id is taken already.
        TooLarge: More keys than an area may have, or a longer name than allowed.
        QuotaExceeded: A quota is used up.
    """
    _check_write(command)
    key = record_key(command.name, command.user)
    area = state.areas.get(key)
    living = area is not None and last_end(area) > now
    if command.user is None and living:
        raise Conflict(f"the id {command.name} is in use", reason="id")
    if area is not None and living:
        return Decision(_update(state, command, key, area, now), command.name)
    return Decision(_create(state, command, key, now), command.name)


def update(state: AreasState, command: UpdateArea, now: int) -> Decision[bool]:
    """Replace or add keys; with a user and an unknown id, create the custom area.

    The rules are in docs/wire/areas.md, sections 3 and 6.

    Raises:
        NotFound: No such area for this caller, and it may not be created.
        Invalid: As for `create`.
        TooLarge: As for `create`.
        QuotaExceeded: As for `create`.
    """
    try:
        key, area = find(state, command.name, command.user, now)
    except NotFound:
        if command.user is None or not command.policy.upsert:
            raise
        _check_write(command)
        return Decision(_create(state, command, record_key(command.name, command.user), now), True)
    _check_values(command)
    return Decision(_update(state, command, key, area, now), False)


def delete(state: AreasState, command: DeleteArea, now: int) -> Decision[None]:
    """Delete an area.

    Raises:
        NotFound: No such area for this caller.
    """
    key, area = find(state, command.name, command.user, now, custom=command.custom)
    name, user = split_key(key)
    event = AreaDeleted(resource=area[0], actor=command.actor, cause=Cause.REQUEST, name=name, user=user)
    return Decision((event,), None)


def expire(state: AreasState, key: str, now: int) -> Expiry:
    """Return what ends that is due under `key`: the whole area, or some of its keys."""
    area = state.areas[key]
    if last_end(area) <= now:
        return Expiry((_ended(key, area),), len(area[2]))
    return Expiry(_keys_ended(key, area, now), len(area[2]))


def _ended(key: str, area: Area) -> AreaDeleted:
    name, user = split_key(key)
    return AreaDeleted(resource=area[0], actor=KEEPER, cause=Cause.EXPIRED, name=name, user=user)


def _keys_ended(key: str, area: Area, now: int) -> tuple[KeysExpired, ...]:
    due = tuple(name for name, end in zip(area[2], key_ends(area), strict=True) if end <= now)
    if not due:
        return ()
    name, user = split_key(key)
    return (KeysExpired(resource=area[0], actor=KEEPER, cause=Cause.EXPIRED, name=name, user=user, keys=due),)


def _create(state: AreasState, command: AreaWrite, key: str, now: int) -> tuple[AreaEvent, ...]:
    _check_quota(state, command.policy, NO_AREA, command.values)
    _check_owned(state, command, now)
    if len(command.values) > command.policy.max_keys:
        raise TooLarge(
            f"the area would have more than {command.policy.max_keys} keys",
            reason="keys",
            limit=command.policy.max_keys,
        )
    _check_restatable(NO_AREA, command.values)
    name, user = split_key(key)
    until = now + command.ttl * SECOND
    stale = state.areas.get(key)
    events: list[AreaEvent] = [] if stale is None else [_ended(key, stale)]
    chunks = text_chunks(_texts(command.values))
    first = next(chunks, {})
    events.append(
        AreaCreated(
            resource=command.resource,
            actor=command.actor,
            cause=Cause.REQUEST,
            name=name,
            user=user,
            until=until,
            base=0 if command.values else until,
            keys=tuple(first),
            values=tuple(first.values()),
        )
    )
    events += _writes(command, command.resource, key, until, chunks)
    return tuple(events)


def _update(state: AreasState, command: AreaWrite, key: str, area: Area, now: int) -> tuple[AreaEvent, ...]:
    _check_quota(state, command.policy, area, command.values)
    living = {name for name, end in zip(area[2], key_ends(area), strict=True) if end > now}
    if len(living | command.values.keys()) > command.policy.max_keys:
        raise TooLarge(
            f"the area would have more than {command.policy.max_keys} keys",
            reason="keys",
            limit=command.policy.max_keys,
        )
    _check_restatable(area, command.values)
    until = now + command.ttl * SECOND
    whole = command.policy.whole_area
    bare = not living and not command.values
    base = until if bare or (whole and area[1]) else 0
    events: list[AreaEvent] = list(_keys_ended(key, area, now))
    chunks = text_chunks(_texts(command.values))
    first = next(chunks, {})
    if first or base or (whole and living):
        name, user = split_key(key)
        events.append(
            AreaUpdated(
                resource=area[0],
                actor=command.actor,
                cause=Cause.REQUEST,
                name=name,
                user=user,
                until=until,
                base=base,
                whole=whole,
                keys=tuple(first),
                values=tuple(first.values()),
            )
        )
    events += _writes(command, area[0], key, until, chunks)
    return tuple(events)


def _writes(
    command: AreaWrite, resource: bytes, key: str, until: int, chunks: Iterator[dict[str, str]]
) -> Iterator[AreaEvent]:
    """Yield the events for what the first one does not carry: further texts, and each file by itself."""
    name, user = split_key(key)
    for texts in chunks:
        yield AreaUpdated(
            resource=resource,
            actor=command.actor,
            cause=Cause.REQUEST,
            name=name,
            user=user,
            until=until,
            base=0,
            whole=False,
            keys=tuple(texts),
            values=tuple(texts.values()),
        )
    for entry, value in command.values.items():
        if isinstance(value, NewFile):
            yield FileStored(
                resource=resource,
                actor=command.actor,
                cause=Cause.REQUEST,
                name=name,
                user=user,
                until=until,
                key=entry,
                filename=value.filename,
                media_type=value.media_type,
                body=value.body,
            )


def _texts(values: Mapping[str, NewValue]) -> dict[str, str]:
    return {key: value for key, value in values.items() if isinstance(value, str)}


def text_chunks(texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Split the texts into pieces that fit into one event each."""
    piece: dict[str, str] = {}
    size = 0
    for key, value in texts.items():
        grown = size + text_size(key) + text_size(value)
        if piece and grown > EVENT_TEXT_BYTES:
            yield piece
            piece, grown = {}, grown - size
        piece[key] = value
        size = grown
    if piece:
        yield piece


def _check_write(command: AreaWrite) -> None:
    if command.user is not None:
        if command.name in RESERVED_IDS:
            raise Invalid(f"the id {command.name} is reserved", reason="id")
        if "\0" in command.user:
            raise Invalid("the user must not contain a NUL", reason="user")
        if not command.user or text_size(command.user) > command.policy.max_name_bytes:
            raise Invalid(
                f"the user must have 1 to {command.policy.max_name_bytes} bytes",
                reason="user",
                limit=command.policy.max_name_bytes,
            )
    if not command.name or "\0" in command.name:
        raise Invalid("the id must not be empty or contain a NUL", reason="id")
    if command.user is not None and text_size(command.name) > command.policy.max_name_bytes:
        raise TooLarge(
            f"the id is longer than {command.policy.max_name_bytes} bytes",
            reason="id",
            limit=command.policy.max_name_bytes,
        )
    assert len(command.resource) == 16
    _check_values(command)


def _check_values(command: AreaWrite) -> None:
    """Check keys and ttl (docs/wire/areas.md, sections 4 and 5): keys may not begin with an underscore."""
    if not 1 <= command.ttl <= MAX_TTL:
        raise Invalid(f"the ttl must be 1 to {MAX_TTL} seconds", reason="ttl", limit=MAX_TTL)
    for key in command.values:
        if not key:
            raise Invalid("a key must not be empty", reason="key-empty")
        if key[0] == "_":
            raise Invalid("a key must not begin with an underscore", reason="key-underscore")
        if "\0" in key:
            raise Invalid("a key must not contain a NUL", reason="key")
        if text_size(key) > command.policy.max_name_bytes:
            raise TooLarge(
                f"a key is longer than {command.policy.max_name_bytes} bytes",
                reason="key",
                limit=command.policy.max_name_bytes,
            )


def _check_quota(state: AreasState, policy: AreasPolicy, area: Area, values: Mapping[str, NewValue]) -> None:
    if not policy.quota_bytes:
        return
    added = sum(
        text_size(key) + (value.body.size if isinstance(value, NewFile) else text_size(value))
        for key, value in values.items()
    )
    replaced = sum(
        text_size(key) + value_size(value)
        for key, value in zip(area[2], area[3], strict=True)
        if key in values
    )
    if state.size + added - replaced > policy.quota_bytes:
        raise QuotaExceeded(
            f"the quota of {policy.quota_bytes} bytes for all areas is used up;"
            " delete areas or wait until some expire",
            reason="bytes",
            limit=policy.quota_bytes,
        )


def _check_restatable(area: Area, values: Mapping[str, NewValue]) -> None:
    """Refuse an area that would not fit into one frame of the journal, without files and long texts.

    Only an area that fits can be restated.
    """
    names = {*area[2], *values}
    if sum(map(text_size, names)) > AREA_NAME_BYTES:
        raise TooLarge(
            f"the area's keys would have more than {AREA_NAME_BYTES} bytes together",
            reason="keys",
            limit=AREA_NAME_BYTES,
        )
    kept = sum(
        text_size(value)
        for key, value in zip(area[2], area[3], strict=True)
        if isinstance(value, str) and key not in values
    )
    if kept + sum(map(text_size, _texts(values).values())) > AREA_TEXT_BYTES:
        raise TooLarge(
            f"the area's texts would have more than {AREA_TEXT_BYTES} bytes together; use files instead",
            reason="texts",
            limit=AREA_TEXT_BYTES,
        )


def _check_owned(state: AreasState, command: AreaWrite, now: int) -> None:
    limit = command.policy.quota_areas_per_user
    if not limit or command.user is None:
        return
    owned = state.owned.get(command.user, ())
    if len(owned) >= limit and sum(last_end(state.areas[key]) > now for key in owned) >= limit:
        raise QuotaExceeded(
            f"the user {command.user} has {limit} areas, the limit; delete one or wait until one expires",
            reason="areas",
            limit=limit,
        )
