"""The areas' part of the engine's state, as a `Slice`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from retain.engine.areas import decide
from retain.engine.areas.commands import CreateArea, DeleteArea, UpdateArea
from retain.engine.areas.events import (
    AREA,
    AreaCreated,
    AreaDeleted,
    AreaRestated,
    AreaUpdated,
    FileStored,
    KeysExpired,
)
from retain.engine.areas.restate import AreaRestater
from retain.engine.areas.rows import area_of, areas_of, ends_of, rows_of
from retain.engine.areas.state import (
    AreasState,
    area_size,
    key_ends,
    last_end,
    next_end,
    payload_names,
    split_key,
)
from retain.engine.core.command import Command
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import Apply, Decide, Expire, Restater
from retain.engine.core.event import Event
from retain.engine.core.snapshot_table import Frozen


class AreasSlice(AreasState):
    """The areas as `engine.core.domain.Slice`."""

    name = "areas"

    def handlers(self) -> Mapping[type[Event], Apply]:
        return {
            AreaCreated: self.created,
            AreaUpdated: self.updated,
            FileStored: self.stored,
            KeysExpired: self.expired,
            AreaRestated: self.restated,
            AreaDeleted: self.deleted,
        }

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        return {
            CreateArea: partial(decide.create, self),
            UpdateArea: partial(decide.update, self),
            DeleteArea: partial(decide.delete, self),
        }

    def expirers(self) -> Mapping[DeadlineKind, Expire]:
        return {DeadlineKind.AREA: partial(decide.expire, self)}

    def restaters(self) -> Mapping[str, Restater]:
        return {AREA: AreaRestater(self)}

    def resources(self) -> Iterable[bytes]:
        return (area[0] for area in self.areas.values())

    def freeze(self) -> Frozen:
        """Yield first the total size, then rows: see `engine/areas/rows.py`."""
        view, size = self.areas.view(), self.size

        def rows() -> Iterator[Any]:
            yield size
            yield from rows_of(view.items())

        return Frozen(rows, (view,))

    def load(self, rows: Iterable[Any]) -> None:
        assert not self.areas
        source = iter(rows)
        self.size = next(source)
        ends: list[int] = []
        for row in source:
            if isinstance(row[0], str):
                key, area = area_of(row)
                self.areas[key] = area
                ends.append(next_end(area))
                for name in payload_names(area):
                    self.shared.keep(name)
            else:
                self.areas.update(areas_of(row))
                ends += ends_of(row)
        self.shared.deadlines.load(DeadlineKind.AREA, ends, self.areas)
        for key in self.areas:
            if key[0] == "\0":
                user = split_key(key)[1]
                assert user is not None
                self.owned.setdefault(user, set()).add(key)

    def check(self) -> None:
        owned: dict[str, set[str]] = {}
        payloads: set[str] = set()
        for key, area in self.areas.items():
            resource, base, names, values, _ = area
            assert len(resource) == 16
            assert len(names) == len(values) == len(key_ends(area)) == len(set(names))
            assert names or base, "an area without keys has a deadline of its own"
            assert next_end(area) <= last_end(area)
            user = split_key(key)[1]
            if user is not None:
                owned.setdefault(user, set()).add(key)
            payloads |= payload_names(area)
        assert owned == self.owned
        assert payloads <= self.shared.payloads
        assert self.size == sum(map(area_size, self.areas.values()))
        armed = [(at, key) for at, kind, key in self.shared.deadlines.entries() if kind == DeadlineKind.AREA]
        assert sorted(armed) == sorted((next_end(area), key) for key, area in self.areas.items())
