"""The change of each record of one resource: the values before and after, as far as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import ndiff
from json import dumps
from typing import Any

from retain.engine import wire
from retain.engine.areas.events import AreaDeleted, AreaRestated, FileStored, KeysExpired, TextsWritten
from retain.engine.audit.log import plain
from retain.engine.audit.settings_versions import Recorded, versions
from retain.engine.blobs.events import (
    BlobDeleted,
    BlobHeadersSet,
    BlobMetadataSet,
    BlobPut,
    BlobTagsSet,
    BlobWritten,
)
from retain.engine.core.event import Event, Stamp
from retain.engine.settings.model import Missing
from retain.journal import Record

MOST_LINES = 200
MOST_LETTERS = 400


@dataclass(frozen=True, slots=True)
class ValueChange:
    """The change of one record.

    Attributes:
        before: The values before it; None if there were none, or if they are no longer known.
        after: The values after it; None after an end.

    """

    before: Any
    after: Any

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of what differs, without the values."""
        before, after = (one if isinstance(one, dict) else {} for one in (self.before, self.after))
        names = dict.fromkeys((*before, *after))
        return tuple(name for name in names if before.get(name) != after.get(name))

    def lines(self) -> list[tuple[str, str]]:
        """Return the difference line by line: a sign (empty, `-` or `+`) and a text.

        Of unchanged lines, only those beside a change are included.
        """
        old, new = _written(self.before), _written(self.after)
        if len(old) + len(new) > 2 * MOST_LINES:
            kept = [*(f"- {line}" for line in old[:MOST_LINES]), *(f"+ {line}" for line in new[:MOST_LINES])]
        else:
            kept = [line for line in ndiff(old, new) if line[0] != "?"]
        near = {at + step for at, line in enumerate(kept) if line[0] != " " for step in (-1, 0, 1)}
        return [(line[0].strip(), line[2 : 2 + MOST_LETTERS]) for at, line in enumerate(kept) if at in near][
            : 2 * MOST_LINES
        ]


def changes(records: Sequence[Record]) -> dict[int, ValueChange]:
    """Return what each record changed, by sequence number.

    Args:
        records: Records of one resource, in order. Where the first is not its beginning, earlier values are
            not known.

    """
    events = [(record, event) for record in records if (event := _readable(record)) is not None]
    if any(isinstance(event, Recorded) for _, event in events):
        return _of_document(events)
    found: dict[int, ValueChange] = {}
    before: Any = None
    for record, event in events:
        after = _after(before, event)
        if after != before:
            found[record.header.seq] = ValueChange(before, after)
        before = after
    return found


def _readable(record: Record) -> Event | None:
    return None if record.details is None or record.content is None else wire.readable(record)


def _of_document(events: Iterable[tuple[Record, Event]]) -> dict[int, ValueChange]:
    stamped = [
        (event, Stamp(record.header.seq, record.header.time, record.content_at)) for record, event in events
    ]
    seqs = {event.revision: stamp.seq for event, stamp in reversed(stamped) if isinstance(event, Recorded)}
    found: dict[int, ValueChange] = {}
    before: Any = None
    for version in versions(stamped):
        after = None if isinstance(version.value, Missing) else version.value
        found[seqs[version.revision]] = ValueChange(before, after)
        before = after
    return found


def _after(before: Any, event: Event) -> Any:
    """Return the values of an area or a blob after an event."""
    known: dict[str, Any] = before or {}
    match event:
        case AreaDeleted() | BlobDeleted():
            return None
        case AreaRestated(texts=texts):
            return {**known, **texts}
        case TextsWritten(texts=texts):
            return {**known, **texts}
        case FileStored(key=key, filename=name, media_type=kind, body=body):
            return {**known, key: {"file": name, "type": kind, "size": body.size}}
        case KeysExpired(keys=keys):
            return {key: value for key, value in known.items() if key not in keys}
        case BlobWritten(headers=headers, metadata=metadata, tags=tags):
            written = _pairs(metadata=metadata, tags=tags)
            size = {"size": event.body.size} if isinstance(event, BlobPut) else {}
            return {**size, "type": headers.content_type, **written}
        case BlobHeadersSet(headers=headers):
            return {**known, "type": headers.content_type}
        case BlobMetadataSet(metadata=metadata):
            return {**known, **_pairs(metadata=metadata)}
        case BlobTagsSet(tags=tags):
            return {**known, **_pairs(tags=tags)}
        case _:
            return before


def _pairs(**named: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {name: plain(dict(pairs)) for name, pairs in named.items()}


def _written(value: Any) -> list[str]:
    return [] if value is None else dumps(value, ensure_ascii=False, indent=2, sort_keys=True).split("\n")
