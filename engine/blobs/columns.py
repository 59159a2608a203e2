"""Runs of plain blobs as rows of a snapshot, and back.

By far the most blobs are recordings that were written once: no tier, copy or lease, and as many tags and
metadata as the ones before and after. Runs of these are stored in columns: msgpack, `map` and `zip` then
create a million of them without a step in Python for each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, islice, repeat
from operator import attrgetter
from typing import Any, NamedTuple

from retain.engine.blobs.entries import BlobEntry, ContentHeaders, shared_headers, shared_pairs
from retain.engine.core.body import OnDisk
from retain.journal import Payload

RUN = 128
"""Most blobs in one row: with the longest names, metadata and tags it stays far below a block's bound."""
SHORT = 8
"""Fewer blobs than this are not stored in columns."""
_PLAIN = (None, None, None, None, 0)
"""The fields after the tags of an entry that was written once: no tier, when that was set, copy, lease; and
no later change of metadata."""
_ON_DISK = ("address", "size")
_PAYLOAD = ("name", "key", "size", "md5", "sha256")


class Shape(NamedTuple):
    """The common properties of the blobs in one run.

    Attributes:
        files: Their bodies are payload files; else they lie in their records.
        fresh: They were made by their last write.
        hashed: They have an MD5.
        metadata: How many metadata each has.
        tags: How many tags each has.

    """

    files: bool
    fresh: bool
    hashed: bool
    metadata: int
    tags: int


class Blobs(NamedTuple):
    """The contents of a row of columns.

    Attributes:
        names: Their names.
        entries: As many entries, once.
        files: The names of their payload files.

    """

    names: Sequence[str]
    entries: Iterator[BlobEntry]
    files: Sequence[str]


def rows_of(
    blobs: Iterable[tuple[str, BlobEntry]], row: Callable[[str, BlobEntry], Any], kind: int
) -> Iterator[Any]:
    """Yield rows of these blobs in their order: by `row`, or columns after `kind`."""
    for shape, alike in groupby(blobs, key=_shape):
        while run := list(islice(alike, RUN)):
            if shape is None or len(run) < SHORT:
                for name, entry in run:
                    yield row(name, entry)
            else:
                yield [kind, *_columns(shape, run)]


def _shape(blob: tuple[str, BlobEntry]) -> Shape | None:
    """Return the shape of a plain blob, None for any other."""
    _, created, modified, _, body, md5, _, metadata, tags, *rest = blob[1]
    files = type(body) is Payload
    if tuple(rest) != _PLAIN or not (files or type(body) is OnDisk):
        return None
    return Shape(files, created == modified, md5 is not None, len(metadata), len(tags))


def _columns(shape: Shape, run: list[tuple[str, BlobEntry]]) -> Iterator[Any]:
    entries = [entry for _, entry in run]
    bodies = [entry.body for entry in entries]
    yield list(shape)
    yield [name for name, _ in run]
    yield [entry.resource for entry in entries]
    yield [] if shape.fresh else [entry.created for entry in entries]
    yield [entry.modified for entry in entries]
    yield [entry.seq for entry in entries]
    yield [list(map(attrgetter(name), bodies)) for name in (_PAYLOAD if shape.files else _ON_DISK)]
    md5s = [entry.md5 for entry in entries] if shape.hashed else []
    # That of a file is its body's: one object for both, and nothing to be read.
    yield [] if shape.files and md5s == [body.md5 for body in bodies if isinstance(body, Payload)] else md5s
    yield _table(entry.headers for entry in entries)
    yield [_table(e.metadata[at][0] for e in entries) for at in range(shape.metadata)]
    yield [[e.metadata[at][1] for e in entries] for at in range(shape.metadata)]
    yield [_table(e.tags[at] for e in entries) for at in range(shape.tags)]


def _table(values: Iterable[Any]) -> list[Any]:
    """Return `[[value, …], [place of the value, …]]`, which holds each value once."""
    found: dict[Any, int] = {}
    places = [found.setdefault(value, len(found)) for value in values]
    return [list(found), places]


def blobs_of(row: Sequence[Any]) -> Blobs:
    """Return the blobs in a row of columns, without its kind.

    Raises:
        ValueError, TypeError, KeyError, IndexError: The row holds none.
    """
    shape, names, resources, created, modified, seqs, bodies, md5s, headers, keys, values, tags = row
    shape = Shape(*shape)
    kind, fields = (Payload, _PAYLOAD) if shape.files else (OnDisk, _ON_DISK)
    made = _made(kind, dict(zip(fields, bodies, strict=True)), len(names))
    if shape.hashed:
        md5s = md5s or bodies[_PAYLOAD.index("md5")]
    metadata = [zip(_values(key), value, strict=True) for key, value in zip(keys, values, strict=True)]
    pairs = [_values((shared_pairs(map(tuple, table)), places)) for table, places in tags]
    columns = (
        resources,
        modified if shape.fresh else created,
        modified,
        seqs,
        made,
        md5s if shape.hashed else repeat(None),
        _values(([_headers(tuple(one)) for one in headers[0]], headers[1])),
        zip(*metadata, strict=True) if metadata else repeat(()),
        zip(*pairs, strict=True) if pairs else repeat(()),
        *map(repeat, _PLAIN),
    )
    # The fields of a named tuple, without a Python call for each access.
    entries = map(tuple.__new__, repeat(BlobEntry), zip(*columns, strict=False))
    return Blobs(names, entries, bodies[0] if shape.files else ())


def _values(table: Sequence[Any]) -> Iterator[Any]:
    values, places = table
    return map(values.__getitem__, places)


def _made(kind: type[Any], columns: Mapping[str, Sequence[Any]], count: int) -> list[Any]:
    """Build frozen values from columns of their fields.

    Sets their slots directly, as their own `__init__` would do in Python for each one.
    """
    made = list(map(object.__new__, repeat(kind, count)))
    for name, column in columns.items():
        if len(column) != count:
            raise ValueError("columns of different lengths")
        deque(map(getattr(kind, name).__set__, made, column), maxlen=0)
    return made


@lru_cache(maxsize=4096)
def _headers(fields: tuple[Any, ...]) -> ContentHeaders:
    return shared_headers(ContentHeaders(*fields))
