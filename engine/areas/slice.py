"""What areas plug into the engine's state."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from engine.areas import decide
from engine.areas.commands import CreateArea, DeleteArea, UpdateArea
from engine.areas.events import (
    AREA,
    AreaCreated,
    AreaDeleted,
    AreaRestated,
    AreaUpdated,
    FileStored,
    KeysExpired,
)
from engine.areas.restate import AreaRestater
from engine.areas.state import (
    AreasState,
    File,
    Value,
    area_size,
    key_ends,
    last_end,
    next_end,
    shared,
    split_key,
)
from engine.body import Held, Inline, OnDisk
from engine.command import Command
from engine.deadlines import Kind
from engine.event import Event
from engine.slice import Apply, Decide, Expire, Restater
from engine.table import Frozen
from journal import Payload


class AreasSlice(AreasState):
    """The areas as :class:`engine.slice.Slice`."""

    name = "areas"

    def handlers(self) -> Mapping[type[Event], Apply]:
        """See :meth:`engine.slice.Slice.handlers`."""
        return {
            AreaCreated: self.created,
            AreaUpdated: self.updated,
            FileStored: self.stored,
            KeysExpired: self.expired,
            AreaRestated: self.restated,
            AreaDeleted: self.deleted,
        }

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        """See :meth:`engine.slice.Slice.deciders`."""
        return {
            CreateArea: partial(decide.create, self),
            UpdateArea: partial(decide.update, self),
            DeleteArea: partial(decide.delete, self),
        }

    def expirers(self) -> Mapping[Kind, Expire]:
        """See :meth:`engine.slice.Slice.expirers`."""
        return {Kind.AREA: partial(decide.expire, self)}

    def restaters(self) -> Mapping[str, Restater]:
        """See :meth:`engine.slice.Slice.restaters`."""
        return {AREA: AreaRestater(self)}

    def resources(self) -> Iterable[bytes]:
        """See :meth:`engine.slice.Slice.resources`."""
        return (area[0] for area in self.areas.values())

    def freeze(self) -> Frozen:
        """First the total size, then rows ``[record key, resource, base, keys, values, deadlines]``."""
        view, size = self.areas.view(), self.size

        def rows() -> Iterator[Any]:
            yield size
            for key, area in view.items():
                yield [key, area[0], area[1], area[2], [_pack_value(value) for value in area[3]], area[4]]

        return Frozen(rows, (view,))

    def load(self, rows: Iterable[Any]) -> None:
        """See :meth:`engine.slice.Slice.load`."""
        assert not self.areas
        source = iter(rows)
        self.size = next(source)
        for key, resource, base, names, values, ends in source:
            kept: tuple[Value, ...] = tuple(values)
            if list in map(type, kept):
                kept = tuple(value if isinstance(value, str) else _unpack_file(value) for value in kept)
                for value in kept:
                    if isinstance(value, File) and isinstance(value.held, Payload):
                        self.ground.keep(value.held.name)
            self.areas[key] = (
                resource,
                base,
                shared(tuple(names)),
                kept,
                ends if isinstance(ends, int) else tuple(ends),
            )
            if key[0] == "\0":
                user = split_key(key)[1]
                assert user is not None
                self.owned.setdefault(user, set()).add(key)
        self.ground.deadlines.load((next_end(area), Kind.AREA, key) for key, area in self.areas.items())

    def check(self) -> None:
        """See :meth:`engine.slice.Slice.check`."""
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
            payloads |= {
                value.held.name
                for value in values
                if isinstance(value, File) and isinstance(value.held, Payload)
            }
        assert owned == self.owned
        assert payloads <= self.ground.payloads
        assert self.size == sum(map(area_size, self.areas.values()))
        armed = [(at, key) for at, kind, key in self.ground.deadlines.entries() if kind == Kind.AREA]
        assert sorted(armed) == sorted((next_end(area), key) for key, area in self.areas.items())


def _pack_value(value: Value) -> Any:
    """A text as itself, a file as ``[filename, type, bytes' place, record]``."""
    if isinstance(value, str):
        return value
    return [value.filename, value.media_type, _pack_held(value.held), value.seq]


def _pack_held(held: Held) -> list[Any]:
    if isinstance(held, OnDisk):
        return [held.address, held.size]
    if isinstance(held, Inline):
        return [held.data, held.md5]
    return [held.name, held.key, held.size, held.md5, held.sha256]


def _unpack_file(packed: Any) -> File:
    filename, media_type, held, seq = packed
    if len(held) == 5:
        return File(filename, media_type, Payload(*held), seq)
    if isinstance(held[0], int):
        return File(filename, media_type, OnDisk(*held), seq)
    return File(filename, media_type, Inline(*held), seq)
