"""Restate areas: the same texts, files and deadlines in new records. Reads the state, changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from retain.engine.areas.decide import text_chunks
from retain.engine.areas.events import AreaEvent, AreaRestated, AreaUpdated, FileStored
from retain.engine.areas.state import Area, AreaFile, AreasState, files_of, key_ends, record_key
from retain.engine.core.body import Body, Inline, OnDisk
from retain.engine.core.command import KEEPER
from retain.engine.core.domain import STEP_RECORDS, Restated, Restater, first_bytes
from retain.engine.core.event import Cause
from retain.engine.core.role import Locator


class AreaRestater(Restater):
    """Its locators are those of `engine.areas.events.AreaEvent`.

    Args:
        state: The areas.

    """

    def __init__(self, state: AreasState) -> None:
        self._state = state

    def apart(self, locator: Locator, resource: bytes) -> Collection[int]:
        """Return the records of its files."""
        area = self._find(locator, resource)
        return () if area is None else files_of(area[3]).keys()

    def bodies(self, locator: Locator, resource: bytes, before: int) -> Sequence[OnDisk]:
        """Return the bodies of its next few files."""
        area = self._find(locator, resource)
        files = () if area is None else (row[1] for row in _older(area, before))
        return list(first_bytes(file.body for file in files))

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        """Return the events: files first, if their records are to be erased, then all texts at once."""
        area = self._find(locator, resource)
        if area is None:
            return Restated((), False)
        _, name, user = locator
        facts = {
            "resource": resource,
            "actor": KEEPER,
            "cause": Cause.RESTATED,
            "name": name,
            "user": user,
        }
        older = list(_older(area, before))
        files: list[AreaEvent] = []
        for key, file, end in islice(older, STEP_RECORDS):
            body: Body | None = bodies.get(file.body.address) if isinstance(file.body, OnDisk) else file.body
            if body is None:
                break
            files.append(
                FileStored(
                    until=end,
                    key=key,
                    filename=file.filename,
                    media_type=file.media_type,
                    body=body,
                    **facts,
                )
            )
        if older:
            return Restated(files, True)
        return Restated(list(_texts(area, facts)), False)

    def _find(self, locator: Locator, resource: bytes) -> Area | None:
        area = self._state.areas.get(record_key(locator[1], locator[2]))
        return None if area is None or area[0] != resource else area


def _older(area: Area, before: int) -> Iterator[tuple[str, AreaFile, int]]:
    """Return key, file and deadline of the files in records up to `before`."""
    for key, value, end in zip(area[2], area[3], key_ends(area), strict=True):
        if isinstance(value, AreaFile) and value.seq <= before:
            yield key, value, end


def _texts(area: Area, facts: dict[str, Any]) -> Iterator[AreaEvent]:
    texts = {key: value for key, value in zip(area[2], area[3], strict=True) if isinstance(value, str)}
    chunks = text_chunks(texts)
    files = tuple(key for key in area[2] if key not in texts)
    yield AreaRestated(
        base=area[1], keys=area[2], ends=key_ends(area), files=files, texts=next(chunks, {}), **facts
    )
    for chunk in chunks:
        values = tuple(chunk.values())
        yield AreaUpdated(until=0, base=0, whole=False, keys=tuple(chunk), values=values, **facts)
