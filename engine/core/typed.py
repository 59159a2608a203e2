"""Type checks of commands and events at run time.

An embedding program may not use a type checker, and a command with a wrong type would enter the journal and
be read at every later start.

Values are checked a column at a time: checking the types of fifty thousand block ids is one call into C.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, IntEnum
from inspect import Parameter, signature
from itertools import chain
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

Accepts = Callable[[Collection[Any]], bool]
"""Returns whether all values of a column are of a type."""


@dataclass(frozen=True, slots=True)
class Between:
    """For `Annotated`: the bounds of a number."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Bytes:
    """For `Annotated`: the exact number of bytes."""

    length: int


RESOURCE_BYTES = 16
Resource = Annotated[bytes, Bytes(RESOURCE_BYTES)]
"""Random bytes that name a resource in the journal for ever."""


def wrong_field(value: Any) -> str | None:
    """Return the name of the first field whose value is not of its declared type, or None."""
    for name, easy, accepts in _table(type(value)):
        found = getattr(value, name)
        kind = type(found)
        if kind in easy and (kind is not str or found.isascii()):
            continue
        if not accepts((found,)):
            return name
    return None


_Table = tuple[tuple[str, frozenset[type[Any]], Accepts], ...]
"""For each field its name, the types that need no further check, and its check."""

_EASY: frozenset[type[Any]] = frozenset({str, bytes, bool, int, types.NoneType})
_tables: dict[type[Any], _Table] = {}


def wrong_argument(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a call's arguments, as a sentence without its subject; or None.

    Args:
        function: The function to call, with all parameters annotated.
        arguments: Its arguments by name.

    """
    parameters = signature(function).parameters.values()
    if any(one.kind is Parameter.VAR_KEYWORD for one in parameters):
        return None
    hints = get_type_hints(function, include_extras=True)
    known = {one.name: one for one in parameters}
    for name in arguments.keys() - known.keys():
        return f"has no argument {name!r}"
    for name, parameter in known.items():
        if name not in arguments:
            if parameter.default is Parameter.empty:
                return f"needs the argument {name!r}"
        elif not _accepts(hints[name])((arguments[name],)):
            return f"takes no such value for its argument {name!r}: it must be {parameter.annotation}"
    return None


def _table(kind: type[Any]) -> _Table:
    """Return the checked fields of a dataclass or named tuple, computed once."""
    table = _tables.get(kind)
    if table is None:
        table = _tables[kind] = _read_table(kind)
    return table


def _read_table(kind: Any) -> _Table:
    names = [one.name for one in fields(kind)] if is_dataclass(kind) else list(kind._fields)
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        (name, _easy(hints[name]), _accepts(hints[name]))
        for name in names
        if hints[name] not in (Any, object)
    )


def _easy(hint: Any) -> frozenset[type[Any]]:
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else [hint]
    return frozenset(
        kind for kind in choices if kind in _EASY or (isinstance(kind, type) and issubclass(kind, Enum))
    )


def _accepts(hint: Any) -> Accepts:
    """Return the check for a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bounded(*arguments)
    if origin in (Union, types.UnionType):
        return _one_of([_accepts(choice) for choice in arguments])
    if origin is tuple:
        return _tuples(arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mappings(origin, *map(_accepts, arguments))
    if isinstance(origin, type) and issubclass(origin, Collection):
        return _collections(origin, _accepts(arguments[0]))
    return _plain(origin if isinstance(origin, type) else hint)


def _plain(kind: Any) -> Accepts:
    if isinstance(kind, TypeVar) or kind in (Any, object):
        return lambda column: True
    if kind is None or kind is types.NoneType:
        return lambda column: all(value is None for value in column)
    if kind is str:
        return _are_texts
    if kind is int:
        # Of any size: an integer too large for a record is detected when the record is written.
        return _are_integers
    if kind is float:
        return lambda column: set(map(type, column)) <= {int, float}
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        # Its number is accepted too: it equals the member, and is what a record stores.
        return lambda column: (
            set(map(type, column)) <= {kind, int} and set(column) <= kind._value2member_map_.keys()
        )
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return _records(kind)
    return lambda column: _are(column, kind)


def _are_texts(column: Collection[Any]) -> bool:
    """Return whether all are texts that UTF-8 can encode.

    A lone surrogate could be acknowledged and not be written.
    """
    try:
        "".join(column).encode()
    except (TypeError, UnicodeEncodeError):
        return False
    return True


def _bounded(kind: type[Any], bound: Between | Bytes) -> Accepts:
    if isinstance(bound, Bytes):
        return lambda column: all(type(value) is bytes and len(value) == bound.length for value in column)
    low, high = bound.low, bound.high
    return lambda column: _are_integers(column) and all(low <= value <= high for value in column)


def _are_integers(column: Collection[Any]) -> bool:
    """Return whether all are integers and not booleans, which msgpack encodes differently."""
    return _are(column, int) and bool not in set(map(type, column))


def _are(column: Collection[Any], kind: type[Any]) -> bool:
    """Return whether all are of `kind`, by checking each type that occurs once."""
    return all(issubclass(found, kind) for found in set(map(type, column)))


def _one_of(choices: Sequence[Accepts]) -> Accepts:
    def accepts(column: Collection[Any]) -> bool:
        return any(choice(column) for choice in choices) or (
            len(column) > 1 and all(any(choice((value,)) for choice in choices) for value in column)
        )

    return accepts


def _tuples(arguments: tuple[Any, ...]) -> Accepts:
    if len(arguments) == 2 and arguments[1] is ...:
        return _collections(tuple, _accepts(arguments[0]))
    checks = [_accepts(argument) for argument in arguments]

    def accepts(column: Collection[Any]) -> bool:
        if not _are(column, tuple) or set(map(len, column)) - {len(checks)}:
            return False
        return all(check(part) for check, part in zip(checks, zip(*column, strict=True), strict=False))

    return accepts


def _collections(kind: type[Any], inner: Accepts) -> Accepts:
    def accepts(column: Collection[Any]) -> bool:
        if not _are(column, kind) or not {str, bytes}.isdisjoint(map(type, column)):
            return False
        return inner(list(chain.from_iterable(column)))

    return accepts


def _mappings(kind: type[Any], keys: Accepts, values: Accepts) -> Accepts:
    def accepts(column: Collection[Any]) -> bool:
        if not _are(column, kind):
            return False
        return all(keys(value.keys()) and values(list(value.values())) for value in column)

    return accepts


def _records(kind: type[Any]) -> Accepts:
    """Return a check of dataclasses and named tuples, field by field.

    The last accepted one is not checked again: every command of an interface has the same policy.
    """
    last: list[Any] = [None]
    is_kept = is_dataclass(kind)

    def accepts(column: Collection[Any]) -> bool:
        if len(column) == 1:
            (only,) = column
            if only is last[0]:
                return True
            if not isinstance(only, kind) or wrong_field(only) is not None:
                return False
            if is_kept:
                last[0] = only
            return True
        return _are(column, kind) and all(check(_column(column, name)) for name, _, check in _table(kind))

    return accepts


def _column(values: Iterable[Any], name: str) -> list[Any]:
    return [getattr(value, name) for value in values]
