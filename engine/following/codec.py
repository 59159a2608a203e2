"""Messages between leader and followers as bytes: msgpack, with extension types for other classes.

Only values of plain types and of registered classes can be packed and unpacked. A class is encoded by its
index in the sorted list of names, so both sides must run the same release; `digest` verifies that. The
receiver checks the types of a command's fields, as for any command (`core.typed.wrong_field`). Not cattrs,
which packs by declared types: it does not resolve postponed annotations of named tuples, and needs a hook for
every union, `Any` and marker object among the commands; and a tuple must stay a tuple.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, get_type_hints

import msgpack

from retain.engine.core import errors as refusals
from retain.engine.core.command import Command
from retain.engine.core.errors import EngineError
from retain.engine.settings.model import MISSING, Level, Missing

_OBJECT: Final = 1
_TUPLE: Final = 2
_FROZENSET: Final = 3
_ENUM: Final = 4
_INTEGER: Final = 5
_MISSING: Final = 6
_ERROR: Final = 7

REFUSALS: Final = {
    kind.__name__: kind
    for kind in vars(refusals).values()
    if isinstance(kind, type) and issubclass(kind, EngineError)
}


def refusal_name(error: EngineError) -> str:
    """Return the name of the refusal's class, or of the nearest base that `REFUSALS` has."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in REFUSALS)


class BadMessage(Exception):
    """Bytes that are not a message of this release, or a value that cannot be packed."""


class Codec:
    """Packs and unpacks messages.

    Args:
        classes: The classes of messages besides the commands, and of their fields.

    """

    def __init__(self, classes: Iterable[type[Any]] = ()) -> None:
        found: dict[str, type[Any]] = {}
        for kind in (*_commands(Command), Level, *classes):
            _collect(kind, found)
        self._kinds = [found[name] for name in sorted(found)]
        self._numbers = {kind: number for number, kind in enumerate(self._kinds)}
        self._names = {kind: _fields(kind) for kind in self._kinds if not issubclass(kind, Enum)}
        shapes = [f"{name} {self._names.get(found[name])}" for name in sorted(found)]
        self.digest = hashlib.sha256("\n".join(shapes).encode()).digest()

    def pack(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Raises:
            BadMessage: It contains a class that is not registered.

        """
        try:
            packed: bytes = msgpack.packb(
                value, default=self._default, strict_types=True, unicode_errors="surrogatepass"
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise BadMessage(str(error)) from error
        return packed

    def unpack(self, data: bytes) -> Any:
        """Return the value of these bytes.

        Raises:
            BadMessage: They are not a value.

        """
        try:
            return msgpack.unpackb(
                data, ext_hook=self._extended, strict_map_key=False, unicode_errors="surrogatepass"
            )
        except (ValueError, TypeError, KeyError, IndexError, msgpack.UnpackException) as error:
            raise BadMessage(str(error)) from error

    def _default(self, value: Any) -> Any:
        kind = type(value)
        number = self._numbers.get(kind)
        if number is not None:
            if isinstance(value, Enum):
                return msgpack.ExtType(_ENUM, self.pack([number, value.value]))
            parts = [number, *(getattr(value, name) for name in self._names[kind])]
            return msgpack.ExtType(_OBJECT, self.pack(parts))
        if kind is tuple:
            return msgpack.ExtType(_TUPLE, self.pack(list(value)))
        if kind is frozenset:
            return msgpack.ExtType(_FROZENSET, self.pack(list(value)))
        if kind is int:  # beyond 64 bits
            return msgpack.ExtType(_INTEGER, str(value).encode())
        if kind is Missing:
            return msgpack.ExtType(_MISSING, b"")
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, EngineError):
            name = refusal_name(value)
            facts = [name, value.message, value.reason, value.data]
            return msgpack.ExtType(_ERROR, self.pack(facts))
        raise TypeError(f"a message cannot hold a {kind.__qualname__}")

    def _extended(self, code: int, data: bytes) -> Any:
        if code == _OBJECT:
            number, *values = self.unpack(data)
            kind = self._kinds[number]
            names = self._names[kind]
            return kind(**dict(zip(names, values, strict=True)))
        if code == _TUPLE:
            return tuple(self.unpack(data))
        if code == _ENUM:
            number, value = self.unpack(data)
            return self._kinds[number](value)
        if code == _MISSING:
            return MISSING
        if code == _FROZENSET:
            return frozenset(self.unpack(data))
        if code == _INTEGER:
            return int(data)
        if code == _ERROR:
            name, message, reason, facts = self.unpack(data)
            return REFUSALS[name](message, reason=reason, **facts)
        raise ValueError(f"there is no extension type {code}")


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind)) if is_dataclass(kind) else tuple(kind._fields)


def _commands(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        # A dataclass with slots replaces the class that it decorates, which stays a subclass until collected.
        if "__slots__" in vars(one):
            yield one
        yield from _commands(one)


def _collect(kind: Any, found: dict[str, type[Any]]) -> None:
    """Add the classes that a type hint names, and those that their fields and results name."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        _collect(arguments[0], found)
        return
    for argument in arguments:
        if argument is not ... and not isinstance(argument, str | bytes | int):
            _collect(argument, found)
    if origin is not None or not isinstance(kind, type):
        return
    structured = is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name in found or not (structured or (issubclass(kind, Enum) and kind.__members__)):
        return
    found[name] = kind
    if structured:
        for hint in get_type_hints(kind, include_extras=True).values():
            _collect(hint, found)
    for base in (base for one in kind.__mro__ for base in getattr(one, "__orig_bases__", ())):
        for argument in get_args(base):
            if not isinstance(argument, TypeVar):
                _collect(argument, found)
