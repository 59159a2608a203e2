"""Maps the fields of an event to its record's two parts: one table per class, read in both directions.

A field is a detail under its own name unless one of the specifiers here declares otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import MISSING, field, fields
from typing import Any, NamedTuple

Convert = Callable[[Any], Any]
_DETAILS, _CONTENT, _NEITHER = "details", "content", "neither"


class StoredField(NamedTuple):
    """How a field is stored in a part.

    Attributes:
        name: The field.
        key: Its key in the part; empty if the value is spread over the part, or is the whole part.
        read: Converts the msgpack value; None means no conversion. A stored None stays None.
        write: The reverse conversion, for values that msgpack cannot encode.

    """

    name: str
    key: str
    read: Convert | None
    write: Convert | None


class Layout(NamedTuple):
    """All fields of an event class except the three that every record has.

    Attributes:
        details: Fields in the details.
        content: Fields in the content.
        changed: Detail fields stored under another key or converted.
        whole: The field that is the content itself, unconverted; empty if there is none.
        beside: Whether the class handles some fields itself.
        needed: The names of all fields without a default.
        total: How many fields an event has that is read from a record of the present version.

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
        """Return the layout of a dataclass; `every` names the fields that every record has."""
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
        """Raise `ValueError` if a required field is not among `found`."""
        if missing := self.needed.difference(found):
            raise ValueError(f"the record lacks the fields {', '.join(sorted(missing))}")


def detail(
    read: Convert | None = None,
    write: Convert | None = None,
    *,
    key: str | None = None,
    spread: bool = False,
    default: Any = MISSING,
) -> Any:
    """Declare a field in the details under another `key`, or converted; see `StoredField`."""
    return _field(_DETAILS, "" if spread else key, read, write, default)


def datum(
    read: Convert | None = None,
    write: Convert | None = None,
    *,
    key: str | None = None,
    spread: bool = False,
    default: Any = MISSING,
) -> Any:
    """Declare a field in the content; see `StoredField`."""
    return _field(_CONTENT, "" if spread else key, read, write, default)


def beside(*, default: Any = MISSING, compare: bool = True) -> Any:
    """Declare a field that the class handles itself.

    Also one that is not part of the fact; that one is not compared.
    """
    kept = (_NEITHER, None, None, None)
    return field(default=default, compare=compare, repr=compare, metadata={"kept": kept})


def _field(part: str, key: str | None, read: Convert | None, write: Convert | None, default: Any) -> Any:
    return field(default=default, metadata={"kept": (part, key, read, write)})


def row_of(kind: Callable[..., Any]) -> Convert:
    """Return a converter that reads a named tuple."""
    return lambda row: kind(*row)


def rows_of(kind: Callable[..., Any]) -> Convert:
    """Return a converter that reads a tuple of named tuples."""
    return lambda rows: tuple(kind(*row) for row in rows)


def write_part(event: Any, table: Iterable[StoredField]) -> Any:
    """Return the part that holds these fields of `event`."""
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
    """Add the fields of `table` to those `found`; skip a field that an older record lacks."""
    for name, key, read, _ in table:
        if not key:
            value = part
        elif key in part:
            value = part[key] if key == name else part.pop(key)
        else:
            continue
        found[name] = value if read is None or value is None else read(value)
