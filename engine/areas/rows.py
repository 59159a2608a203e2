"""Areas as rows of a snapshot, and back.

Most areas hold a few short texts that end together. Runs of these are stored in columns: msgpack and `zip`
then create a million of them without a step in Python for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice, repeat
from typing import Any

from retain.engine.areas.state import Area, AreaFile, Value, shared
from retain.engine.core.body import Inline, OnDisk, StoredBody
from retain.journal import Payload

RUN_AREAS = 64
"""Most areas in one row: with the largest texts a row stays far below the bound of a block."""
_RESOURCE_BYTES = 16


def rows_of(areas: Iterable[tuple[str, Area]]) -> Iterator[Any]:
    """Yield the rows of a snapshot.

    A row is `[record key, resource, base, keys, values, deadlines]`; a run of simple areas is one row of
    columns `[[record key, …], resources, [keys, …], [number of the keys, …], [values, …], [deadline, …]]`,
    which holds each list of keys once.
    """
    for simple, run in groupby(areas, key=_is_simple):
        while simple and (some := list(islice(run, RUN_AREAS))):
            yield _columns(some)
        for key, (resource, base, names, values, ends) in run:
            yield [key, resource, base, names, [_pack_value(value) for value in values], ends]


def area_of(row: Any) -> tuple[str, Area]:
    """Return the area in a row of one, with its record key."""
    key, resource, base, names, values, ends = row
    kept = tuple(value if isinstance(value, str) else _unpack_file(value) for value in values)
    return key, (resource, base, shared(names), kept, ends)


def areas_of(row: Any) -> Iterable[tuple[str, Area]]:
    """Yield the areas in a row of columns, each with its record key."""
    keys, joined, shapes, places, values, ends = row
    resources = [joined[at : at + _RESOURCE_BYTES] for at in range(0, len(joined), _RESOURCE_BYTES)]
    shapes = [shared(names) for names in shapes]
    names = [shapes[place] for place in places]
    areas = zip(resources, repeat(0), names, values, ends, strict=False)
    return zip(keys, areas, strict=True)


def ends_of(row: Any) -> Sequence[int]:
    """Return the deadlines of the areas in a row."""
    ends: tuple[int, ...] = row[5]
    return ends


def _is_simple(entry: tuple[str, Area]) -> bool:
    _, base, names, values, ends = entry[1]
    return bool(names) and not base and isinstance(ends, int) and AreaFile not in map(type, values)


def _columns(run: list[tuple[str, Area]]) -> list[Any]:
    shapes: dict[tuple[str, ...], int] = {}
    places = [shapes.setdefault(area[2], len(shapes)) for _, area in run]
    return [
        [key for key, _ in run],
        b"".join(area[0] for _, area in run),
        list(shapes),
        places,
        [area[3] for _, area in run],
        [area[4] for _, area in run],
    ]


def _pack_value(value: Value) -> Any:
    """Return a text as itself, a file as `[filename, type, bytes' place, record]`."""
    if isinstance(value, str):
        return value
    return [value.filename, value.media_type, _pack_body(value.body), value.seq]


def _pack_body(body: StoredBody) -> list[Any]:
    if isinstance(body, OnDisk):
        return [body.address, body.size]
    if isinstance(body, Inline):
        return [body.data, body.md5]
    return [body.name, body.key, body.size, body.md5, body.sha256]


def _unpack_file(packed: Any) -> AreaFile:
    filename, media_type, body, seq = packed
    if len(body) == 5:
        return AreaFile(filename, media_type, Payload(*body), seq)
    if isinstance(body[0], int):
        return AreaFile(filename, media_type, OnDisk(*body), seq)
    return AreaFile(filename, media_type, Inline(*body), seq)
