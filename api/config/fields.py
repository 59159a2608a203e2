"""One configuration key: its default, its bounds, and the sentence that explains it.

The loader, the commented file of `retain init` and `docs/configuration.md` all use these fields, so that they
always agree.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

Check = Callable[[Any], str | None]
"""Checks a value; returns the reason it is impossible, or None."""


class ConfigError(Exception):
    """An error in the configuration, with its source (file or environment), key and reason."""

    def __init__(self, source: str, key: str, reason: str) -> None:
        super().__init__(f"{source}: {key}: {reason}" if key else f"{source}: {reason}")
        self.source = source
        self.key = key
        self.reason = reason


@dataclasses.dataclass(frozen=True, slots=True)
class KeyRule:
    """The value of a field's metadata under the key `rule`."""

    doc: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    example: object = None
    secret: bool = False
    check: Check | None = None
    empty_opens: bool = False


def setting(
    default: T,
    doc: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    example: object = None,
    secret: bool = False,
    check: Check | None = None,
    empty_opens: bool = False,
) -> T:
    """Declare a key.

    Args:
        default: Its value where none is set.
        doc: What it does, for the commented file and the documentation.
        minimum: The least number allowed.
        maximum: The greatest.
        choices: The only values allowed.
        example: Shown in the commented file where the default is None or empty.
        secret: Never shown.
        check: Return why a value is impossible, None if it is not.
        empty_opens: The key is a list that restricts, and an empty one restricts nothing. The environment
            cannot make it empty: a blank variable is often one that was left unset.
    """
    rule = KeyRule(doc, minimum, maximum, choices, example, secret, check, empty_opens)
    field: T = dataclasses.field(default=default, metadata={"rule": rule}, repr=not secret)
    return field


def required(doc: str, *, example: object, check: Check | None = None) -> Any:
    """Declare a key that has no default (only inside `[[tables]]`)."""
    return dataclasses.field(metadata={"rule": KeyRule(doc, example=example, check=check)})


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigKey:
    """One key as the loader and the documents see it."""

    name: str
    kind: Any
    rule: KeyRule
    default: object

    @property
    def kind_name(self) -> str:
        """The type in words for operators."""
        return _KIND_NAMES[_base(self.kind)]

    @property
    def needed(self) -> bool:
        """Whether the key must be given."""
        return self.default is dataclasses.MISSING


def keys_of(section: type[Any]) -> tuple[ConfigKey, ...]:
    """Return the keys that a section class declares, in order."""
    return _keys_of(section)  # type: ignore[arg-type]  # mypy does not take classes for hashable


@cache
def _keys_of(section: type[Any]) -> tuple[ConfigKey, ...]:
    kinds = get_type_hints(section)
    return tuple(
        ConfigKey(field.name, kinds[field.name], field.metadata["rule"], field.default)
        for field in dataclasses.fields(section)
        if "rule" in field.metadata
    )


_KIND_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    tuple: "a list of strings",
}


def _base(kind: Any) -> Any:
    """Return the runtime type: `str` for `str | None`, `tuple` for `tuple[str, ...]`."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    return get_origin(kind) or kind


def convert(key: ConfigKey, value: object) -> object:
    """Check `value` as read from TOML and return it. Raises `ValueError` with the reason."""
    base = _base(key.kind)
    if base is tuple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError("must be a list of strings")
        return _checked(key, tuple(value))
    if base is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, base) or (isinstance(value, bool) and base is not bool):
        raise ValueError(f"must be {_KIND_NAMES[base]}")
    return _checked(key, value)


def convert_text(key: ConfigKey, text: str) -> object:
    """Convert and check `text` from the environment; commas separate lists. Raises `ValueError`."""
    base = _base(key.kind)
    if base is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("must be true or false")
        return text.lower() == "true"
    if base is tuple:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not parts and key.rule.empty_opens:
            raise ValueError("must not be blank: an empty list restricts nothing; leave the variable out")
        return convert(key, parts)
    if base in (int, float):
        try:
            return convert(key, base(text))
        except ValueError as error:
            raise ValueError(
                str(error) if str(error).startswith("must") else f"must be {key.kind_name}"
            ) from None
    return convert(key, text)


def _checked(key: ConfigKey, value: Any) -> object:
    rule = key.rule
    if isinstance(value, int | float) and not isinstance(value, bool):
        if rule.minimum is not None and value < rule.minimum:
            raise ValueError(f"must be at least {rule.minimum}")
        if rule.maximum is not None and value > rule.maximum:
            raise ValueError(f"must be at most {rule.maximum}")
    if rule.choices and value not in rule.choices:
        raise ValueError(f"must be one of {', '.join(rule.choices)}")
    if rule.check is not None and (reason := rule.check(value)) is not None:
        raise ValueError(reason)
    if isinstance(value, str) and not value.strip() and key.default != value:
        # An unset variable is often blank, and must not switch off what the key protects.
        raise ValueError("must not be blank; leave it out instead")
    return value


def build(section: type[T], table: Mapping[str, object], *, source: str, where: str) -> T:
    """Build a section from its TOML table. Raises `ConfigError` for unknown, missing or invalid keys."""
    known = {key.name: key for key in keys_of(section)}
    values: dict[str, object] = {}
    for name, value in table.items():
        if name not in known:
            raise ConfigError(source, f"{where}.{name}", f"unknown key; known are {', '.join(known)}")
        try:
            values[name] = convert(known[name], value)
        except ValueError as error:
            raise ConfigError(source, f"{where}.{name}", str(error)) from None
    for name, key in known.items():
        if key.needed and name not in values:
            raise ConfigError(source, f"{where}.{name}", "is missing")
    return section(**values)
