"""How the fields of an event stand in its record's two parts: one table per class, read in both directions.

A field is a detail under its own name unless it is declared otherwise, with one of the specifiers here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import MISSING, field, fields
from typing import Any, NamedTuple

Convert = Callable[[Any], Any]
_DETAILS, _CONTENT, _NEITHER = "details", "content", "neither"


class StoredField(NamedTuple):
    """How a field stands in a part.

    Attributes:
        name: The field.
        key: Its key in the part; empty if the value is spread over the part, or is all of it.
        read: Makes the value of what msgpack gives; None if it is that. None is never converted.
        write: The other way round, for values of which msgpack knows nothing.
    """

    name: str
    key: str
    read: Convert | None
    write: Convert | None


class Layout(NamedTuple):
    """All fields of a class of events but the three that every record has.

    Attributes:
        details: Those in the details.
        content: Those in the content.
        changed: Those in the details that do not stand there under their own name and as they are.
        whole: The field that is the content as it stands; empty if none is.
        beside: Whether the class sees to fields itself.
        needed: The names of all fields that have no default.
        total: How many fields an event has that was read from a record as it is written today.
    """

    details: tuple[StoredField, ...]
    content: tuple[StoredField, ...]
    changed: tuple[StoredField, ...]
    whole: str
    beside: bool
    needed: frozenset[str]
    total: int

    @classmethod
    def of(cls, event: Any, every: Collection[str]) -> Layout:
        """That of a dataclass, whose fields ``every`` are those that every record has."""
        parts: dict[str, list[StoredField]] = {_DETAILS: [], _CONTENT: [], _NEITHER: []}
        for one in fields(event):
            if one.name not in every:
                part, key, read, write = one.metadata.get("kept", (_DETAILS, None, None, None))
                parts[part].append(StoredField(one.name, one.name if key is None else key, read, write))
        details, content, own = parts[_DETAILS], parts[_CONTENT], parts[_NEITHER]
        compared = {one.name for one in fields(event) if one.compare}
        changed = (kept for kept in details if kept.key != kept.name or kept.read is not None)
        return cls(
            details=tuple(details),
            content=tuple(content),
            changed=tuple(changed),
            whole=content[0].name if len(content) == 1 and content[0][1:3] == ("", None) else "",
            beside=any(kept.name in compared for kept in own),
            needed=frozenset(one.name for one in fields(event) if one.default is MISSING),
            total=len(compared),
        )

    def check(self, found: Collection[str]) -> None:
        """Raises ``ValueError`` if these fields are not enough for an event."""
        if missing := self.needed.difference(found):
            raise ValueError(f"no event without {', '.join(sorted(missing))}")


def detail(
    read: Convert | None = None,
    write: Convert | None = None,
    *,
    key: str | None = None,
    spread: bool = False,
    default: Any = MISSING,
) -> Any:
    """A field in the details under another ``key``, or converted; see :class:`StoredField`."""
    return _field(_DETAILS, "" if spread else key, read, write, default)


def datum(
    read: Convert | None = None,
    write: Convert | None = None,
    *,
    key: str | None = None,
    spread: bool = False,
    default: Any = MISSING,
) -> Any:
    """A field in the content; see :class:`StoredField`."""
    return _field(_CONTENT, "" if spread else key, read, write, default)


def beside(*, default: Any = MISSING, compare: bool = True) -> Any:
    """A field that the class sees to itself; or that is no part of the fact, and then is not compared."""
    kept = (_NEITHER, None, None, None)
    return field(default=default, compare=compare, repr=compare, metadata={"kept": kept})


def _field(part: str, key: str | None, read: Convert | None, write: Convert | None, default: Any) -> Any:
    return field(default=default, metadata={"kept": (part, key, read, write)})


def row_of(kind: Callable[..., Any]) -> Convert:
    """Reads a named tuple."""
    return lambda row: kind(*row)


def rows_of(kind: Callable[..., Any]) -> Convert:
    """Reads a tuple of named tuples."""
    return lambda rows: tuple(kind(*row) for row in rows)


def write_part(event: Any, table: Iterable[StoredField]) -> Any:
    """The part that these fields of ``event`` make up."""
    part: Any = {}
    for name, key, _, write in table:
        value = getattr(event, name)
        if write is not None and value is not None:
            value = write(value)
        if key:
            part[key] = value
        else:
            part = {**part, **value} if part else value
    return part


def read_part(part: Any, table: Iterable[StoredField], found: dict[str, Any]) -> None:
    """Adds the fields of ``table`` to those ``found``; one that an older record does not have is left out."""
    for name, key, read, _ in table:
        if not key:
            value = part
        elif key in part:
            value = part[key] if key == name else part.pop(key)
        else:
            continue
        found[name] = value if read is None or value is None else read(value)
